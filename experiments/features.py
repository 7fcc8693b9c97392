"""The workflow's features over products in memory: Transform's own graph, without the component around it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

from modules.examples import encoding
from modules.features import encodings_of
from modules.feeds.mapping import Product
from modules.feeds.text_vectors import TextVectors
from modules.preprocessing.transform import preprocessing_fn
from modules.settings.workflow import Workflow
from modules.training.data import dense_inputs

BATCH = 1024


def analysed(products: Sequence[Product], workflow: Workflow, folder: Path) -> tft.TFTransformOutput:
    """Transform's graph with vocabularies and frequencies of ``products``, written to ``folder``."""
    import apache_beam as beam
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(_raw_spec(workflow)))
    config = {"workflow": workflow.model_dump_json(include={"name", "features"})}
    rows = _rows(products, workflow)
    with (
        tempfile.TemporaryDirectory() as temporary,
        beam.Pipeline(runner=FnApiRunner()) as pipeline,
        tft_beam.Context(temp_dir=temporary, desired_batch_size=BATCH, use_deep_copy_optimization=False),
    ):
        data = (pipeline | beam.Create(rows), metadata)
        graph = data | tft_beam.AnalyzeDataset(lambda inputs: preprocessing_fn(inputs, config))
        _ = graph | tft_beam.WriteTransformFn(str(folder))
        _ = metadata | tft_beam.WriteMetadata(str(folder / "metadata"), pipeline)
    return tft.TFTransformOutput(str(folder))


def model_inputs(
    products: Sequence[Product], workflow: Workflow, graph: tft.TFTransformOutput
) -> list[dict[str, np.ndarray]]:
    """What the model takes, in batches of at most ``BATCH`` products, in their order."""
    layer = graph.transform_features_layer()
    spec = _raw_spec(workflow)
    transformed = tf.function(
        lambda serialised: dense_inputs(layer(tf.io.parse_example(serialised, spec)), workflow.features),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    return [
        {name: value.numpy() for name, value in transformed(tf.constant(batch)).items()}
        for batch in _serialised(products, workflow)
    ]


def _serialised(products: Sequence[Product], workflow: Workflow) -> Iterator[list[bytes]]:
    texts = workflow.product_columns.texts
    for start in range(0, len(products), BATCH):
        batch = []
        for row in _rows(products[start : start + BATCH], workflow):
            features = {}
            for name, values in row.items():
                if name not in texts:
                    features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
                else:
                    features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
            batch.append(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
        yield batch


def _columns(workflow: Workflow) -> set[str]:
    return {column for name, feature in workflow.features.items() for column in feature.raw_columns(name)}


def _raw_spec(workflow: Workflow) -> dict[str, Any]:
    texts = workflow.product_columns.texts
    return {
        name: tf.io.VarLenFeature(tf.string if name in texts else tf.float32) for name in sorted(_columns(workflow))
    }


def _rows(products: Sequence[Product], workflow: Workflow) -> list[dict[str, Any]]:
    """The raw columns of each product. Encoders' vectors are computed, or taken from the workflow's cache of them."""
    vectors = TextVectors(encodings_of(workflow.features), settings=workflow.encodings)
    return [_row(product, own, workflow) for product, own in zip(products, vectors.of(products), strict=True)]


def _row(product: Product, encoded: Mapping[str, Any], workflow: Workflow) -> dict[str, Any]:
    """The raw columns: lists of values, empty where the product has none."""
    columns = workflow.product_columns
    row: dict[str, Any] = {encoding(name): encoded.get(encoding(name), ()) for name in encodings_of(workflow.features)}
    for name in _columns(workflow) - row.keys():
        if name in columns.vectors:
            row[name] = product.vectors.get(name, ())
        elif name in columns.texts:
            row[name] = [product.text[name].encode()] if name in product.text else []
        else:
            row[name] = [product.numbers[name]] if name in product.numbers else []
    return row
