"""One run of Transform over the tiny catalogue, and one trained model, for all test folders of a session."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from modules.examples import encoding
from modules.models.build import InputSizes
from modules.settings.workflow import Workflow
from modules.training.fit import Heads, losses_of
from modules.training.run import train
from modules.training.task import Examples, TrainingTask
from tests.modules.training import catalogue

FEATURES: dict[str, dict[str, Any]] = {
    "title": {"kind": "text", "vocabulary": 200, "width": 16, "characters": {"buckets": 4096}},
    "ordered": {
        "kind": "text", "column": "title", "vocabulary": 200, "width": 8, "sequence": 3, "encoder": {"kind": "gru"},
    },
    "grams": {
        "kind": "text", "column": "title", "vocabulary": 40, "sublinear": True, "scale": 3.0, "width": 8,
        "word_ngrams": {"ngrams": [2, 3], "buckets": 2**20},
    },
    "description": {"kind": "text", "vocabulary": 50, "characters": {"buckets": 256}},
    "brand": {"kind": "categorical", "vocabulary": 2, "scale": 0.5},
    "size": {"kind": "categorical"},
    "price": {"kind": "price"},
    "rating": {"kind": "number", "buckets": 4, "scale": 0.4},
    "image": {"kind": "dense", "column": "image_vector", "dimension": 4},
    "meaning": {"kind": "encoded", "column": "title", "encoder": "/none/needed/yet", "width": 6, "scale": 0.7},
    "picture": {"kind": "image", "size": [16, 16], "channels": [8, 12, 16], "width": 12},
}  # fmt: skip
"""``description`` and ``size`` are missing in every product."""

ENCODED = encoding("meaning")

SMALL = ("title", "brand", "price", "image", "description", "size")
"""What most models of these tests read."""


@dataclass(frozen=True)
class Built:
    """The catalogue after Transform."""

    folder: Path
    workflow: Workflow
    transform: tft.TFTransformOutput
    files: dict[str, str]
    rows: dict[str, list[dict]]

    def settings(self, features: tuple[str, ...] = SMALL, **changes: Any) -> Workflow:
        """The tiny workflow over some of the features that were transformed."""
        return tiny(features, **changes)

    def raw(self, split: str) -> list[bytes]:
        """The split's products as serialised raw examples."""
        return [catalogue.raw_example(row) for row in self.rows[split]]

    def columns(self, split: str, names: list[str]) -> list[dict[str, np.ndarray]]:
        """Each transformed example's values."""
        found = []
        for record in tf.data.TFRecordDataset(self.files[split], compression_type="GZIP"):
            example = tf.train.Example.FromString(record.numpy())
            found.append({name: _values(example.features.feature[name]) for name in names})
        return found


def _values(feature: tf.train.Feature) -> np.ndarray:
    kind = feature.WhichOneof("kind")
    return np.array(getattr(feature, kind).value if kind else [])


def tiny(features: tuple[str, ...], /, **changes: Any) -> Workflow:
    """The catalogue's workflow with these features."""
    fields = {"image_vector": "image_vector"}
    return catalogue.workflow(
        **{
            "features": {name: FEATURES[name] for name in features},
            "feed": {"fields": fields, "attributes": {"rating": "rating"}},
            **changes,
        }
    )


def classes() -> dict[str, list[str]]:
    """Objective to class ids."""
    objectives = tiny(SMALL).objectives
    return {name: [c.id for c in o.classes(catalogue.TREE)] for name, o in objectives.items()}


def class_counts() -> dict[str, int]:
    """Objective to number of classes."""
    return {name: len(ids) for name, ids in classes().items()}


def split_rows() -> dict[str, list[dict]]:
    """Products by split; the first ones have the odd cases."""
    rows = {"train": catalogue.products(240, 1), "eval": catalogue.products(80, 2)}
    rows["train"][0]["image_vector"] = [1.0, 2.0]
    rows["train"][1]["image_vector"] = [1.0, 2.0, 3.0, 4.0, 5.0]
    rows["train"][2]["image_vector"] = [1.0, float("nan"), 3.0, 4.0]
    rows["train"][2][ENCODED] = [1.0, 0.0, 0.0]
    rows["train"][3][ENCODED] = [float("inf")] + [0.0] * 5
    rows["train"][3]["title"] = "Boot boot BOOT 靴 ботинок"
    rows["train"][4].update(title=None, brand=None, price=None, image_vector=None)
    rows["train"][5].update(brand="  BRAND1 ", price=float("nan"))
    rows["train"][6].update(price=-5.0)
    rows["eval"][0].update(brand="never seen", title="unheard of words")
    rows["eval"][1].update(title=None, brand=None, price=None, image_vector=None)
    return rows


@functools.cache
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="shelfmark-tests-")


@functools.cache
def _built() -> Built:
    folder = Path(_folder().name)
    rows = split_rows()
    settings = tiny(tuple(FEATURES))
    transform, files = catalogue.transformed(folder, settings, rows)
    return Built(folder, settings, tft.TFTransformOutput(transform), files, rows)


@functools.cache
def exported_model() -> tuple[Workflow, str]:
    data = _built()
    settings = data.settings(model=WIDE_DEEP, training={**TRAINING, "epochs": 6})
    output = str(data.folder / "exported")
    train(settings, catalogue.TREE, data.transform, [data.files["train"]], [data.files["eval"]], output=output)
    return settings, output


WIDE_DEEP = {"kind": "wide_deep", "hidden": [12], "normalization": "layer", "input_dropout": 0.1, "l2": 1e-4}
TRAINING = {"epochs": 2, "batch_size": 32, "learning_rate": 0.01, "mixed_precision": "off"}
IMAGE_START = {"epochs": 3, "small_epochs": 1, "batch_size": 32}
LIBLINEAR = {"solver": "liblinear", "mixed_precision": "off", "image_start": IMAGE_START}
IMAGE_KINDS: dict[str, dict[str, Any]] = {
    "linear": {"model": {"kind": "linear", "embedding_width": 12}, "training": LIBLINEAR},
    "lsa": {"model": {"kind": "lsa", "embedding_width": 12}, "training": LIBLINEAR},
    "deep": {
        "model": {"kind": "deep", "text_input": "embedding_bag", "hidden": [12], "joint": [16]},
        "training": {**TRAINING, "metric_learning": {"kind": "triplet"}},
    },
    "wide_deep": {"model": {"kind": "wide_deep", "hidden": [12], "joint": [16]}, "training": TRAINING},
}
"""What models of each kind with a picture are tested with."""


def heads_of(settings: Workflow) -> Heads:
    """What training minimises, classes unweighted."""
    return Heads(settings.objectives, losses_of(settings.objectives, {}), settings.model.weight_penalty)


def task_of(settings: Workflow, sizes: InputSizes, train: list[str], count: int, **changes: Any) -> TrainingTask:
    """A training on the transformed files ``train``, which hold about ``count`` examples."""
    losses = losses_of(settings.objectives, {})
    return TrainingTask(
        settings.features, settings.objectives, settings.model, settings.seed, catalogue.TREE, sizes, losses,
        train=Examples(train, count), **changes,
    )  # fmt: skip


@pytest.fixture(scope="session")
def built() -> Built:
    """The transformed catalogue (Transform runs once in a session)."""
    return _built()


@pytest.fixture(scope="session")
def exported(built: Built) -> tuple[Workflow, str]:
    """A wide & deep model, trained for some epochs, and its folder."""
    return exported_model()
