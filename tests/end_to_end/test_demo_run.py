"""One whole run of the demo at small size, through the command line's own path, and what must hold around it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.workflow_file import REPOSITORY
from tests.servers import mysql_server

pytestmark = pytest.mark.slow
PRODUCTS = 500


class Shop:
    """A folder with the demo workflow, run by the command line in a process of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.runs = folder / "runs" / "demo"

    def shelfmark(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "shelfmark", *arguments, "--demo"],
            cwd=self.folder, capture_output=True, text=True, timeout=900,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1", "COLUMNS": "200"},
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + done.stderr

    def run(self, *arguments: str, code: int = 0) -> str:
        return self.shelfmark(
            "run", *arguments, "--feed", str(self.folder / "catalogue"),
            "--set", f"feed.demo.products={PRODUCTS}", "--set", "training.epochs=6",
            "--set", "evaluation.thresholds.exclusive.accuracy=0.05",
            "--set", "evaluation.thresholds.exclusive.max_drop=1.0",
            "--set", "evaluation.thresholds.rule_based.micro_f1=0.05",
            code=code,
        )  # fmt: skip

    def predictions(self) -> Path:
        folders = sorted((self.runs / "pipeline" / "Predictor" / "predictions").iterdir(), key=lambda f: int(f.name))
        return folders[-1]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    found = Shop(tmp_path_factory.mktemp("shop"))
    found.first = found.run()  # type: ignore[attr-defined]
    return found


def states(output: str) -> dict[str, str]:
    """Component to what the run said of it."""
    rows = [line.split() for line in output.splitlines() if line.endswith(" s")]
    return {row[0]: row[1] for row in rows if len(row) == 4}


def test_the_run_goes_through_all_components_and_pushes(shop: Shop) -> None:
    said = states(shop.first)  # type: ignore[attr-defined]
    expected = {
        "ProductExampleGen", "StatisticsGen", "ImportSchemaGen", "ExampleValidator", "Transform", "Trainer",
        "Evaluator", "ClassMetrics", "Pusher", "Predictor", "PublishedPredictor", "ActiveSampler", "LastBlessedModel",
        "ScannIndex", "IndexPusher",
    }  # fmt: skip
    assert set(said) == expected
    assert set(said.values()) == {"done"}
    (version,) = (path for path in (shop.runs / "pushed").iterdir() if path.is_dir())
    beside = {path.name for path in version.parent.iterdir() if path != version}
    assert beside == {f"{version.name}.model_card{end}" for end in (".md", ".html")}
    assert len(list((shop.runs / "pushed_indexes").iterdir())) == 1
    assert (shop.runs / "reports" / "latest.html").is_file()


def test_every_product_of_every_split_is_predicted_once(shop: Shop) -> None:
    import pyarrow.dataset as ds

    files = sorted(str(file) for file in shop.predictions().glob("Split-*/*.parquet"))
    table = ds.dataset(files, format="parquet").to_table(columns=["id", "exclusive/probability"])
    truth = subprocess.run(
        ["gzip", "-dc", str(shop.folder / "catalogue" / "truth.jsonl.gz")], capture_output=True, check=True
    )
    ids = {json.loads(line)["id"] for line in truth.stdout.splitlines()}
    assert len(table) == len(set(table["id"].to_pylist()))
    missing = ids - set(table["id"].to_pylist())
    assert len(missing) <= 10, "only the quarantined records may be missing"
    assert set(table["id"].to_pylist()) <= ids


def test_similar_products_are_found_in_the_run_and_in_what_it_pushed(shop: Shop) -> None:
    import pyarrow.parquet as pq

    (index,) = (shop.runs / "pipeline" / "ScannIndex" / "similarity_index").iterdir()
    table = pq.read_table(index / "neighbours" / "joint.parquet").to_pylist()
    assert len(table) > 0.9 * PRODUCTS
    row = next(one for one in table if len(one["neighbours"]) >= 10)
    found = json.loads(shop.shelfmark("similar", row["id"], "--k", "10", "--json").splitlines()[0])
    ids = [one["id"] for one in found["neighbours"]]
    assert row["id"] not in ids and len(set(ids)) == 10
    # The table stays within the product's category of the second level; a search does not.
    assert set(ids) & set(row["neighbours"])
    assert "similarity joint" in shop.first  # type: ignore[attr-defined]
    pushed = ["--index", str(shop.runs / "pushed_indexes")]
    assert json.loads(shop.shelfmark("similar", "red boots", "--json", *pushed).splitlines()[0])["neighbours"]


