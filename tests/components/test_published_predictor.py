"""Published are the predictions of the last blessed model: the newest one only if it is blessed."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from components.artifact_types import Predictions, ProductTaxonomy
from components.predictor.executor import PredictorExecutor
from components.published_predictor.executor import PublishedPredictorExecutor
from modules.drift.profile import FEED_PROFILE, FeedProfile
from modules.examples import MODEL_FACTS, TAXONOMY_FILE
from modules.predictions.acceptance import read_acceptance
from modules.settings.acceptance import AcceptanceSettings
from modules.taxonomy import Taxonomy
from tests.modules.training.catalogue import TREE
from tests.modules.training.shared import Built, built, exported  # noqa: F401


class Run:
    """Artifacts as a run has them; the taxonomy of the labels has a category more than the models'."""

    def __init__(self, folder: Path, made: Built, model: str):
        self.folder = folder
        self.examples = standard_artifacts.Examples()
        self.examples.uri, self.examples.split_names = str(folder / "examples"), '["train", "test"]'
        for split, rows in {"train": made.raw("eval"), "test": made.raw("eval")[:5]}.items():
            (folder / "examples" / f"Split-{split}").mkdir(parents=True)
            file = folder / "examples" / f"Split-{split}" / "data_tfrecord-00000.gz"
            with tf.io.TFRecordWriter(str(file), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
                for example in rows:
                    writer.write(example)
        self.newest, self.before = self._model("newest", 2, model), self._model("before", 1, model)
        self.taxonomy = self._artifact(ProductTaxonomy, "taxonomy", 3)
        Path(self.taxonomy.uri).mkdir()
        TREE.write(Path(self.taxonomy.uri) / TAXONOMY_FILE)
        self.blessing = self._artifact(standard_artifacts.ModelBlessing, "blessing", 4)

    def _artifact(self, kind: Any, name: str, identity: int) -> Any:
        artifact = kind()
        artifact.uri, artifact.id = str(self.folder / name), identity
        return artifact

    def _model(self, name: str, identity: int, source: str) -> Any:
        artifact = self._artifact(standard_artifacts.Model, name, identity)
        shutil.copytree(source, Path(artifact.uri) / "Format-Serving")
        TREE.write(Path(artifact.uri) / "Format-Serving" / TAXONOMY_FILE)
        return artifact

    def _context(self) -> Any:
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        return base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=["--runner=FnApiRunner"],
            tmp_dir=str(scratch),
            unique_id="1",
        )

    def predictions(self, settings: str) -> Any:
        """What Predictor makes of the newest model."""
        output = self._artifact(Predictions, "predictions", 5)
        inputs = {"examples": [self.examples], "model": [self.newest], "taxonomy": [self.taxonomy]}
        PredictorExecutor(self._context()).Do(inputs, {"predictions": [output]}, {"workflow": settings})
        return output

    def published(self, predictions: Any, *, blessed: bool, before: bool) -> Any:
        """What is published."""
        output = self._artifact(Predictions, f"published-{blessed}-{before}", 6)
        self.blessing.set_int_custom_property("blessed", int(blessed))
        inputs = {
            "examples": [self.examples], "model": [self.newest], "blessing": [self.blessing],
            "predictions": [predictions], "taxonomy": [self.taxonomy],
            **({"blessed_model": [self.before]} if before else {}),
        }  # fmt: skip
        PublishedPredictorExecutor(self._context()).Do(inputs, {"published_predictions": [output]}, {})
        return output


@pytest.fixture(scope="module")
def run(built: Built, exported, tmp_path_factory: pytest.TempPathFactory) -> Run:  # noqa: F811
    return Run(tmp_path_factory.mktemp("run"), built, exported[1])


@pytest.fixture(scope="module")
def predictions(run: Run, exported) -> Any:  # noqa: F811
    return run.predictions(exported[0].model_dump_json(include={"name", "objectives", "prediction", "committee"}))


def test_a_blessed_newest_model_is_published_without_predicting_again(run: Run, predictions: Any) -> None:
    output = run.published(predictions, blessed=True, before=True)
    files = sorted(path.relative_to(output.uri) for path in Path(output.uri).rglob("*") if path.is_file())
    assert len(files) == 4 and {Path(TAXONOMY_FILE), Path(FEED_PROFILE)} <= set(files)
    files.remove(Path(FEED_PROFILE))
    for file in files:
        copy, original = Path(output.uri) / file, Path(predictions.uri) / file
        # Not a link: what damages the one would damage the other.
        assert copy.read_bytes() == original.read_bytes() and not copy.samefile(original)
    assert output.get_string_custom_property("model") == run.newest.uri
    assert output.get_int_custom_property("products") == 85


def test_the_last_blessed_model_predicts_with_its_own_taxonomy(run: Run, predictions: Any) -> None:
    new = next(iter(TREE))
    renamed = Path(run.before.uri) / "Format-Serving" / TAXONOMY_FILE
    # This run's taxonomy puts a category first, so that every class index of its labels has moved by one.
    later = Taxonomy.from_paths(["AAA", *(c.path for c in TREE)], exclusive="all")
    assert next(c.id for c in later.exclusive) != new.id
    file = Path(run.taxonomy.uri) / TAXONOMY_FILE
    old = file.read_bytes()
    later.write(file)
    try:
        output = run.published(predictions, blessed=False, before=True)
    finally:
        file.write_bytes(old)
    assert output.get_string_custom_property("model") == run.before.uri
    assert output.get_int_custom_property("products") == 85
    assert (Path(output.uri) / TAXONOMY_FILE).read_bytes() == renamed.read_bytes()
    now = pq.read_table(Path(output.uri) / "Split-train" / "part-00000.parquet")
    usual = pq.read_table(Path(predictions.uri) / "Split-train" / "part-00000.parquet")
    assert now.schema == usual.schema
    assert now["exclusive/category"].to_pylist() == usual["exclusive/category"].to_pylist()
    np.testing.assert_allclose(now["exclusive/probability"], usual["exclusive/probability"], atol=1e-6)
    places = {c.id: i for i, c in enumerate(TREE.exclusive)}
    ids = [c.id for c in later.exclusive]
    expected = [-1 if label < 0 else places.get(ids[label], -1) for label in usual["exclusive/label"].to_pylist()]
    assert now["exclusive/label"].to_pylist() == expected
    assert any(label >= 0 for label in expected) and expected != usual["exclusive/label"].to_pylist()


