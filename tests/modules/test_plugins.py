"""What distributions add by entry points: in a process of its own with a real distribution, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modules.errors import InputError
from modules.plugins import EntryPoints, Kinds
from tests.distributions import install

REPOSITORY = Path(__file__).resolve().parents[2]

ACME = '''
"""A feed format, a source of feeds, a sink, a target of publications and a strategy of a shop's own."""
from pathlib import Path
from typing import Literal

import numpy as np
import orjson

from modules.feeds.formats.base import FeedFormat, Record, Sniffed
from modules.feeds.opening import open_text
from modules.feeds.quarantine import BadRecord
from modules.feeds.sources.base import Away, Fetched, SourceSettings
from modules.predictions.sinks.base import Sink
from modules.query_strategies import ScoreStrategy
from publishing.targets.base import Target


class Pairs(FeedFormat):
    kind = "pairs"
    title = "key=value pairs"
    suffixes = (".pairs",)

    def read(self, path, options):
        with open_text(path) as stream:
            for line, raw in enumerate(stream, 1):
                try:
                    yield Record(line, dict(pair.split("=") for pair in raw.decode().strip().split("&")), raw)
                except ValueError as error:
                    yield BadRecord(path, line, "not_a_product", str(error), raw.decode())

    def sniff(self, head):
        return Sniffed(0.95) if b"&" in head.data and b"=" in head.data else None


class Memo(Sink):
    """Appends ids to a file, and resumes after those that are there."""

    def columns(self):
        return ["id"]

    def start(self):
        self.stream = open(self.target.partition("://")[2], "a+")
        self.stream.seek(0)
        return len(self.stream.readlines())

    def write(self, table):
        self.stream.writelines(f"{value}\\n" for value in table.column("id").to_pylist())

    def finish(self):
        self.stream.close()

    abort = finish


class Shelf(SourceSettings):
    kind: Literal["shelf"] = "shelf"
    path: str
    copies: int = 1

    def title(self):
        return f"the shelf {Path(self.path).name}"

    def fetch(self, file, validators):
        rows = Path(self.path)
        if not rows.exists():
            raise Away(f"{self.title()} is empty", "put something there")
        size = str(rows.stat().st_size)
        if validators.get("size") == size:
            return None
        file.write_bytes(rows.read_bytes())
        return Fetched(".pairs", {"size": size})


class Inbox(Target):
    def __init__(self, address, options, is_hidden):
        self.file = address.partition("://")[2]
        self.name = self.identity = f"inbox {self.file}"

    def start(self, version):
        self.stream = open(self.file, "ab")

    def send(self, documents):
        self.stream.writelines(orjson.dumps(document.values) + b"\\n" for document in documents)
        self.stream.flush()

    def finish(self):
        self.stream.close()


class LastFirst(ScoreStrategy):
    kind: Literal["last_first"] = "last_first"
    weight: float = 1.0

    def utilities(self, pool, rows):
        return self.weight * rows.astype(np.float64)
