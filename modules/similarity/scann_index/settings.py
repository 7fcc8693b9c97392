"""What an approximate index is built with and searched by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from modules.settings.base import Settings

Count = Annotated[int, Field(ge=1)]

Scoring = Literal["vectors", "codes"]

_MAPPED_FROM = 2 << 30
"""Bytes of int8 vectors."""
_CODES_FROM = 64 << 20
"""Bytes of float32 vectors. From some 100,000 products on codes are quicker; until then memory is no concern."""


class Effort(Settings):
    """How hard a search looks, and what that costs."""

    k: Count
    """Neighbours that are looked for."""
    leaves: Count
    """Leaves that are searched."""
    reorder: Count
    """Candidates whose scores are computed again with all their numbers; without codes there are no such."""
    refine: Annotated[int, Field(ge=0)] = 0
    """Of those the best, ordered by the vectors themselves, which quantised ones cannot tell apart; 0: none."""
    seconds: Annotated[float, Field(ge=0)] = 0.0
    """Processor time of a query in a large batch; 0: not measured."""


class ScannSettings(Settings):
    """Of :class:`modules.similarity.scann_index.index.ScannIndex`."""

    min_products: Count = 20_000
    """Fewer products, in a partition or in all, are compared one by one."""
    leaves: Count | None = None
    """Of the tree of the global index; None: from the number of products. A partition's always follows from its own."""
    scoring: Scoring | None = None
    """What a leaf holds. ``vectors``: float32, each of which is compared; ``codes``: 4 bits for two numbers, by which
    candidates are found, and quantised vectors to score those again. None: codes as soon as the vectors take more than
    64 MiB."""
    quantisation: Literal["int8", "bfloat16", "float32"] = "int8"
    """Of the vectors that candidates found by codes are scored again with."""
    mapped: bool | None = None
    """Whether those lie in one mapped file (int8) that all trees share, and not in each tree's memory; None: as soon as
    they take more than 2 GiB."""
    anisotropic: Annotated[float, Field(gt=0, lt=1)] | None = 0.2
    """Threshold T of anisotropic quantisation (Guo et al. 2020, "Accelerating Large-Scale Inference with Anisotropic
    Vector Quantization"); None: plain quantisation."""
    sample: Count = 100_000
    """Products that tree and code books are learnt from."""
    build_memory: Count = 2 << 30
    """Bytes of float32 vectors that are handed to ScaNN at once; more are added to the index block by block."""
    rebuild_share: Annotated[float, Field(gt=0)] = 0.2
    """A rebuild pays as soon as more than this share of the products came or went."""
    efforts: tuple[Effort, ...] = ()
    """By k, of the global index; empty: from the number of products."""

    @model_validator(mode="after")
    def _mapped_is_int8(self) -> ScannSettings:
        if self.mapped and (self.quantisation != "int8" or self.scoring == "vectors"):
            value = "scoring: vectors" if self.scoring == "vectors" else self.quantisation
            raise ValueError(f"expected codes and quantisation int8 with mapped, not {value}")
        return self

    def for_size(self, products: int, dimension: int) -> ScannSettings:
        """These settings with ``scoring`` and ``mapped`` decided."""
        numbers = products * dimension
        by_size: Scoring = "codes" if self.mapped or 4 * numbers > _CODES_FROM else "vectors"
        scoring = self.scoring or by_size
        mapped = self.mapped
        if mapped is None:
            mapped = scoring == "codes" and self.quantisation == "int8" and numbers > _MAPPED_FROM
        return self.model_copy(update={"scoring": scoring, "mapped": mapped})


def leaves_of(products: int) -> int:
    """Leaves of a tree: so many that a leaf has some hundred products and the leaves are found quickly."""
    return int(np.clip(round(2 * np.sqrt(products)), 1, max(1, products // 40)))


def effort_of(efforts: Sequence[Effort], k: int, leaves: int, products: int) -> Effort:
    """The effort for ``k`` neighbours: between two that are known, the first one with less, or the last one stretched.

    What is needed grows as a power of k between two known efforts: within 1% of the recall
    (docs/explanation/results/similarity.md).

    Args:
      efforts: ascending by k.
      leaves: of the tree.
      products: in the index.
    """
    if not efforts:
        efforts = (Effort(k=100, leaves=max(1, leaves // 20), reorder=250),)
    place = next((i for i, effort in enumerate(efforts) if effort.k >= k), None)
    if place is None:
        last = efforts[-1]
        times = k / last.k
        return Effort(
            k=k, leaves=min(leaves, int(np.ceil(last.leaves * times))),
            reorder=max(k, min(products, int(np.ceil(last.reorder * times)))), refine=_refine(last, k),
            seconds=last.seconds * times,
        )  # fmt: skip
    high = efforts[place]
    if high.k == k or not place:
        # Fewer neighbours need fewer candidates, but not in proportion: the first ones are the hardest to order.
        reorder = high.reorder if k == high.k else max(3 * k + 20, high.reorder * k // high.k)
        return Effort(
            k=k, leaves=min(high.leaves, leaves), reorder=min(reorder, high.reorder, max(products, k)),
            refine=_refine(high, k), seconds=high.seconds,
        )  # fmt: skip
    low = efforts[place - 1]
    share = np.log(k / low.k) / np.log(high.k / low.k)

    def between(less: float, more: float) -> float:
        return float(less * (more / less) ** share) if less > 0 and more > 0 else less + (more - less) * share

    return Effort(
        k=k, leaves=min(leaves, round(between(low.leaves, high.leaves))),
        reorder=max(k, min(products, round(between(low.reorder, high.reorder)))),
        refine=max(_refine(low, k), _refine(high, k)), seconds=between(low.seconds, high.seconds),
    )  # fmt: skip


def _refine(effort: Effort, k: int) -> int:
    return -(-effort.refine * k // effort.k)
