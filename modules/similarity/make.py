"""Everything of one index of a run: built, tuned, measured, written, and its table of neighbours."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from modules import progress
from modules.counting import counted
from modules.predictions.read import PredictionFiles
from modules.settings.similarity import IndexSettings
from modules.similarity.from_predictions import read_items
from modules.similarity.neighbours import write_neighbours
from modules.similarity.scann_index.index import ScannIndex
from modules.similarity.scann_index.quality import Quality, failed, tune_and_measure
from modules.similarity.scann_index.settings import ScannSettings
from modules.taxonomy import Taxonomy

NEIGHBOURS = "neighbours"
"""Folder of the tables of neighbours, beside the indexes' folders; a table has its index' name."""

PUSHED_MODEL = "model"
"""Folder of the SavedModel that embeds queries, beside indexes that were pushed."""


@dataclass(frozen=True)
class Made:
    """An index that was made, and what its measurement says.

    Attributes:
      quality: the global search first, then each partition.
      reasons: why it is not blessed; none: it is.
      near_duplicates: products that have one; None: no table of neighbours was asked for.
    """

    products: int
    quality: list[Quality]
    reasons: list[str]
    near_duplicates: int | None = None

    @property
    def blessed(self) -> bool:
        """Whether it may be pushed."""
        return not self.reasons

    def facts(self) -> dict[str, int | float]:
        """Figures in short."""
        figures: dict[str, int | float] = {
            "products": self.products,
            "partitions": len(self.quality) - 1,
            "recall": self.quality[0].recall,
            "lowest_recall": min(part.recall for part in self.quality),
            "milliseconds": self.quality[0].milliseconds,
            "queries_per_second": self.quality[0].queries_per_second,
        }
        if self.near_duplicates is not None:
            figures["near_duplicates"] = self.near_duplicates
        return figures


def make_index(
    files: PredictionFiles, taxonomy: Taxonomy, settings: IndexSettings, model: str, seed: int, folder: Path, name: str
) -> Made:
    """Writes the index into ``folder/name`` and its table of neighbours into ``folder/neighbours/name.parquet``.

    Args:
      model: fingerprint of the model that made the predictions (:func:`modules.similarity.identity.fingerprint`).

    Raises:
      InputError: the predictions have no such embedding or objective.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        items, partitions = read_items(files, taxonomy, settings, model, Path(scratch) / "vectors.npy")
        progress.report(
            0, len(items), f"index over {counted(len(items), 'product')} in {counted(len(partitions), 'partition')}"
        )
        built = ScannSettings(
            min_products=settings.min_products, leaves=settings.leaves, scoring=settings.wanted_scoring,
            quantisation=settings.quantisation,
        )  # fmt: skip
        ScannIndex.build(items, built, seed, partitions).save(folder / name)
    # What is measured is what will be served: mapped from the disk.
    index = ScannIndex.load(folder / name)
    quality = tune_and_measure(
        index, k=settings.k, recall=settings.recall, queries=settings.queries, seed=seed,
        leaves=settings.leaves_to_search, reorder=settings.reorder,
    )  # fmt: skip
    reasons = failed(quality, settings.min_recall)
    index.facts |= {"quality": [part.as_json() for part in quality], "blessed": not reasons, "reasons": reasons}
    index.save_facts(folder / name)
    written = None
    if settings.neighbours:
        table = folder / NEIGHBOURS / f"{name}.parquet"
        table.parent.mkdir(exist_ok=True)
        written = write_neighbours(index, table, settings.neighbours, settings.near_duplicate)
    return Made(len(index), quality, reasons, written.near_duplicates if written else None)
