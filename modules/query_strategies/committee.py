"""What the members of a committee disagree about. Probabilities of shape (members, rows, classes)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from modules.arrays import FloatArray, Int64Array
from modules.query_strategies.entropy import entropy_of
from modules.query_strategies.pool import Pool, blocks


def vote_entropy(members: FloatArray) -> FloatArray:
    """Entropy in nats of the members' votes for their most probable class (Dagan, Engelson 1995; the thesis's 2.6)."""
    votes = members.argmax(axis=2)
    shares = np.zeros(members.shape[1:], np.float32)
    for vote in votes:
        shares[np.arange(len(vote)), vote] += 1.0 / len(votes)
    return entropy_of(shares)


def kl_to_consensus(members: FloatArray) -> FloatArray:
    """Mean over members of KL(member || mean of all), nats (McCallum, Nigam 1998; the thesis's 2.7-2.9)."""
    consensus = np.maximum(members.mean(axis=0), 1e-30)
    ratio = np.log(np.maximum(members, 1e-30) / consensus)
    return np.einsum("mrc,mrc->r", members, ratio) / len(members)


def bald(members: FloatArray) -> FloatArray:
    """Mutual information of label and model, nats (Houlsby et al. 2011): entropy of the mean minus mean entropy.

    Equal to :func:`kl_to_consensus` of the same members, computed with one logarithm less per member and class.
    """
    return entropy_of(members.mean(axis=0)) - entropy_of(members).mean(axis=0)


def disagreement(pool: Pool, rows: Int64Array, name: str, of: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """The model's own value if it computed one, else ``of`` its members, in blocks."""
    if name in pool.scores:
        return pool.scores[name][rows]
    assert pool.members is not None
    parts = [of(pool.members(part)) for part in blocks(rows, pool.classes, 2**20)]
    return np.concatenate(parts) if parts else np.zeros(0)
