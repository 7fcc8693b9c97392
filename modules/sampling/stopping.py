"""Whether labelling on is worth it: what the next batch would gain."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from modules.arrays import Float64Array
from modules.counting import counted
from modules.metrics.agreement import cohen_kappa
from modules.predictions.columns import LEAST_CONFIDENCE
from modules.sampling.table import PredictionTable
from modules.settings.sampling import StoppingSettings
from modules.taxonomy import Category

STOP_SET = 2000
"""Products whose predictions are compared from round to round."""


@dataclass(frozen=True)
class Round:
    """What one run knew.

    Attributes:
      labels: of people, that the model had learnt from.
      expected_error: mean of 1 - the best probability over the products without a label.
      stop_set: product's hash to its predicted category's id.
      accuracy, support: measured on labelled test products; None: not measured.
    """

    labels: int
    expected_error: float
    stop_set: dict[int, str]
    accuracy: float | None = None
    support: int = 0


@dataclass(frozen=True)
class StoppingEstimate:
    """What the next batch would gain.

    Attributes:
      worth: False: labelling on is not worth it; None: not enough is known.
      kappa: agreement of the last two rounds' predictions; None: there is one round.
      expected_error: of the newest model, by its own probabilities.
      gain: accuracy that the next batch is expected to add, by the learning curve; None: no curve can be fitted.
      reasons: sentences, the verdict first.
    """

    worth: bool | None
    kappa: float | None
    expected_error: float
    gain: float | None
    reasons: Sequence[str]


def stop_set(table: PredictionTable, classes: Sequence[Category]) -> dict[int, str]:
    """Predicted categories of the products with the smallest hashes, by hash: the same products in every run."""
    ids = table.ids.to_pylist()
    hashes = np.array([_hash(name) for name in ids], np.uint64)
    rows = np.argsort(hashes, kind="stable")[:STOP_SET]
    predicted = [classes[i].id for i in table.classes[rows, 0]]
    return dict(zip(hashes[rows].tolist(), predicted, strict=True))


def pack_stop_set(predicted: Mapping[int, str]) -> str:
    """As text, base64 of zlib of JSON: some kilobytes, so that ML Metadata can hold it."""
    names, codes = np.unique(list(predicted.values()), return_inverse=True)
    document = {"hashes": list(predicted), "names": names.tolist(), "codes": codes.tolist()}
    return base64.b64encode(zlib.compress(json.dumps(document).encode())).decode()


def read_stop_set(text: str) -> dict[int, str]:
    """What :func:`pack_stop_set` packed."""
    document = json.loads(zlib.decompress(base64.b64decode(text)))
    return {h: document["names"][code] for h, code in zip(document["hashes"], document["codes"], strict=True)}


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=6).digest(), "big")


def expected_error(table: PredictionTable) -> float:
    """Mean of 1 - the best probability over unlabelled products of the train split; 0 if there are none."""
    rows = table.labels < 0
    if "train" in table.split_names:
        rows &= table.splits == table.split_names.index("train")
    return float(table.scores[LEAST_CONFIDENCE][rows].mean(dtype=np.float64)) if rows.any() else 0.0


def stability(rounds: Sequence[Round]) -> list[float]:
    """Kappa between each round and the one before, on products that both have (Bloodgood, Vijay-Shanker 2009)."""
    kappas = []
    for before, after in pairwise(rounds):
        common = sorted(before.stop_set.keys() & after.stop_set.keys())
        if common:
            answers = [each.stop_set[product] for each in (before, after) for product in common]
            codes = np.unique(answers, return_inverse=True)[1].reshape(2, -1)
            kappa = cohen_kappa(codes[0], codes[1])
            # Undefined where both rounds predict one category and no other: nothing has changed.
            kappas.append(1.0 if np.isnan(kappa) else kappa)
    return kappas


def learning_curve(
    labels: npt.ArrayLike, accuracy: npt.ArrayLike, support: npt.ArrayLike
) -> tuple[float, float, float] | None:
    """Parameters (a, b, c) of accuracy = a - b n^-c (inverse power law; Cortes et al. 1993), by weighted least squares.

    Args:
      labels: n of each round.
      accuracy: measured.
      support: labelled test products behind it.

    Returns:
      None with fewer than four different n.
    """
    from scipy.optimize import curve_fit

    n, y, m = (np.asarray(values, np.float64) for values in (labels, accuracy, support))
    if len(np.unique(n)) < 4:
        return None
    # Binomial, and never 0 for a round that got everything right.
    deviation = np.sqrt((y * (1 - y) * m + 0.5) / np.maximum(m, 1) ** 2)
    bounds = ([0.0, 0.0, 0.05], [1.0, 1e3, 3.0])
    start = (min(1.0, float(y.max()) + 0.02), max(float(y.max() - y.min()), 0.01) * float(n.min()) ** 0.5, 0.5)
    try:
        parameters, _ = curve_fit(_curve, n, y, start, deviation, bounds=bounds, max_nfev=5000)
    except RuntimeError:
        return None
    return float(parameters[0]), float(parameters[1]), float(parameters[2])


def _curve(n: Float64Array, a: float, b: float, c: float) -> Float64Array:
    return a - b * n**-c


def estimate(rounds: Sequence[Round], batch: int, settings: StoppingSettings) -> StoppingEstimate | None:
    """What is known after these rounds.

    Args:
      rounds: oldest first; of rounds with the same number of labels the newest counts.
      batch: size of the next batch.

    Returns:
      None before the first label.
    """
    newest = {round_.labels: round_ for round_ in rounds}
    rounds = [newest[n] for n in sorted(newest) if n > 0]
    if not rounds:
        return None
    now = rounds[-1]
    kappas = stability(rounds)
    measured = [round_ for round_ in rounds if round_.accuracy is not None and round_.support >= settings.min_support]
    curve = (
        learning_curve(*zip(*[(r.labels, r.accuracy, r.support) for r in measured], strict=True)) if measured else None
    )
    gain = None
    if curve is not None:
        sizes = np.array([now.labels, now.labels + batch], np.float64)
        here, there = _curve(sizes, *curve)
        gain = float(there - here)
    recent = kappas[-settings.rounds :]
    stable = len(recent) == settings.rounds and min(recent) >= settings.kappa
    reasons = []
    worth: bool | None = None
    if stable and (gain is None or gain < settings.min_gain):
        worth = False
        reasons.append("Labelling on is not worth it.")
    elif gain is not None and gain < settings.min_gain:
        worth = False
        reasons.append("Labelling on is hardly worth it.")
    elif gain is not None or (recent and recent[-1] < settings.kappa):
        worth = True
        reasons.append("Labelling on is worth it.")
    else:
        reasons.append("Too early to say whether labelling on is worth it.")
    if kappas:
        changed = (
            f"The last {counted(now.labels - rounds[-2].labels, 'label')} left predictions at kappa {kappas[-1]:.3f}"
        )
        bound = f"stable is {settings.kappa:g} for {settings.rounds} rounds"
        reasons.append(f"{changed} with those before ({bound}).")
    if gain is not None:
        reasons.append(
            f"The next {batch:,} are expected to add {100 * gain:.1f} points of accuracy, by the learning curve."
        )
    else:
        reasons.append("A learning curve needs four rounds that are measured on random labels.")
    reasons.append(f"By its own probabilities the model is wrong about {100 * now.expected_error:.1f}% of the pool.")
    return StoppingEstimate(worth, kappas[-1] if kappas else None, now.expected_error, gain, reasons)
