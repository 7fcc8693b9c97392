"""Runs that are killed, stopped, or out of room, at random moments: the same command goes on, and nothing is left."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ml_metadata.proto import metadata_store_pb2 as pb

from components.class_metrics.store import open_store
from modules.examples import TAXONOMY_FILE
from modules.taxonomy import Taxonomy
from pipeline.checksums import folder_of
from pipeline.workflow_file import REPOSITORY
from tests.end_to_end.test_labelling_round import answer_all

pytestmark = [pytest.mark.slow, pytest.mark.kills]

PRODUCTS = 200
KILLS = 30
SEED = 20_31
LINE = re.compile(r"^(\w+) +(done|unchanged|FAILED|stopped) +([0-9.]+) s$")
CHANGES = [
    f"feed.demo.products={PRODUCTS}",
    # Two columns: most of a small run's time is spent on making graphs.
    "features={title: {kind: text, vocabulary: 300}, brand: {kind: categorical, vocabulary: 50, width: 4}}",
    "training.epochs=3", "sampling.size=40", "similarity.indexes.joint.min_products=20",
    "evaluation.thresholds={exclusive: {accuracy: 0.0}}",
]  # fmt: skip


class Place:
    """A folder where runs of one catalogue lie, and their temporary files beside."""

    def __init__(self, folder: Path):
        self.folder, self.temporary = folder, folder / "tmp"
        self.labels = folder / "labels.sqlite"
        self.temporary.mkdir()

    def start(self, *arguments: str, limit: int | None = None) -> subprocess.Popen[str]:
        """``limit``: bytes that a file may have."""
        before: Callable[[], None] | None = None
        if limit is not None:
            before = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # noqa: E731
        else:
            # A background job inherits an ignored SIGINT, which Python then leaves ignored.
            before = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None  # noqa: E731
        environment = {
            **os.environ, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1", "COLUMNS": "200",
            "TMPDIR": str(self.temporary),
        }  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-m", "shelfmark", *arguments], cwd=self.folder, env=environment, text=True, bufsize=1,
            stdout=subprocess.PIPE, start_new_session=True, preexec_fn=before,
            # Other commands print documents, and libraries their remarks beside them.
            stderr=subprocess.STDOUT if arguments[0] == "run" else subprocess.DEVNULL,
        )  # fmt: skip

    def shelfmark(self, *arguments: str, code: int = 0, limit: int | None = None) -> str:
        process = self.start(*arguments, limit=limit)
        said = process.communicate(timeout=600)[0]
        assert process.returncode == code, said
        assert "Traceback" not in said
        return said

    def run_options(self, name: str) -> list[str]:
        changes = [*CHANGES, f"name={name}", f"labels.store={self.labels}"]
        given = [part for change in changes for part in ("--set", change)]
        return ["run", "--demo", "--feed", str(self.folder / "catalogue"), *given]

    def runs(self, name: str) -> Path:
        return self.folder / "runs" / name

    def metrics(self, name: str) -> Any:
        """All figures; what tells of time and of runs is left out."""
        found = json.loads(self.shelfmark("metrics", "--demo", "--json", "--set", f"name={name}"))
        return _without(found, {"run", "time", "pipeline", "reused_by"})

    def similar(self, name: str) -> list[Any]:
        """What index and model give that were pushed: the model embeds the words."""
        index = ("--index", str(self.runs(name) / "pushed_indexes"))
        return [
            json.loads(self.shelfmark("similar", "red boots", "--demo", "--k", "20", "--json", *index).splitlines()[0])
        ]

    def predictions(self, name: str) -> Any:
        import pyarrow.dataset as ds

        folders = (self.runs(name) / "pipeline" / "PublishedPredictor" / "published_predictions").iterdir()
        newest = max(folders, key=lambda folder: int(folder.name))
        files = sorted(str(file) for file in newest.glob("Split-*/*.parquet"))
        return ds.dataset(files, format="parquet").to_table().sort_by("id")


def assert_alike(found: Any, expected: Any) -> None:
    """The same products, categories and order; sums of threads differ in their last digits."""
    import numpy as np

    assert found.column_names == expected.column_names and found["id"].equals(expected["id"])
    for name in expected.column_names:
        of, wanted = found[name].to_pylist(), expected[name].to_pylist()
        if name.endswith(("/probability", "/probabilities", "/entropy", "embedding")):
            np.testing.assert_allclose(of, wanted, atol=1e-5, err_msg=name)
        elif name.endswith("/category"):
            assert of == wanted


def _without(document: Any, keys: set[str]) -> Any:
    if isinstance(document, dict):
        return {key: _without(value, keys) for key, value in document.items() if key not in keys}
    return [_without(one, keys) for one in document] if isinstance(document, list) else document


def _label_rows(place: Path) -> list[tuple[Any, ...]]:
    import sqlite3

    with sqlite3.connect(f"file:{place}?mode=ro", uri=True) as database:
        tables = [
            name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name")
        ]
        return [(table, *row) for table in tables for row in database.execute(f'SELECT * FROM "{table}"')]


def _seconds(said: str) -> dict[str, float]:
    found = [LINE.match(line) for line in said.splitlines()]
    return {one[1]: float(one[3]) for one in found if one}


class Calm:
    """A shop with labels, and an undisturbed run of it."""

    def __init__(self, folder: Path):
        self.place = place = Place(folder)
        place.shelfmark(*place.run_options("first"), "--to", "ActiveSampler")
        catalogue = ("--feed", str(folder / "catalogue"), "--set", "name=first", "--set", CHANGES[0])
        place.shelfmark("label", "import-batch", "--demo", *catalogue, "--store", str(place.labels))
        (tree,) = (place.runs("first") / "pipeline" / "ProductExampleGen" / "taxonomy").iterdir()
        taxonomy = Taxonomy.load(tree / TAXONOMY_FILE)
        with gzip.open(folder / "catalogue" / "truth.jsonl.gz", "rt") as lines:
            truth = {row["id"]: taxonomy.find(row["category"]).id for row in map(json.loads, lines)}
        answer_all(str(place.labels), truth)
        self.labels = _label_rows(place.labels)
        assert sum(row[0] == "labels" for row in self.labels) == 40
        self.seconds = _seconds(place.shelfmark(*place.run_options("calm")))
        self.metrics, self.similar = place.metrics("calm"), place.similar("calm")
        self.predictions = place.predictions("calm")
        self.sizes = sizes(place.runs("calm"))
        assert not list(place.temporary.iterdir())


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Calm:
    return Calm(tmp_path_factory.mktemp("kills"))


def sizes(folder: Path) -> dict[str, int]:
    """Bytes in each folder of a run folder; not of those that tell of each start."""
    return {
        part.name: sum(file.stat().st_size for file in part.rglob("*") if file.is_file())
        for part in folder.iterdir()
        if part.is_dir() and part.name not in ("logs", "reports", "pipeline", "checksums")
    }


def unfinished(runs: Path) -> tuple[list[str], list[Path]]:
    """Components that claim to be under way, and folders of no finished execution."""
    store = open_store(str(runs / "metadata.sqlite"))
    executions = {one.id: one for one in store.get_executions()}
    under_way = [
        one.type for one in executions.values() if one.last_known_state in (pb.Execution.RUNNING, pb.Execution.NEW)
    ]
    finished = {pb.Execution.COMPLETE, pb.Execution.CACHED}
    known = {folder_of(one.uri) for one in store.get_artifacts() if one.state == pb.Artifact.LIVE}
    folders = [path for path in (runs / "pipeline").glob("*/*/*") if path.name.isdigit()]
    loose = [
        path
        for path in folders
        if path not in known
        or int(path.name) not in executions
        or executions[int(path.name)].last_known_state not in finished
    ]
    return under_way, loose


def stop_in(place: Place, name: str, component: str, after: float, sign: signal.Signals) -> tuple[str, bool]:
    """Starts the run, and sends the signal some seconds after the component before ``component`` ended.

    Returns:
      What was said, and whether the signal came before the end.
    """
    order = place_order
    before = order[order.index(component) - 1] if order.index(component) else None
    process = place.start(*place.run_options(name))
    assert process.stdout is not None
    said = []
    try:
        if before is not None:
            for line in process.stdout:
                said.append(line)
                found = LINE.match(line.rstrip("\n"))
                if found and found[1] == before:
                    break
        time.sleep(after)
        alive = process.poll() is None
        # SIGKILL as the kernel's, for all that belong to the run; the others as a terminal or a supervisor sends them.
        os.killpg(process.pid, sign)
    except ProcessLookupError:
        alive = False
    said.append(process.stdout.read())
    process.wait(timeout=120)
    return "".join(said), alive


place_order: list[str] = []


def check_end(calm: Calm, name: str) -> None:
    """The same command ends, and all is as in the undisturbed run."""
    place = calm.place
    said = place.shelfmark(*place.run_options(name))
    assert unfinished(place.runs(name)) == ([], []), said
    assert place.metrics(name) == calm.metrics
    assert_alike(place.predictions(name), calm.predictions)
    assert place.similar(name) == calm.similar
    for pushed in ("pushed", "pushed_indexes"):
        assert len([path for path in (place.runs(name) / pushed).iterdir() if path.is_dir()]) == 1
    assert _label_rows(place.labels) == calm.labels
    grown = {part: size - calm.sizes.get(part, 0) for part, size in sizes(place.runs(name)).items()}
    assert all(more <= 4096 for more in grown.values()), grown
    assert not list(place.temporary.iterdir())
    again = place.shelfmark(*place.run_options(name))
    assert "cleared" not in again
    assert unfinished(place.runs(name)) == ([], [])


@pytest.mark.parametrize("turn", [0, 1])
def test_thirty_kills(calm: Calm, turn: int) -> None:
    """Each turn is a run that is killed in one component after the other, at a random moment of it."""
    place_order[:] = list(calm.seconds)
    chance = random.Random(SEED + turn)
    name = f"killed-{turn}"
    hit = 0
    for number, component in enumerate(calm.seconds):
        # The first turn hits the component's work even where the machine is faster than it was, the second what follows
        # it as well; before the first component the start is hit.
        after = chance.uniform(0, (0.5, 1.1)[turn]) * (calm.seconds[component] + 0.2)
        after += chance.uniform(0, 10) if number == 0 else 0
        said, alive = stop_in(calm.place, name, component, after, signal.SIGKILL)
        hit += alive
        cleared = next((line for line in said.splitlines() if line.startswith("cleared")), "nothing to clear")
        database = calm.place.runs(name) / "metadata.sqlite"
        under_way, loose = unfinished(calm.place.runs(name)) if database.exists() else ([], [])
        print(f"{name}: {after:5.1f} s into {component}, {under_way or 'between two'}; {cleared}", flush=True)
        # Only what this kill cut off: what the one before left is gone by now.
        assert len(under_way) <= 1, said
        assert len({path.name for path in loose}) <= 1, said
        assert len(list(calm.place.temporary.iterdir())) <= 1
        assert _label_rows(calm.place.labels) == calm.labels
    assert hit >= 14 * KILLS // 30
    check_end(calm, name)


def test_stopped_by_a_person_or_a_supervisor(calm: Calm) -> None:
    place_order[:] = list(calm.seconds)
    chance = random.Random(SEED)
    for component in ("ProductExampleGen", "Trainer", "ScannIndex"):
        for sign in (signal.SIGINT, signal.SIGTERM):
            after = chance.random() * calm.seconds[component]
            said, alive = stop_in(calm.place, "stopped", component, after, sign)
            print(f"{sign.name} {after:.1f} s into {component}", flush=True)
            assert "Traceback" not in said
            if alive and sign == signal.SIGINT:
                # It came in time, or the run had said its last line.
                assert "what is done is kept" in said or re.search(r"^log +\S", said, re.MULTILINE), said
    check_end(calm, "stopped")


def test_files_that_cannot_grow(calm: Calm) -> None:
    """As on a full disk: writing fails in the middle of a file."""
    place = calm.place
    for limit in (500_000, 1_000_000):
        said = place.shelfmark(*place.run_options("full"), code=1, limit=limit)
        print(
            f"{limit:,} bytes: {[line for line in said.splitlines() if 'FAILED' in line or 'full' in line]}", flush=True
        )
        assert "shelfmark run" in said and "Error" not in said
    check_end(calm, "full")
