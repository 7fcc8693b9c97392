"""Statistics and anomalies of each retailer, by TFX's own executors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

tf = pytest.importorskip("tensorflow")
from tfx import types  # noqa: E402
from tfx.components.statistics_gen import executor as statistics_executor  # noqa: E402
from tfx.components.util import examples_utils  # noqa: E402
from tfx.dsl.components.base import base_beam_executor  # noqa: E402
from tfx.proto import example_gen_pb2  # noqa: E402
from tfx.types import artifact_utils, standard_artifacts  # noqa: E402

from components.example_validator.component import ProductValidatorExecutor  # noqa: E402
from components.statistics_gen.component import product_statistics  # noqa: E402
from modules.errors import InputError  # noqa: E402
from modules.examples import BRAND, RETAILER  # noqa: E402
from pipeline.statistics_page import write_statistics_page  # noqa: E402
from tests.modules.reporting.pages import assert_harmless  # noqa: E402

SCHEMA = """
feature { name: "retailer" type: BYTES value_count { min: 1 max: 1 } presence { min_count: 1 } }
feature { name: "brand" type: BYTES value_count { min: 1 max: 1 } presence { min_fraction: 0.5 min_count: 1 } }
"""


def artifact(kind: Any, folder: Path, splits: list[str] | None = None) -> Any:
    made = kind()
    made.uri = str(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if splits is not None:
        made.split_names = artifact_utils.encode_split_names(splits)
    return made


def write_examples(folder: Path) -> Any:
    """30 products of north with a brand each, 10 of south without any."""
    examples = artifact(standard_artifacts.Examples, folder, ["train"])
    examples_utils.set_payload_format(examples, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE)
    examples_utils.set_file_format(examples, "tfrecords_gzip")
    (folder / "Split-train").mkdir()
    path = str(folder / "Split-train" / "data_tfrecord-00000-of-00001.gz")
    with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for number in range(40):
            values = {RETAILER: "north", BRAND: f"b{number % 3}"} if number < 30 else {RETAILER: "south"}
            feature = {
                name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
                for name, text in values.items()
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    return examples


@pytest.mark.slow
def test_a_retailers_anomaly_shows_though_all_products_together_have_none(tmp_path: Path) -> None:
    examples = write_examples(tmp_path / "examples")
    component = product_statistics(types.Channel(type=standard_artifacts.Examples), by_retailer=True)
    statistics = artifact(standard_artifacts.ExampleStatistics, tmp_path / "statistics")
    (tmp_path / "tmp").mkdir()
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=["--runner=FnApiRunner"], tmp_dir=str(tmp_path / "tmp"), unique_id="1"
    )
    statistics_executor.Executor(context).Do(
        {"examples": [examples]}, {"statistics": [statistics]}, dict(component.exec_properties)
    )
    schema = artifact(standard_artifacts.Schema, tmp_path / "schema")
    (tmp_path / "schema" / "schema.pbtxt").write_text(SCHEMA)
    anomalies = artifact(standard_artifacts.ExampleAnomalies, tmp_path / "anomalies")
    inputs = {"statistics": [statistics], "schema": [schema]}
    properties = {"exclude_splits": "[]", "stop_on_anomalies": 1}
    with pytest.raises(InputError) as caught:
        ProductValidatorExecutor().Do(inputs, {"anomalies": [anomalies]}, properties)
    assert [(problem.file, problem.key) for problem in caught.value.problems] == [("train products of south", BRAND)]
    write_statistics_page(tmp_path / "statistics", tmp_path / "page.html", title="t", anomalies=tmp_path / "anomalies")
    text = assert_harmless((tmp_path / "page.html").read_text("utf-8")).text
    assert "train, south brand" in text and "train north 30" in text and "train south 10" in text
    assert "brand train all 30 25.0%" in text and "brand train north 30 0.0%" in text