def test_its_neighbours_are_measured(shop: Shop) -> None:
    output = shop.folder / "similarity"
    output.mkdir()
    arguments = ["--feed", shop.folder / "catalogue", "-o", output, "--sample", output / "q.jsonl"]
    shop.shelfmark("experiment", "similarity", *map(str, arguments), "--set", f"feed.demo.products={PRODUCTS}")
    found = json.loads((output / "similarity.json").read_text())
    assert found["products"] > 0.9 * PRODUCTS
    (leaf,) = found["proxies"]
    (figures,) = leaf["figures"].values()
    # Products of one leaf share words; by chance it would be about one in sixty.
    assert figures["at 1"]["lower"] > 0.3
    assert len((output / "q.jsonl").read_text().splitlines()) == 500


def test_metrics_come_from_ml_metadata_alone(shop: Shop, tmp_path: Path) -> None:
    root = shop.runs / "pipeline"
    hidden = root.rename(shop.runs / "hidden")
    try:
        latest = json.loads(shop.shelfmark("metrics", "--json"))
    finally:
        hidden.rename(root)
    assert "exclusive" in json.dumps(latest)


def test_a_second_run_takes_everything_from_the_cache(shop: Shop) -> None:
    said = states(shop.run())
    costly = {"ProductExampleGen", "StatisticsGen", "Transform", "Trainer", "Predictor", "ActiveSampler"}
    assert {said[name] for name in costly} == {"unchanged"}


def test_a_part_runs_alone_and_an_unknown_one_is_named(shop: Shop) -> None:
    said = states(shop.run("--to", "StatisticsGen"))
    assert set(said) <= {"ProductExampleGen", "StatisticsGen"} and "StatisticsGen" in said
    assert "Trainer" in shop.run("--to", "Trainr", code=2)


def test_a_changed_label_file_is_seen(shop: Shop) -> None:
    labels = shop.folder / "catalogue" / "labels.jsonl"
    lines = labels.read_text().splitlines()
    labels.write_text("\n".join(lines[:-20]) + "\n")
    try:
        said = states(shop.run("--to", "ProductExampleGen"))
    finally:
        labels.write_text("\n".join(lines) + "\n")
    assert said["ProductExampleGen"] == "done"


def test_a_failed_run_says_how_to_resume(shop: Shop) -> None:
    feed = shop.folder / "catalogue" / "feed"
    spoilt = feed / "zzz.jsonl"
    # The first line is looked at before a run starts; the rest is found by the run.
    spoilt.write_text('{"id": "fine", "title": "fine"}\n' + "{broken\n" * 400)
    try:
        output = shop.run(code=1)
    finally:
        spoilt.unlink()
    assert "zzz.jsonl" in output and "broken_json" in output
    assert "shelfmark run" in output


def test_an_interrupt_leaves_nothing_half_registered(shop: Shop) -> None:
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    from components.class_metrics.store import connection_config

    process = subprocess.Popen(
        [sys.executable, "-m", "shelfmark", "run", "--demo", "--feed", str(shop.folder / "catalogue"),
         "--set", "name=stopped", "--set", f"feed.demo.products={PRODUCTS}"],
        cwd=shop.folder, stdout=subprocess.PIPE, text=True, bufsize=1,
        # A background job inherits an ignored SIGINT, which Python then leaves ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("ExampleValidator"):
            # Transform is next, and takes seconds.
            process.send_signal(signal.SIGINT)
            break
    rest = process.stdout.read()
    assert process.wait(timeout=120) == 1
    assert "stopped" in rest and "shelfmark run" in rest
    store = metadata_store.MetadataStore(connection_config(str(shop.folder / "runs" / "stopped" / "metadata.sqlite")))
    known = metadata_store_pb2.Execution
    states = {execution.last_known_state for execution in store.get_executions()}
    assert states <= {known.COMPLETE, known.CACHED, known.CANCELED}
    assert known.COMPLETE in states
    assert not list((shop.folder / "runs" / "stopped" / "pipeline" / "Transform" / "transform_graph").glob("*"))


@pytest.mark.mysql
def test_ml_metadata_in_mysql(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    with mysql_server() as url:
        database = ("--set", f"runners.local.metadata={url}")
        assert set(states(shop.run(*database)).values()) == {"done"}
        assert not (shop.runs / "metadata.sqlite").exists()
        again = states(shop.run(*database))
        assert {again[name] for name in ("ProductExampleGen", "Transform", "Trainer", "Predictor")} == {"unchanged"}
        shutil.rmtree(shop.runs / "pipeline")
        known = json.loads(shop.shelfmark("metrics", "--json", *database))
        assert "accuracy" in json.dumps(known)


def test_a_database_that_runs_cannot_write_to_is_refused(tmp_path: Path) -> None:
    said = Shop(tmp_path).run("--set", "runners.local.metadata=postgresql://me:secret@host/db", code=2)
    assert "runners.local.metadata" in said and "mysql://" in said and "secret" not in said
