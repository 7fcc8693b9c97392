"""TFDV's statistics of a run as a page that needs nothing else.

TFDV's own view (Facets Overview) loads its code from GitHub and a CDN when it is opened: it shows nothing without a
network, and would run what these send. This page has the same facts, out of the same protos: per feature and split the
number of products with a value, missing ones, values per product, distinct values, lengths, most frequent values and
ranks, and for numbers mean, deviation, zeros, quantiles and a histogram.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from modules.errors import InputError, Problem
from modules.examples import RETAILERS, SPLIT_FOLDER, retailer_of_slice
from modules.reporting.page import render, write_page
from modules.reporting.svg import columns

_FILE, _ANOMALIES = "FeatureStats.pb", "SchemaDiff.pb"
_SPLITS = {"train": 0, "eval": 1, "test": 2}
_TOP, _RANKS = 5, 40


@dataclass(frozen=True)
class _Part:
    """What statistics are of: the products of a split, all of them or (``retailer``) one retailer's."""

    split: str
    retailer: str
    products: int

    @property
    def title(self) -> str:
        return f"{self.split}, {self.retailer}" if self.retailer else self.split


@dataclass(frozen=True)
class _Common:
    """What every feature has in a split, of all products or those of ``retailer``.

    ``values_each``: least, mean and most values of a product that has any.
    """

    name: str
    split: str
    retailer: str
    present: int
    missing_share: float
    values_each: str
    chart: Markup


@dataclass(frozen=True)
class TextStatistics(_Common):
    """A text feature in one split; ``top``: its most frequent values and the number of their products."""

    distinct: int
    mean_length: float
    top: list[tuple[str, float]]


@dataclass(frozen=True)
class NumberStatistics(_Common):
    """A numeric feature in one split."""

    mean: float
    std_dev: float
    zeros_share: float
    min: float
    median: float
    max: float


def write_statistics_page(
    statistics: str | Path, output: str | Path, *, title: str, subtitle: str = "", anomalies: str | Path | None = None
) -> int:
    """Writes the page.

    Args:
      statistics: folder of an ExampleStatistics artifact (``Split-<name>/FeatureStats.pb``).
      output: the HTML file.
      anomalies: folder of the ExampleAnomalies artifact that belongs to it.

    Returns:
      The number of features.

    Raises:
      InputError: there are no statistics in the folder, or they cannot be read.
    """
    folders = _split_folders(Path(statistics), _FILE)
    if not folders:
        raise InputError(Problem(str(statistics), f"statistics (Split-*/{_FILE}); there are none"))
    texts: list[TextStatistics] = []
    numbers: list[NumberStatistics] = []
    parts: list[_Part] = []
    for split, file in folders:
        for dataset in _datasets(file):
            part = _Part(split, retailer_of_slice(dataset.name) or "", int(dataset.num_examples))
            parts.append(part)
            for feature in dataset.features:
                kind = feature.WhichOneof("stats")
                if kind in ("string_stats", "bytes_stats"):
                    texts.append(_text(feature, part))
                elif kind == "num_stats":
                    numbers.append(_number(feature, part))
    for rows in (texts, numbers):
        rows.sort(key=lambda row: (row.name, _SPLITS.get(row.split, 3), row.split, row.retailer))
    listed_anomalies = None if anomalies is None else list(_anomalies(Path(anomalies)))
    page = render(
        "statistics.html.j2",
        title=title,
        subtitle=subtitle,
        splits=[(part.split, part.products) for part in parts if not part.retailer],
        retailers=[part for part in parts if part.retailer],
        texts=texts,
        numbers=numbers,
        anomalies=listed_anomalies,
    )
    write_page(output, page)
    return len({row.name for row in [*texts, *numbers]})


def _split_folders(folder: Path, name: str) -> list[tuple[str, Path]]:
    folders = [(file.parent.name.removeprefix(SPLIT_FOLDER), file) for file in folder.glob(f"{SPLIT_FOLDER}*/{name}")]
    return sorted(folders, key=lambda pair: (_SPLITS.get(pair[0], 3), pair[0]))