def test_nothing_is_published_before_a_model_was_blessed(run: Run, predictions: Any) -> None:
    output = run.published(predictions, blessed=False, before=False)
    assert output.get_int_custom_property("products") == 0
    assert list(Path(output.uri).rglob("*")) == []


def test_a_model_that_nobody_taught_publishes_nothing(run: Run, predictions: Any) -> None:
    facts = Path(run.newest.uri) / "Format-Serving" / MODEL_FACTS
    before = facts.read_bytes()
    taught = json.loads(before)
    untaught = {name: [0] * len(counts) for name, counts in taught["training_labels"].items()}
    try:
        facts.write_text(json.dumps(taught | {"training_labels": untaught}))
        output = run.published(predictions, blessed=True, before=False)
    finally:
        facts.write_bytes(before)
    assert output.get_int_custom_property("products") == 0
    assert not any(path.is_file() for path in Path(output.uri).rglob("*"))


def test_a_category_that_the_model_knows_by_its_name_alone_is_not_published(
    run: Run,
    exported,  # noqa: F811
    predictions: Any,
    tmp_path: Path,
) -> None:
    facts = Path(run.newest.uri) / "Format-Serving" / MODEL_FACTS
    before = facts.read_bytes()
    told = json.loads(before)
    usual = pq.read_table(Path(predictions.uri) / "Split-train" / "part-00000.parquet")
    ids = [category.id for category in TREE.exclusive]
    guessed = ids.index(usual["exclusive/category_id"][0].as_py())
    counts = list(told["training_labels"]["exclusive"])
    counts[guessed] = 0
    labels = told["training_labels"] | {"exclusive": counts}
    try:
        facts.write_text(json.dumps(told | {"training_labels": labels, "from_names": ["exclusive"]}))
        made = run.predictions(exported[0].model_dump_json(include={"name", "objectives", "prediction", "committee"}))
        output = run.published(made, blessed=True, before=False)
    finally:
        facts.write_bytes(before)
    own, published = (
        pq.read_table(Path(folder) / "Split-train" / "part-00000.parquet") for folder in (made.uri, output.uri)
    )
    categories = usual["exclusive/category_id"].to_pylist()
    untaught = [i for i, n in enumerate(counts) if not n]
    names = {ids[i] for i in untaught}
    assert own["exclusive/category_id"].to_pylist() == categories
    assert own["exclusive/source"].to_pylist() == ["names" if c in names else "labels" for c in categories]
    kept = [None if category in names else category for category in categories]
    assert published["exclusive/category_id"].to_pylist() == kept and None in kept and any(kept)


def test_the_last_blessed_model_is_held_to_the_precision_that_is_asked_for_now(
    run: Run,
    exported,  # noqa: F811
) -> None:
    """Its own settings, which lie beside it, ask for none."""
    asked = AcceptanceSettings(precision=0.75, least_audited=5)
    objectives = {name: o.with_acceptance(asked) for name, o in exported[0].objectives.items()}
    workflow = exported[0].model_copy(update={"objectives": objectives})
    made = run.predictions(workflow.model_dump_json(include={"name", "objectives", "prediction", "committee"}))
    output = run.published(made, blessed=False, before=True)
    assert output.get_string_custom_property("model") == run.before.uri
    for folder in (made.uri, output.uri):
        (fitted,) = read_acceptance(folder).values()
        table = pq.read_table(Path(folder) / "Split-test" / "part-00000.parquet")
        # The labels of this catalogue were not drawn at random.
        assert fitted.settings == asked and fitted.audited == 0
        assert fitted.picked == sum(label >= 0 for label in table["exclusive/label"].to_pylist()) > 0
        assert not any(table["exclusive/accepted"].to_pylist()) and "rule_based/accepted" not in table.column_names


def test_the_profile_is_of_the_feed_that_the_model_was_trained_on(run: Run, predictions: Any) -> None:
    output = run.published(predictions, blessed=True, before=False)
    profile = FeedProfile.read(Path(output.uri) / FEED_PROFILE, "run again")
    (own,) = profile.retailers.values()
    parsed = [
        tf.train.Example.FromString(data.numpy())
        for file in Path(run.examples.uri).rglob("*.gz")
        for data in tf.data.TFRecordDataset(str(file), compression_type="GZIP")
    ]
    assert own.products == own.counted == len(parsed) == 85
    for name in ("title", "brand", "price", "image_vector"):
        assert own.present[name] == sum(name in example.features.feature for example in parsed)
    assert not own.present.keys() - {"title", "brand", "price", "image_vector", "rating"}
    files = Path(output.uri).rglob("*.parquet")
    ids = [value for file in files for value in pq.read_table(file)["exclusive/category_id"].to_pylist()]
    assert own.categories == Counter(value or "" for value in ids) and own.cells.sum() == 85
    # An older model's predictions of this run's feed say nothing of the feed that it was trained on.
    later = run.published(predictions, blessed=False, before=True)
    assert not (Path(later.uri) / FEED_PROFILE).exists()
