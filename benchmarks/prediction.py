"""Products per second of predict_file, beside Keras' own predict and TFX's RunInference.

    python -m benchmarks.prediction --products 32000 --write      # some minutes

All predict the same demo products with the same model (the default features, wide & deep, its weights as drawn: speed
does not depend on them). Plain ``model.predict`` is what one would write by hand: a tf.data pipeline that reads the
same file, parses and transforms it in parallel, and Keras' predict on it, which gathers the logits of all categories
and the embeddings in memory. ``predict_file`` does the same work, then takes the top categories and uncertainties
and writes Parquet. ``model.predict`` on ready inputs gets the transformed, padded batches out of memory: it pays for
neither reading, parsing nor Transform's graph, and shows how much of the time these are.
RunInference is what TFX's BulkInferrer runs; its results are counted, not written. Passes alternate, each way's best
counts.
Bar: predict_file at 0.7 of plain ``model.predict``. Results are kept in benchmarks/results/prediction.md (--write).
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import apache_beam as beam
import keras
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils
from tfx_bsl.public.beam import RunInference
from tfx_bsl.public.proto import model_spec_pb2

from modules.demo.categories import taxonomy_yaml
from modules.demo.products import COLUMNS, generate
from modules.models.build import build_model
from modules.predictions.predict import predict_file
from modules.preprocessing.transform import preprocessing_fn
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy
from modules.training.calibration import Calibration
from modules.training.data import dense_inputs
from modules.training.export import ServingModule, export_model
from modules.training.gather import Committee
from modules.training.run import input_sizes

RESULTS = Path(__file__).parent / "results" / "prediction.md"
TEXTS = [column for column in COLUMNS if column not in ("id", "image", "url")]
SPEC: dict[str, Any] = {"id": tf.io.FixedLenFeature([], tf.string)} | {
    column: tf.io.VarLenFeature(tf.string) for column in TEXTS
}
GZIP = tf.io.TFRecordOptions(compression_type="GZIP")


def examples(count: int) -> Iterator[bytes]:
    """Demo products as raw examples."""
    for product in generate(7, 0, count):
        record = dict(zip(COLUMNS, product.record, strict=True))
        feature = {
            name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[record[name].encode()]))
            for name in ("id", *TEXTS)
            if record[name]
        }
        yield tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def transform_graph(workflow: Workflow, folder: Path, analysed: int) -> tft.TFTransformOutput:
    """Transform's graph, analysed on the first products."""
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(SPEC))
    config = {"workflow": workflow.model_dump_json()}
    rows = []
    for product in generate(7, 0, analysed):
        record = dict(zip(COLUMNS, product.record, strict=True))
        rows.append(
            {name: [record[name].encode()] if record[name] else [] for name in TEXTS} | {"id": record["id"].encode()}
        )
    with beam.Pipeline(runner=FnApiRunner()) as pipeline, tft_beam.Context(temp_dir=str(folder / "tmp")):
        data = (pipeline | beam.Create(rows), metadata)
        graph = data | tft_beam.AnalyzeDataset(lambda inputs: preprocessing_fn(inputs, config))
        _ = graph | tft_beam.WriteTransformFn(str(folder / "transform"))
        _ = metadata | tft_beam.WriteMetadata(str(folder / "transform" / "metadata"), pipeline)
    return tft.TFTransformOutput(str(folder / "transform"))


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(options: argparse.Namespace, folder: Path) -> list[str]:
    """The table's rows."""
    (folder / "taxonomy.yaml").write_text(taxonomy_yaml(), encoding="utf-8")
    taxonomy = Taxonomy.load(folder / "taxonomy.yaml")
    taxonomy.write(folder / "taxonomy.json")
    workflow = Workflow.model_validate(
        {"name": "benchmark", "rules": {"file": "rules.yaml"}, "prediction": {"batch_size": options.batch_size}}
    )
    classes = {name: [c.id for c in o.classes(taxonomy)] for name, o in workflow.objectives.items()}
    output = transform_graph(workflow, folder, min(options.products, 4000))
    model = build_model(workflow, input_sizes(workflow, output, {name: len(ids) for name, ids in classes.items()}))
    layer = output.transform_features_layer()
    # With weights as drawn every probability is near a half: at this threshold a few categories are assigned.
    calibration = Calibration(thresholds={"rule_based": [0.6] * len(classes["rule_based"])})
    committee = Committee([model], model, [0], calibration)
    module = ServingModule(committee, layer, output.raw_feature_spec(), workflow, classes)
    export_model(module, layer, str(folder / "model"))
    raw = list(examples(options.products))
    for name, count in (("all", len(raw)), ("some", min(len(raw), 2 * options.batch_size))):
        with tf.io.TFRecordWriter(str(folder / f"{name}.gz"), GZIP) as writer:
            for example in islice(raw, count):
                writer.write(example)

    spec = module.raw_spec

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def transformed(serialised):
        return dense_inputs(layer(tf.io.parse_example(serialised, spec)), workflow.features)

    def records(name: str) -> tf.data.Dataset:
        return tf.data.TFRecordDataset(str(folder / f"{name}.gz"), compression_type="GZIP").batch(options.batch_size)

    ready = [transformed(batch) for batch in records("all")]
    signature_of = list(ready[0])

    def from_memory() -> Iterator[dict[str, tf.Tensor]]:
        yield from ready

    types = {name: tf.TensorSpec([None, *ready[0][name].shape[1:]], ready[0][name].dtype) for name in signature_of}
    for name, tensor in ready[0].items():
        if name.endswith(("/ids", "/weights")):
            types[name] = tf.TensorSpec([None, None], tensor.dtype)
    in_memory = tf.data.Dataset.from_generator(from_memory, output_signature=types)

    inference = model_spec_pb2.InferenceSpecType(
        saved_model_spec=model_spec_pb2.SavedModelSpec(model_path=str(folder / "model"))
    )

    def predicted(name: str = "all") -> None:
        predict_file(
            str(folder / f"{name}.gz"), str(folder / "out.parquet"), model=str(folder / "model"),
            taxonomy=str(folder / "taxonomy.json"), workflow=workflow.model_dump_json(),
        )  # fmt: skip

    parallel = tf.data.AUTOTUNE

    def plain_predict(name: str = "all") -> None:
        data = records(name).map(transformed, num_parallel_calls=parallel).prefetch(parallel)
        model.predict(data, verbose=0)

    def run_inference(name: str = "all") -> None:
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            _ = (
                pipeline
                | beam.io.ReadFromTFRecord(str(folder / f"{name}.gz"))
                | beam.Map(tf.train.Example.FromString)
                | RunInference(inference)
                | beam.combiners.Count.Globally()
            )

    ways: dict[str, Callable[[], None]] = {
        "plain `model.predict`": plain_predict,
        "`predict_file`": predicted,
        "`model.predict` on ready inputs": lambda: model.predict(in_memory, verbose=0),
        "TFX RunInference": run_inference,
    }
    predicted("some")
    plain_predict("some")
    run_inference("some")
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(options.passes):
        for name, work in ways.items():
            best[name] = min(best[name], seconds_of(work))
    plain = best["plain `model.predict`"]
    return [f"| {name} | {len(raw) / taken:,.0f} | {plain / taken:.2f} |" for name, taken in best.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=5000)
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="keep the results in benchmarks/results/prediction.md")
    options = parser.parse_args()
    keras.utils.set_random_seed(7)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(options, Path(folder))
    text = "\n".join(
        [
            "# Prediction",
            "",
            f"Python {platform.python_version()}, TensorFlow {tf.__version__}, {platform.machine()}, "
            f"{len(tf.config.list_physical_devices('GPU'))} GPUs. {options.products:,} demo products, batches of "
            f"{options.batch_size}, best of {options.passes}. `python -m benchmarks.prediction`.",
            "",
            "| way | products per second | of plain `model.predict` |",
            "| --- | --- | --- |",
            *rows,
        ]
    )
    print(text)
    if options.write:
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
