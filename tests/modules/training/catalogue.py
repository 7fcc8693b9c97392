"""A tiny catalogue that a model can learn, transformed by the real graph, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform.beam as tft_beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

from modules.preprocessing.transform import preprocessing_fn
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy

WORDS = {
    "Shoes > Boots": ["boot", "leather", "ankle"],
    "Shoes > Sandals": ["sandal", "strap", "summer"],
    "Bags > Totes": ["tote", "canvas", "carry"],
    "Bags > Backpacks": ["backpack", "school", "zip"],
}
TREE = Taxonomy.from_paths([tuple(path.split(" > ")) for path in WORDS])


def products(n: int, seed: int, labelled: float = 0.5) -> list[dict]:
    """Raw products: title and brand say the category; a share of them is labelled."""
    rng, pictures, ratings, encoders = (np.random.default_rng(seed + more) for more in (0, 1000, 2000, 3000))
    names = list(WORDS)
    index = {TREE.path_text(c): i for i, c in enumerate(TREE.exclusive)}
    everything = {TREE.path_text(c): i for i, c in enumerate(TREE)}
    rows = []
    for i in range(n):
        name = names[rng.integers(len(names))]
        title = " ".join([*rng.choice(WORDS[name], 2), f"Model{rng.integers(50)}"])
        parts = name.split(" > ")
        by_rule = rng.random() < 0.7
        rows.append(
            {
                "id": f"p{i}",
                "title": title if rng.random() > 0.05 else None,
                "brand": f"brand{rng.integers(3)}" if rng.random() > 0.2 else None,
                "price": int(rng.integers(5, 90)) + 0.5 if rng.random() > 0.2 else None,
                "image_vector": rng.normal(size=4).astype(np.float32).tolist() if rng.random() > 0.3 else None,
                "image_bytes": picture(names.index(name), pictures) if pictures.random() > 0.15 else b"",
                "rating": float(ratings.integers(1, 11)) / 2 if ratings.random() > 0.2 else None,
                # All in one corner of the space, as an encoder's vectors are.
                "encoding/meaning": unit(encoders.normal(0.8, 0.5, 6)) if encoders.random() > 0.1 else None,
                "truth": index[name],
                "label/exclusive": index[name] if rng.random() < labelled else -1,
                "label/rule_based": [everything[parts[0]], everything[name]] if by_rule else [],
            }
        )
    return rows


def unit(vector: np.ndarray) -> list[float]:
    """The vector at length 1."""
    return (vector / np.linalg.norm(vector)).astype(np.float32).tolist()


COLOURS = ((220, 40, 40), (40, 200, 40), (40, 40, 220), (230, 200, 60))
"""Of the pictures of each category, in the order of ``WORDS``."""


def picture(category: int, rng: np.random.Generator, size: tuple[int, int] = (24, 20)) -> bytes:
    """A JPEG file: a block of the category's colour somewhere on a light ground."""
    pixels = rng.integers(215, 256, (*size, 3))
    top, left = (int(rng.integers(0, side // 3)) for side in size)
    block = pixels[top : top + 2 * size[0] // 3, left : left + 2 * size[1] // 3]
    block[:] = np.array(COLOURS[category]) + rng.integers(-35, 36, block.shape)
    return tf.io.encode_jpeg(np.clip(pixels, 0, 255).astype(np.uint8), quality=92).numpy()


def workflow(**changes) -> Workflow:
    """A small workflow over that catalogue."""
    return Workflow.model_validate(
        {
            "name": "tiny",
            "rules": {"file": "rules.yaml"},
            "features": {
                "title": {"kind": "text", "vocabulary": 200, "width": 16, "characters": {"buckets": 512}},
                "brand": {"kind": "categorical"},
                "price": {"kind": "price"},
            },
            "objectives": {"exclusive": {"kind": "exclusive"}, "rule_based": {"kind": "multi_label"}},
            "training": {"epochs": 12, "batch_size": 32, "learning_rate": 0.01, "mixed_precision": "off"},
            "prediction": {"top_k": 3},
            **changes,
        }
    )


RAW_SPEC = {
    "id": tf.io.FixedLenFeature([], tf.string),
    "title": tf.io.VarLenFeature(tf.string),
    "brand": tf.io.VarLenFeature(tf.string),
    "price": tf.io.VarLenFeature(tf.float32),
    "size": tf.io.VarLenFeature(tf.string),
    "description": tf.io.VarLenFeature(tf.string),
    "image_vector": tf.io.VarLenFeature(tf.float32),
    "rating": tf.io.VarLenFeature(tf.float32),
    "encoding/meaning": tf.io.VarLenFeature(tf.float32),
    "image_bytes": tf.io.VarLenFeature(tf.string),
    "label/exclusive": tf.io.FixedLenFeature([], tf.int64),
    "label/rule_based": tf.io.VarLenFeature(tf.int64),
}


def raw_example(row: dict) -> bytes:
    """A product as a serialised raw tf.Example."""
    feature = {}
    for name in ("id", "title", "brand", "size", "description"):
        if row.get(name) is not None:
            feature[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[row[name].encode()]))
    for name in ("price", "rating"):
        if row.get(name) is not None:
            feature[name] = tf.train.Feature(float_list=tf.train.FloatList(value=[row[name]]))
    if row.get("image_bytes") is not None:
        feature["image_bytes"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[row["image_bytes"]]))
    for name in ("image_vector", "encoding/meaning"):
        if row.get(name) is not None:
            feature[name] = tf.train.Feature(float_list=tf.train.FloatList(value=row[name]))
    if "label/exclusive" not in row:
        return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    feature["label/exclusive"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[row["label/exclusive"]]))
    feature["label/rule_based"] = tf.train.Feature(int64_list=tf.train.Int64List(value=row["label/rule_based"]))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def transformed(folder: Path, settings: Workflow, splits: dict[str, list[dict]]) -> tuple[str, dict[str, str]]:
    """Runs Transform's graph over the splits (analysed on the first).

    Returns:
      The transform output folder, and split to TFRecord file.
    """
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(RAW_SPEC))
    output = str(folder / "transform")
    files = {}
    names = list(splits)
    config = {"workflow": settings.model_dump_json()}

    def rows(split):
        return [{key: _instance(key, row.get(key)) for key in RAW_SPEC} for row in splits[split]]

    with (
        beam.Pipeline(runner=FnApiRunner()) as pipeline,
        tft_beam.Context(temp_dir=str(folder / "tmp"), desired_batch_size=400, use_deep_copy_optimization=False),
    ):
        first = (pipeline | "first" >> beam.Create(rows(names[0])), metadata)
        transform_fn = first | tft_beam.AnalyzeDataset(lambda inputs: preprocessing_fn(inputs, config))
        _ = transform_fn | tft_beam.WriteTransformFn(output)
        _ = metadata | tft_beam.WriteMetadata(str(folder / "transform" / "metadata"), pipeline)
        for split in names:
            data = (pipeline | split >> beam.Create(rows(split)), metadata)
            records, _ = (data, transform_fn) | f"transform {split}" >> tft_beam.TransformDataset(
                output_record_batches=True
            )
            files[split] = str(folder / f"{split}.gz")
            _ = (
                records
                | f"encode {split}" >> beam.FlatMapTuple(lambda batch, _: RecordBatchToExamplesEncoder().encode(batch))
                | f"write {split}" >> beam.io.WriteToTFRecord(files[split], num_shards=1, shard_name_template="")
            )
    return output, files


def _instance(key, value):
    if key == "id":
        return value.encode()
    if value is None:
        return []
    if isinstance(value, bytes):
        return [value]
    return [value.encode()] if isinstance(value, str) else value
