"""Catalogues of many categories: whatever a step is handed has to fit into one command line argument."""

from __future__ import annotations

import errno
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from components.active_sampler.picks import PICKS, pack_picks, picks_of
from components.class_metrics.executor import category_figures, overall_figures
from components.class_metrics.files import read_figures
from components.class_metrics.properties import FIGURES, CategoryFigures, figures_of, pack_figures
from components.evaluation.figures import COLUMNS
from components.evaluation.objectives import ObjectiveEval, ObjectiveThresholds
from components.evaluation.reading import Slice
from components.record import RECORD_TYPE
from modules.sampling.batch import Pick
from modules.taxonomy import Taxonomy
from pipeline.workflow_file import LoadedWorkflow, load_workflow
from tests.kubeflow.emulator import arguments
from tests.kubeflow.emulator.metadata import Metadata

if TYPE_CHECKING:
    from tests.kubeflow.emulator.cluster import Cluster, Run

OBJECTIVES = ["exclusive", "rule_based"]
OVERALL = [f"figure_{i}/{end}" for i in range(12) for end in ("value", "lower", "upper")]
DEPARTMENTS, SHELVES = 30, 50
"""The catalogue's tree: 1,500 leaves."""

WORKFLOW = f"""
name: wide
feed:
  files: [feed.jsonl]
  fields: {{truth: category, description: null, brand: null, raw_category: null}}
  split: {{column: split, eval_share: 0.1}}
taxonomy: {{from_truth: true}}
labels:
  truth: {{splits: [train, eval, test], evaluate: true}}
features:
  title: {{kind: text, vocabulary: {DEPARTMENTS * SHELVES + 100}}}
objectives:
  exclusive: {{kind: exclusive}}
model: {{kind: linear}}
training: {{solver: liblinear}}
sampling: {{size: 200}}
evaluation:
  thresholds: {{exclusive: {{accuracy: 0.99, every_category_f1: 0.9, category_min_support: 1}}}}
"""
"""Every category must be good, and is named where it is not."""


