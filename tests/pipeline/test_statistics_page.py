"""TFDV's statistics as a page."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

from modules.errors import InputError
from pipeline.statistics_page import write_statistics_page
from tests.modules.reporting.pages import assert_harmless
from tests.modules.reporting.sample import HOSTILE


def write_statistics(folder: Path, split: str, examples: int, brands: dict[str, int]) -> None:
    everything = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = everything.datasets.add(num_examples=examples)
    brand = dataset.features.add(type=statistics_pb2.FeatureNameStatistics.STRING)
    brand.path.step.append("brand")
    stats = brand.string_stats
    stats.common_stats.num_non_missing = sum(brands.values())
    stats.common_stats.min_num_values = stats.common_stats.max_num_values = 1
    stats.unique, stats.avg_length = len(brands), 7.25
    for value, count in brands.items():
        stats.top_values.add(value=value, frequency=count)
        stats.rank_histogram.buckets.add(label=value, sample_count=count)
    price = dataset.features.add(type=statistics_pb2.FeatureNameStatistics.FLOAT)
    price.path.step.append("price_log")
    number = price.num_stats
    number.common_stats.num_non_missing = number.common_stats.tot_num_values = examples
    number.common_stats.min_num_values, number.common_stats.max_num_values = 1, 3
    number.common_stats.avg_num_values = 1.5
    number.mean, number.std_dev, number.num_zeros = 2.5, 0.5, examples // 4
    number.min, number.median, number.max = -1.0, 2.0, 9.0
    quantiles = number.histograms.add(type=statistics_pb2.Histogram.QUANTILES)
    quantiles.buckets.add(low_value=0, high_value=1, sample_count=77)
    histogram = number.histograms.add(type=statistics_pb2.Histogram.STANDARD)
    for i in range(3):
        histogram.buckets.add(low_value=i, high_value=i + 1, sample_count=10.2 * i)
    (folder / f"Split-{split}").mkdir(parents=True)
    (folder / f"Split-{split}" / "FeatureStats.pb").write_bytes(everything.SerializeToString())


def test_the_facts_of_every_split_stand_on_the_page(tmp_path: Path) -> None:
    write_statistics(tmp_path / "s", "train", 200, {"Acme": 60, "Umbra": 40})
    write_statistics(tmp_path / "s", "eval", 20, {"Acme": 5})
    assert write_statistics_page(tmp_path / "s", tmp_path / "p.html", title="shop", subtitle="Run 1") == 2
    page = assert_harmless((tmp_path / "p.html").read_text("utf-8"))
    assert "brand train 100 50.0% 1 2 7.2 Acme 60 Umbra 40" in page.text
    assert "brand eval 5 75.0% 1 1 7.2 Acme 5" in page.text
    assert "price_log train 200 0.0% 1 - 1.5 - 3 2.5 0.5 25.0% -1 2 9" in page.text
    assert page.text.index("brand train") < page.text.index("brand eval")
    tips = [part.strip() for part in page.parts if " to " in part]
    assert tips[:3] == ["0 to 1: 0", "1 to 2: 10", "2 to 3: 20"]
    assert "Anomalies" not in page.text


def test_hostile_values_stay_text(tmp_path: Path) -> None:
    texts = [text for text in HOSTILE if text.isprintable()]
    write_statistics(tmp_path / "s", "train", 100, {text: 100 - i for i, text in enumerate(texts[:5])})
    write_statistics_page(tmp_path / "s", tmp_path / "p.html", title=texts[0], subtitle=texts[1])
    page = assert_harmless((tmp_path / "p.html").read_text("utf-8"))
    for text in texts[:5]:
        assert " ".join(text.split()) in page.text


def test_anomalies_are_listed(tmp_path: Path) -> None:
    write_statistics(tmp_path / "s", "train", 10, {"Acme": 5})
    for split, found in (("train", True), ("eval", False)):
        anomalies = anomalies_pb2.Anomalies()
        if found:
            anomalies.anomaly_info["brand"].description = "Examples contain <values> missing from the schema"
        (tmp_path / "a" / f"Split-{split}").mkdir(parents=True)
        (tmp_path / "a" / f"Split-{split}" / "SchemaDiff.pb").write_bytes(anomalies.SerializeToString())
    write_statistics_page(tmp_path / "s", tmp_path / "p.html", title="shop", anomalies=tmp_path / "a")
    page = assert_harmless((tmp_path / "p.html").read_text("utf-8"))
    assert "train brand Examples contain <values> missing from the schema" in page.text


@pytest.mark.parametrize("content", [None, b"", b"\xff\xff\xff"])
def test_what_cannot_be_read_is_said(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "Split-train").mkdir()
        (tmp_path / "Split-train" / "FeatureStats.pb").write_bytes(content)
    with pytest.raises(InputError, match="none" if content is None else "broken"):
        write_statistics_page(tmp_path, tmp_path / "p.html", title="shop")
    assert not (tmp_path / "p.html").exists()
