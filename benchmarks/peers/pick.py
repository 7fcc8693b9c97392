"""Picks a batch with a peer's query strategy; runs in the environment of ``requirements.txt``, without Shelfmark.

``python pick.py PEER TASK FOLDER N`` reads ``probabilities.npy``, ``embeddings.npy`` and ``labelled.npy`` in FOLDER and
prints one JSON object: seconds and the rows picked. Loading is not timed.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np

warnings.filterwarnings("ignore")


class Known:
    """A classifier whose probabilities are known, so that only the strategy is timed."""

    def __init__(self, probabilities: np.ndarray):
        self.probabilities = probabilities

    def predict_proba(self, rows) -> np.ndarray:
        """Of all rows."""
        return self.probabilities


def small_text(task: str, p: np.ndarray, x: np.ndarray, labelled: np.ndarray, n: int):
    """Picks, and the seconds they took."""
    import small_text as peer
    from small_text.query_strategies.coresets import greedy_coreset

    free = np.setdiff1d(np.arange(len(p)), labelled)
    if task == "k_center":
        return timed(lambda: greedy_coreset(x, free, labelled, n, distance_metric="euclidean", normalized=True))
    kinds = {"margin": peer.BreakingTies, "entropy": peer.PredictionEntropy, "least_confidence": peer.LeastConfidence}
    strategy, data = kinds[task](), peer.TextDataset.from_arrays([""] * 1, np.zeros(1, int), np.arange(2))
    return timed(lambda: strategy.query(Known(p), data, free, labelled, np.zeros(len(labelled), int), n=n))


def scikit_activeml(task: str, p: np.ndarray, x: np.ndarray, labelled: np.ndarray, n: int):
    """Picks, and the seconds they took."""
    from skactiveml.base import SkactivemlClassifier
    from skactiveml.pool import Badge, CoreSet, uncertainty_scores
    from skactiveml.utils import simple_batch

    free = np.setdiff1d(np.arange(len(p)), labelled)
    y = np.full(len(p), np.nan)
    y[labelled] = 0
    if task == "k_center":
        return timed(lambda: CoreSet(random_state=1).query(x, y, batch_size=n))
    if task == "badge":

        class Fixed(SkactivemlClassifier):
            def __init__(self, missing_label=np.nan, classes=None, cost_matrix=None, random_state=None):
                super().__init__(classes, missing_label, cost_matrix, random_state)

            def fit(self, X, y, sample_weight=None):
                return self

            def predict_proba(self, X):
                return p[free]

        return timed(lambda: Badge(random_state=1).query(x, y, Fixed(), fit_clf=False, batch_size=n))
    method = {"margin": "margin_sampling", "entropy": "entropy", "least_confidence": "least_confident"}[task]
    return timed(lambda: free[simple_batch(uncertainty_scores(p[free], method=method), 1, batch_size=n)])


def modal(task: str, p: np.ndarray, x: np.ndarray, labelled: np.ndarray, n: int):
    """Picks, and the seconds they took."""
    from modAL import uncertainty

    kinds = {
        "margin": uncertainty.margin_sampling, "entropy": uncertainty.entropy_sampling,
        "least_confidence": uncertainty.uncertainty_sampling,
    }  # fmt: skip
    free = np.setdiff1d(np.arange(len(p)), labelled)

    def pick():
        found = kinds[task](Known(p[free]), x, n_instances=n)
        return free[np.asarray(found[0] if isinstance(found, tuple) else found)]

    return timed(pick)


def timed(pick):
    """Result and seconds."""
    started = time.perf_counter()
    found = pick()
    return found, time.perf_counter() - started


def main() -> None:
    """See the module."""
    peer, task, folder, n = sys.argv[1:5]
    given = [np.load(Path(folder) / f"{name}.npy") for name in ("probabilities", "embeddings", "labelled")]
    picked, seconds = globals()[peer](task, *given, int(n))
    print(json.dumps({"seconds": seconds, "rows": np.asarray(picked).tolist()}))


main()
