"""Joint mutual information of a batch and the model."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from modules.arrays import FloatArray
from modules.predictions.columns import BALD
from modules.query_strategies.base import QueryStrategy
from modules.query_strategies.committee import bald
from modules.query_strategies.entropy import entropy_of
from modules.query_strategies.pool import Pool, Selection, top_k


class BatchBALD(QueryStrategy):
    """Greedily raises I(y_1..y_b; model) of the batch (Kirsch, van Amersfoort, Gal 2019).

    A pick that says the same as an earlier one adds little. The joint entropy is exact as long as it has few outcomes,
    then estimated from drawn ones.
    """

    kind: Literal["batch_bald"] = "batch_bald"
    needs: ClassVar[frozenset[str]] = frozenset({"members"})

    candidates: Annotated[int, Field(ge=1, le=20_000)] = 500
    """Products of most BALD, of which the batch is picked."""
    outcomes: Annotated[int, Field(ge=16, le=1_000_000)] = 4096
    """Of the joint labels of a batch so many are looked at."""

    def _pick(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        assert pool.members is not None
        rows = pool.candidates
        if BALD in pool.scores:
            rows = rows[top_k(pool.scores[BALD][rows], max(n, self.candidates), rng)]
        members = pool.members(rows).astype(np.float64)
        single = bald(members)
        if len(rows) > max(n, self.candidates):
            kept = top_k(single, max(n, self.candidates), rng)
            rows, members, single = rows[kept], members[:, kept], single[kept]
        own = entropy_of(members).mean(axis=0)
        # P(outcome of the picks so far | member), one column per outcome; one outcome before the first pick.
        joint: FloatArray = np.ones((len(members), 1))
        importance: FloatArray = np.ones(1)
        free = np.ones(len(rows), bool)
        picked: list[int] = []
        gains: list[float] = []
        known, conditional = 0.0, 0.0
        for _ in range(n):
            places = np.flatnonzero(free)
            entropy = _joint_entropy(joint, importance, members[:, places])
            information = entropy - conditional - own[places]
            place = int(places[top_k(information, 1, rng)[0]])
            chosen = float(information[np.flatnonzero(places == place)[0]])
            picked.append(place)
            gains.append(chosen - known)
            known, conditional, free[place] = chosen, conditional + own[place], False
            joint, importance = _extended(joint, importance, members[:, place], self.outcomes, rng)
        return Selection(rows[picked], np.array(gains), self.kind, {"bald": single[picked]})


def _joint_entropy(joint: FloatArray, importance: FloatArray, members: FloatArray) -> FloatArray:
    """H(outcomes so far, label) of each candidate: (members, outcomes) and (members, rows, classes) to (rows,)."""
    entropies = np.empty(members.shape[1])
    for row in range(members.shape[1]):
        p = joint.T @ members[:, row] / len(members)
        entropies[row] = -(importance @ (p * np.log(np.maximum(p, 1e-300)))).sum()
    return entropies


def _extended(
    joint: FloatArray, importance: FloatArray, label: FloatArray, limit: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """The outcomes with one label more; beyond ``limit`` some are drawn by their probability, and weigh the more."""
    wider = (joint[:, :, None] * label[:, None, :]).reshape(len(joint), -1)
    weights = np.repeat(importance, label.shape[1])
    if wider.shape[1] <= limit:
        return wider, weights
    p = wider.mean(axis=0) * weights
    p /= p.sum()
    drawn = rng.choice(len(p), limit, p=p)
    return wider[:, drawn], weights[drawn] / (limit * p[drawn])
