"""Hierarchical precision, recall and F1: a mistake inside the right branch is a smaller one.

Kiritchenko, Matwin, Nock and Famili (2006), "Learning and evaluation in the presence of class hierarchies": with T and
P the true and the predicted class, each with all its ancestors (without the root), hP = sum |T and P| / sum |P|,
hR = sum |T and P| / sum |T|, hF = 2 hP hR / (hP + hR).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from modules.arrays import Int64Array
from modules.metrics.intervals import Interval, divide, ratio_interval


class Hierarchy:
    """How many nodes each class has above it (itself included) and how many two classes share.

    Args:
      branches: per class the nodes on its way from the root down to itself, the root left out; any hashable names
        (ids, paths). A class that is another's ancestor is one of its nodes.
    """

    def __init__(self, branches: Sequence[Sequence[Hashable]]):
        numbers: dict[Hashable, int] = {}
        ways = [list(dict.fromkeys(numbers.setdefault(node, len(numbers)) for node in way)) for way in branches]
        self.depth: Int64Array = np.array([len(nodes) for nodes in ways], np.int64)
        if ways and self.depth.min() < 1:
            raise ValueError("every class needs at least itself in its branch")
        # Nodes per class, filled up with numbers of their own kind so that filling never matches.
        width = int(self.depth.max()) if ways else 1
        self._nodes = np.full((len(ways), width), -1, np.int64)
        for row, nodes in enumerate(ways):
            self._nodes[row, : len(nodes)] = nodes

    def __len__(self) -> int:
        return len(self.depth)

    def shared(self, first: Int64Array, second: Int64Array) -> Int64Array:
        """Number of nodes that the branches of two classes share; int64 of the shape of ``first``."""
        a, b = self._nodes[first], self._nodes[second]
        return ((a[..., :, None] == b[..., None, :]) & (a[..., :, None] >= 0)).sum(axis=(-1, -2))

    @property
    def levels(self) -> int:
        """How many nodes the longest branch has."""
        return self._nodes.shape[1]

    def cut(self, classes: Int64Array, level: int) -> Int64Array:
        """The node at ``level`` (1: the top) of each class's branch, the class itself where its branch ends before."""
        return self._nodes[classes, np.minimum(level, self.depth[classes]) - 1]

    def f1(
        self, true: Int64Array, predicted: Int64Array, weight: npt.ArrayLike, weight_squared: npt.ArrayLike, z: float
    ) -> tuple[float, float, Interval]:
        """hP, hR and hF with its linearised interval, over pairs of true and predicted class with their sums of
        weights and of squared weights (each of shape (n_pairs,))."""
        w, w2 = np.asarray(weight, np.float64), np.asarray(weight_squared, np.float64)
        shared, of_true, of_predicted = self.shared(true, predicted), self.depth[true], self.depth[predicted]
        common, both = float(w @ shared), float(w @ (of_true + of_predicted))
        value = float(divide(2.0 * common, both))
        variance = 0.0
        if both > 0:
            residual = 2.0 * shared - value * (of_true + of_predicted)
            variance = float(w2 @ (residual * residual)) / (both * both)
        precision = float(divide(common, w @ of_predicted))
        recall = float(divide(common, w @ of_true))
        return precision, recall, ratio_interval(value, variance, z)