'''

POINTS = {
    "shelfmark.feed_formats": {"pairs": "acme_shelf:Pairs"},
    "shelfmark.feed_sources": {"shelf": "acme_shelf:Shelf"},
    "shelfmark.targets": {"inbox": "acme_shelf:Inbox"},
    "shelfmark.sinks": {"memo": "acme_shelf:Memo"},
    "shelfmark.query_strategies": {"last_first": "acme_shelf:LastFirst"},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("site"), "acme-shelf", POINTS, acme_shelf=ACME)


def python(site: Path, code: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    """Runs code in a process that has the distribution on its path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(REPOSITORY)])}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=300
    )


FEED = """
import json, sys
from pathlib import Path
from modules.feeds.files import FeedFile, format_of, parts, unsplittable
from modules.feeds.readers import read_records
from pipeline.init import detect, write_workflow
from pipeline.products import read_products
from pipeline.validate import check
from pipeline.workflow_file import load_workflow

folder = Path(sys.argv[1])
assert "acme_shelf" not in sys.modules, "imported before anybody asked for it"
feed = str(folder / "feed.pairs")
loaded = load_workflow(write_workflow(detect([Path(feed)]), folder / "out", "mine")[0])
report = check(loaded)
settings = loaded.workflow.feed
named = settings.model_copy(update={"format": "pairs"})
print(json.dumps({
    "problems": [str(problem) for problem in report.problems],
    "format": format_of(feed, settings),
    "ids": [product.id for product in read_products(loaded)],
    "bad": [r.line for r in read_records(feed, "pairs", named) if not hasattr(r, "data")],
    "tasks": parts([feed], 4, unsplittable([FeedFile(feed, 0)], [settings])),
    "parts": [len(list(read_records(feed, "pairs", settings, part, 3))) for part in range(3)],
}))
"""


@pytest.mark.slow
def test_a_feed_format_of_a_distribution(site: Path, tmp_path: Path) -> None:
    rows = [f"sku=P{i}&name=boot {i}&category={'Shoes' if i % 2 else 'Bags'}" for i in range(40)]
    (tmp_path / "feed.pairs").write_text("\n".join([*rows[:5], "broken", *rows[5:]]) + "\n")
    done = python(site, FEED, tmp_path)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["problems"] == [] and answer["format"] == "pairs"
    assert answer["ids"] == [f"P{i}" for i in range(40)]
    assert answer["bad"] == [6]
    # No format that cannot be split is read by several workers, and none is read twice.
    assert answer["tasks"] == [[[str(tmp_path / "feed.pairs"), 0, 1]]]
    assert answer["parts"] == [41, 0, 0]


SOURCE = """
import json, sys
from pathlib import Path
from rich.console import Console
from modules.errors import InputError
from modules.settings.workflow import Workflow
from pipeline.products import read_products
from pipeline.settings_errors import validate_data
from pipeline.sources import snapshot_files, take_sources
from pipeline.validate import check
from pipeline.workflow_file import load_workflow
from pipeline.workflow_schema import workflow_schema
from tests.pipeline.test_workflow_schema import fits

loaded = load_workflow(Path(sys.argv[1]))
source = loaded.workflow.feed.source
assert Workflow.model_validate_json(loaded.workflow.model_dump_json()) == loaded.workflow
data = {"name": "x", "feed": {"source": {"kind": "shelf", "path": "x"}}}
schema = workflow_schema()
assert fits(data, schema, schema)
for bad in ({"kind": "shelv", "path": "x"}, {"kind": "shelf"}, {"kind": "shelf", "path": "x", "pth": "y"}):
    print(*validate_data({"name": "x", "feed": {"source": bad}}, lambda key: ("w.yaml", 3))[1])
console = Console(width=200)
try:
    take_sources(loaded, console)
except InputError as error:
    print(error)
Path(source.path).write_text("sku=P1&name=boot&category=Shoes\\nsku=P2&name=bag&category=Bags\\n")
take_sources(loaded, console)
take_sources(loaded, console)
print(json.dumps([product.id for product in read_products(loaded)]))
"""


@pytest.mark.slow
def test_a_source_of_a_distribution(site: Path, tmp_path: Path) -> None:
    workflow = tmp_path / "w.yaml"
    workflow.write_text(
        "name: x\nfeed:\n"
        f"  source: {{kind: shelf, path: {tmp_path}/rows}}\n"
        "  fields: {id: sku, title: name, raw_category: category}\n"
        f"runners: {{local: {{folder: {tmp_path}/runs}}}}\n"
    )
    done = python(site, SOURCE, workflow)
    assert done.returncode == 0, done.stderr
    unknown, missing, extra, away, first, again, ids = done.stdout.splitlines()
    assert "feed.source.kind = 'shelv'" in unknown and "elasticsearch, shelf; did you mean 'shelf'?" in unknown
    assert "w.yaml:3: feed.source.path: " in missing and "(this key is required)" in missing
    assert "feed.source.pth" in extra and "unknown key" in extra
    assert "feed.source: the shelf rows is empty; put something there" in away
    assert first.endswith("from the shelf rows") and again.endswith("from the shelf rows, unchanged")
    assert json.loads(ids) == ["P1", "P2"]


TARGET = """
import json, sys
from pathlib import Path
from modules.errors import InputError
from publishing.targets import target_for
from publishing.targets.base import Options
from tests.publishing.shop import answers, apply, expected, predict, publish_to, rounded

folder = Path(sys.argv[1])
rows = predict(folder / "p", {"train": 30})
assert "acme_shelf" not in sys.modules
target = target_for(f"inbox://{folder}/inbox", Options())
print(publish_to(target, folder / "p", folder / "log").sent, publish_to(target, folder / "p", folder / "log").sent)
state = {}
apply(state, [json.loads(line) for line in (folder / "inbox").read_text().splitlines()])
assert answers(state) == rounded(expected(rows))
try:
    target_for("inbx://hunter22", Options())
except InputError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_target_of_a_distribution(site: Path, tmp_path: Path) -> None:
    done = python(site, TARGET, tmp_path)
    assert done.returncode == 0, done.stderr
    counts, unknown = done.stdout.splitlines()
    assert counts == "30 0"
    assert "inbox://; did you mean 'inbox'?" in unknown and "hunter22" not in unknown


STRATEGY = """
import sys
import numpy as np
from modules.query_strategies import strategy
from modules.query_strategies.pool import Pool
from modules.settings.workflow import Workflow
from pipeline.settings_errors import validate_data
from pipeline.workflow_file import load_workflow

assert "acme_shelf" not in sys.modules
workflow = load_workflow(sys.argv[1]).workflow
again = Workflow.model_validate_json(workflow.model_dump_json())
assert again == workflow and again.sampling.strategy.score.weight == 3.0
pool = Pool(np.ones(50, bool), np.full(50, -1), 3, embeddings=np.eye(50, dtype=np.float32))
print(sorted(workflow.sampling.strategy.query(pool, 3, np.random.default_rng(0)).rows.tolist()))
print(strategy("last_first").query(pool, 2, np.random.default_rng(0)).rows.tolist())
for bad in ({"kind": "last_frist"}, {"kind": "last_first", "weight": "x"}, {"kind": "last_first", "wieght": 1.0}):
    print(*validate_data({"name": "x", "sampling": {"strategy": bad}}, lambda key: ("w.yaml", 3))[1])
print(*validate_data({"name": "x", "feed": {"format": "piars"}}, lambda key: ("w.yaml", 3))[1])
"""


@pytest.mark.slow
def test_a_strategy_of_a_distribution(site: Path, tmp_path: Path) -> None:
    workflow = tmp_path / "w.yaml"
    workflow.write_text(
        "name: x\nsampling:\n  strategy: {kind: combined, score: {kind: last_first, weight: 3.0}, prefilter: 3}\n"
    )
    done = python(site, STRATEGY, workflow)
    assert done.returncode == 0, done.stderr
    combined, alone, unknown, wrong, extra, format = done.stdout.splitlines()
    assert combined == "[47, 48, 49]" and alone == "[49, 48]"
    assert "sampling.strategy.kind = 'last_frist'" in unknown and "last_first; did you mean 'last_first'?" in unknown
    assert "w.yaml:3: sampling.strategy.weight = 'x': expected a valid number" in wrong
    assert "sampling.strategy.wieght" in extra and "unknown key" in extra
    assert "auto, jsonl, csv, parquet, xml, xlsx, pairs; did you mean 'pairs'?" in format


SINK = """
import sys
from pathlib import Path
from modules.errors import InputError
from modules.predictions.export import export
from modules.predictions.read import PredictionFiles, Query
from tests.modules.reporting.sample import taxonomy, write_predictions

folder = Path(sys.argv[1])
rows = write_predictions(folder / "predictions", {"train": 40})
files = PredictionFiles(folder / "predictions")
target = f"memo://{folder}/memo.txt"
assert "acme_shelf" not in sys.modules
assert export(files, Query(limit=15), taxonomy(), target) == 15
assert export(files, Query(), taxonomy(), target) == 40
assert (folder / "memo.txt").read_text().split() == [row["id"] for row in rows]
try:
    export(files, Query(), taxonomy(), "mmeo://x")
except InputError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_sink_of_a_distribution_resumes(site: Path, tmp_path: Path) -> None:
    done = python(site, SINK, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "memo://; did you mean 'memo'?" in done.stdout


class Base:
    pass


class Own(Base):
    pass


def kinds(site: Path, monkeypatch: pytest.MonkeyPatch, *paths: Path) -> Kinds[Base]:
    for path in (site, *paths):
        monkeypatch.syspath_prepend(str(path))
    return Kinds("test.things", "thing", Base, {"own": Own})


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import a_module_that_is_missing", "cannot be imported: No module named 'a_module_that_is_missing'"),
        ("raise SystemExit(3)", "cannot be imported: 3"),
        ("1 / 0", "cannot be imported: division by zero"),
        ("Other = 1", "cannot be imported: module 'thing_{n}' has no attribute 'Thing'"),
        ("Thing = dict", "expected a subclass of"),
        ("Thing = 5", "expected a subclass of"),
    ],
)
def test_what_cannot_be_imported_names_its_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, words: str
) -> None:
    number = abs(hash(source)) % 10**9
    install(tmp_path, "acme-broken", {"test.things": {"thing": f"thing_{number}:Thing"}}, **{f"thing_{number}": source})
    provided = kinds(tmp_path, monkeypatch)
    assert provided.names() == ["own", "thing"] and provided.get("own") is Own
    with pytest.raises(InputError) as caught:
        provided.get("thing")
    text = str(caught.value)
    assert words.format(n=number) in text and "the distribution acme-broken 1.2" in text


def test_names_that_are_taken_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = install(tmp_path / "1", "acme-one", {"test.things": {"own": "x:X", "thing": "x:X"}})
    second = install(tmp_path / "2", "acme-two", {"test.things": {"thing": "y:Y"}})
    provided = kinds(first, monkeypatch, second)
    with pytest.raises(InputError) as caught:
        provided.get("thing")
    texts = [str(problem) for problem in caught.value.problems]
    assert len(texts) == 2
    assert "'own' of the distribution acme-one 1.2: Shelfmark has one of that name" in texts[0]
    assert "acme-one 1.2" in texts[1] and "acme-two 1.2" in texts[1]


def test_a_name_that_nobody_provides() -> None:
    points: EntryPoints[Base] = EntryPoints("test.things", "thing", Base, ["entropy", "margin"])
    with pytest.raises(InputError, match=r"expected one of: entropy, margin; did you mean 'margin'\?"):
        points.get("margim")


def test_the_strategies_that_come_with_the_package_are_reserved() -> None:
    from modules.query_strategies import STRATEGIES
    from modules.query_strategies.kinds import QUERY_STRATEGIES

    assert set(QUERY_STRATEGIES.reserved) == set(STRATEGIES)
    assert all(cls.model_fields["kind"].default == name for name, cls in STRATEGIES.items())