def write_catalogue(folder: Path) -> LoadedWorkflow:
    """Two products of each category to learn from and one to measure on; unlabelled ones are asked about."""
    folder.mkdir()
    rows = []
    for department in range(DEPARTMENTS):
        for shelf in range(SHELVES):
            path = [f"Department {department:02d}", f"Shelf {shelf:02d} of department {department:02d}"]
            # A tenth of the categories is told by a word that another category's products have, too.
            word = f"word{department:02d}x{shelf if shelf % 10 else shelf + 1:02d}"
            for number, split in enumerate(("train", "train", "test", "train")):
                row = {"id": f"{department}-{shelf}-{number}", "title": f"{word} kind {number}", "split": split}
                rows.append(row | ({"category": path} if number < 3 else {}))
    (folder / "feed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "wide.yaml").write_text(WORKFLOW)
    return load_workflow(folder / "wide.yaml")


@pytest.mark.slow
def test_a_report_of_1500_categories(cluster: Cluster, tmp_path: Path) -> None:
    from pipeline.kubeflow.compiler import compile_workflow

    output = tmp_path / "pipeline.yaml"
    loaded = load_workflow(write_catalogue(tmp_path / "feed").path, [f"runners.kubeflow.metadata={cluster.address}"])
    compile_workflow(loaded, output)
    run = cluster.run(output.read_text())
    assert run.steps["Report"].state == "COMPLETE"
    metrics, record = (cluster.artifact(run, "ClassMetrics", key) for key in ("metrics", "metrics_record"))
    files = read_figures(cluster.store.path(metrics["uri"]))
    kept = figures_of({}, record["metadata"])
    assert len(kept.categories) == len(files.categories) == DEPARTMENTS * SHELVES
    assert [(c.id, c.path) for c in kept.categories] == [(c.id, c.path) for c in files.categories]
    assert kept.failed["exclusive"] and len(kept.failed["exclusive"]) == len(files.failed["exclusive"])
    # As properties of an input, which is where they were, they would have kept Report from starting.
    assert sum(len(json.dumps(one.values)) for one in files.categories) > arguments.LONGEST
    text = cluster.store.path(cluster.artifact(run, "Report", "page")["uri"]).read_text()
    assert "could not be read" not in text and text.count("of department 07") >= SHELVES
    _check_batch(cluster, run)
    print(f"Report's argument: {_report_argument(cluster, run):,} bytes")
    assert _report_argument(cluster, run) < 32 * 1024


@pytest.fixture
def metadata(tmp_path: Path) -> Metadata:
    return Metadata(tmp_path / "metadata.sqlite")


@pytest.fixture(scope="module")
def wide() -> CategoryFigures:
    """Two objectives of 20,000 categories each; no figure is like another, and all are below their bounds."""
    rng = np.random.default_rng(7)
    paths = [f"Department {i // 900} > Aisle {i // 30} of {rng.integers(10**9)} > Shelf {i}" for i in range(20_000)]
    ids = [category.id for category in Taxonomy.from_paths(paths).exclusive]
    slice_ = Slice(
        "Overall",
        {name: {figure: float(rng.random()) for figure in OVERALL} for name in OBJECTIVES},
        {name: rng.random((len(COLUMNS), len(ids))) for name in OBJECTIVES},
    )
    classes = list(zip(ids, paths, strict=True))
    objectives = [ObjectiveEval(name, "exclusive", classes) for name in OBJECTIVES]
    bounds = ObjectiveThresholds(every_category_f1=1.0, category_min_support=0)
    return category_figures(slice_, objectives, dict.fromkeys(OBJECTIVES, bounds))


def test_metadata_keeps_20000_categories_in_one_message(metadata: Metadata, wide: CategoryFigures) -> None:
    text = pack_figures(wide)
    print(f"{len(wide.categories):,} rows of figures: {len(text):,} bytes")
    assert len(text) < 3 * 1024**2
    number = metadata.record("metrics_record", RECORD_TYPE, "minio://bucket/record", {FIGURES: text})
    found = figures_of({}, metadata.runtime_artifact(number)["metadata"])
    assert len(found.categories) == 40_000 and [len(rows) for rows in found.failed.values()] == [20_000, 20_000]
    assert [(c.objective, c.id, c.path) for c in found.categories] == [
        (c.objective, c.id, c.path) for c in wide.categories
    ]
    for one, other in zip(found.categories[::97], wide.categories[::97], strict=True):
        assert one.values == pytest.approx(other.values, rel=1e-5)
    # A record that holds more is refused by a real service, and here.
    with pytest.raises(ValueError, match="larger than max"):
        metadata.record("metrics_record", RECORD_TYPE, "minio://bucket/record", {FIGURES: text + text})


def test_the_largest_batch_is_one_message() -> None:
    rng = np.random.default_rng(3)
    picks = [
        Pick(
            rank=i, product_id=f"retailer-{rng.integers(10**12)}", objective="exclusive", source="margin",
            strategy="margin", split="train", utility=rng.random(), parts={"margin": rng.random()},
        )
        for i in range(10_000)
    ]  # fmt: skip
    text = pack_picks(picks)
    print(f"10,000 picks: {len(text):,} bytes")
    assert len(text) < 1024**2
    found = picks_of({}, {PICKS: text})
    assert [(row["product"], row["utility"], row["margin"]) for row in found] == [
        (pick.product_id, pick.utility, pick.parts["margin"]) for pick in picks
    ]


def test_report_starts_with_20000_categories(metadata: Metadata, wide: CategoryFigures) -> None:
    """Its metrics as the component notes them; everything else it is handed has a few properties."""
    values = {name: {figure: 0.123456789 for figure in OVERALL} for name in OBJECTIVES}
    properties = dict(overall_figures(Slice("Overall", values, {}), OBJECTIVES))
    place = "minio://mlpipeline/v2/artifacts/wide/run/ClassMetrics/metrics"

    def launch(metadata_of_metrics: dict[str, Any]) -> None:
        number = metadata.record("metrics", "components.CategoryMetrics", place, metadata_of_metrics)
        given = {"inputs": {"artifacts": {"metrics": {"artifacts": [metadata.runtime_artifact(number)]}}}}
        arguments.start("Report (launcher)", arguments.launcher(given, {}, []))

    launch(properties)
    # As it was before: each category a property.
    before = {f"category/{c.objective}/{c.id}": json.dumps(c.values) for c in wide.categories[:1500]}
    with pytest.raises(OSError, match="Argument list too long: [0-9,]+ bytes behind --executor_input") as caught:
        launch(properties | before)
    assert caught.value.errno == errno.E2BIG


def test_one_byte_decides_as_in_the_kernel() -> None:
    """The emulator's limit and message beside those of the kernel that runs this test."""
    for length in (arguments.LONGEST, arguments.LONGEST + 1):
        said = []
        for start in (
            lambda one: subprocess.run(["true", one], check=True),
            lambda one: arguments.start("true", [one]),
        ):
            try:
                start("x" * length)
                said.append(None)
            except OSError as error:
                said.append(error.errno)
        assert said == ([None, None] if length == arguments.LONGEST else [errno.E2BIG, errno.E2BIG])


def _check_batch(cluster: Cluster, run: Run) -> None:
    batch, record = (cluster.artifact(run, "ActiveSampler", key) for key in ("labelling_batch", "batch_record"))
    folder = cluster.store.path(batch["uri"])
    table = pq.read_table(folder / "batch.parquet").to_pylist()
    picks = picks_of(batch["metadata"], record["metadata"])
    assert [(p["objective"], p["product"], p["rank"], p["source"]) for p in picks] == [
        (row["objective"], row["product_id"], row["rank"], row["source"]) for row in table
    ]
    assert len(picks) == 200
    assert pq.read_metadata(folder / "stop_set" / "exclusive.parquet").num_rows == 2000
    page = cluster.store.path(cluster.artifact(run, "Report", "batch_page")["uri"]).read_text()
    assert all(pick["product"] in page for pick in picks)


def _report_argument(cluster: Cluster, run: Run) -> int:
    """Bytes of the artifacts that Report was handed, as the driver writes them."""
    from ml_metadata.proto import metadata_store_pb2 as pb

    store = cluster.metadata.store
    events = store.get_events_by_execution_ids([run.steps["Report"].execution])
    inputs = [cluster.metadata.runtime_artifact(e.artifact_id) for e in events if e.type == pb.Event.INPUT]
    assert len(inputs) >= 8
    return len(arguments.protojson({"artifacts": inputs}).encode())