def _datasets(file: Path) -> list[Any]:
    """The statistics of all products, the first one, and of each retailer's."""
    from google.protobuf.message import DecodeError
    from tensorflow_metadata.proto.v0 import statistics_pb2

    try:
        datasets = list(statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes()).datasets)
    except DecodeError:
        datasets = []
    if not datasets:
        raise InputError(Problem(str(file), "TFDV statistics; the file is broken"))
    return sorted(datasets, key=lambda dataset: retailer_of_slice(dataset.name) or "")


def _anomalies(folder: Path) -> Iterator[tuple[str, str, str]]:
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    for split, file in _split_folders(folder, _ANOMALIES):
        own = sorted((file.parent / RETAILERS).glob("*.pb"))
        for whose, path in [(split, file), *((f"{split}, {path.stem}", path) for path in own)]:
            read = anomalies_pb2.Anomalies.FromString(path.read_bytes())
            for feature, info in sorted(read.anomaly_info.items()):
                yield whose, feature, info.description
            if read.HasField("dataset_anomaly_info"):
                yield whose, "", read.dataset_anomaly_info.description


def _common(feature: Any, part: _Part, common: Any, chart: Markup) -> dict[str, Any]:
    present = int(common.num_non_missing)
    least, most = common.min_num_values, common.max_num_values
    each = f"{least}" if least == most else f"{least} - {common.avg_num_values:.1f} - {most}"
    return {
        "name": _name(feature),
        "split": part.split,
        "retailer": part.retailer,
        "present": present,
        # num_missing leaves out a feature that is in no product at all.
        "missing_share": 1.0 - present / part.products if part.products else 0.0,
        "values_each": each if present else "",
        "chart": chart,
    }


def _name(feature: Any) -> str:
    return ".".join(feature.path.step) if feature.path.step else feature.name


def _text(feature: Any, part: _Part) -> TextStatistics:
    if feature.WhichOneof("stats") == "bytes_stats":
        stats = feature.bytes_stats
        common = _common(feature, part, stats.common_stats, Markup(""))
        return TextStatistics(**common, distinct=int(stats.unique), mean_length=stats.avg_num_bytes, top=[])
    stats = feature.string_stats
    ranks = [(bucket.label, bucket.sample_count) for bucket in stats.rank_histogram.buckets[:_RANKS]]
    chart = columns(f"Ranks of {_name(feature)}, {part.title}", ranks)
    top = [(top.value, top.frequency) for top in stats.top_values[:_TOP]]
    common = _common(feature, part, stats.common_stats, chart)
    return TextStatistics(**common, distinct=int(stats.unique), mean_length=stats.avg_length, top=top)


def _number(feature: Any, part: _Part) -> NumberStatistics:
    stats = feature.num_stats
    total = stats.common_stats.tot_num_values
    histogram = next((h for h in stats.histograms if h.type == h.STANDARD), None)
    # TFDV spreads a fraction of a value over empty bins.
    buckets = [
        (f"{b.low_value:.4g} to {b.high_value:.4g}", float(round(b.sample_count)))
        for b in (histogram.buckets if histogram is not None else ())
    ]
    chart = columns(f"Histogram of {_name(feature)}, {part.title}", buckets)
    return NumberStatistics(
        **_common(feature, part, stats.common_stats, chart),
        mean=stats.mean,
        std_dev=stats.std_dev,
        zeros_share=stats.num_zeros / total if total else 0.0,
        min=stats.min,
        median=stats.median,
        max=stats.max,
    )


def subtitle_of(run: str, properties: Any) -> str:
    """What stands below the title."""
    splits = properties.get("split_names")
    named = f", splits {', '.join(json.loads(splits))}" if splits else ""
    return f"Run {run}{named}"
