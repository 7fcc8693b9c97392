"""Workflows whose feed is a source: what may stand in them, when snapshots are taken, and what is said of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from rich.console import Console

from modules.errors import InputError
from modules.feeds.plan import ExampleSettings
from modules.feeds.sources import asking
from modules.settings.workflow import Workflow
from pipeline.inputs import example_settings
from pipeline.sources import take_sources
from pipeline.workflow_file import load_workflow
from shelfmark.runners import KubeflowRunner
from tests.cli.program import run
from tests.modules.images.pictures import Server, serving, status

SECRET = "wood-7c1d0a9e55"
FEED = b"id,title,path\n1,boot,Shoes/Boots\n2,lamp,Home/Lamps\n"
COMMON = """\
name: shop
runners: {{local: {{folder: {folder}}}}}
taxonomy: {{from_truth: true}}
"""
HTTP = (
    COMMON
    + """\
feed:
  fields: {{truth: path}}
  truth_separator: /
  source: {{kind: http, url: {url}, allow_private: true}}
"""
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(asking, "PAUSE", 0.01)


def write(folder: Path, text: str, **values: object) -> Path:
    path = folder / "shop.yaml"
    path.write_text(text.format(folder=folder / "runs", **values))
    return path


def snapshots(folder: Path, feed: str = "feed") -> list[Path]:
    return sorted((folder / "runs" / "shop" / "sources" / feed).glob("*.csv*"))


def quiet() -> Console:
    return Console(quiet=True)


@pytest.mark.parametrize(
    ("feed", "key", "said"),
    [
        (f"source: {{kind: http, url: 'https://shop:{SECRET}@h/f.csv'}}", "feed.source.url", "env:NAME"),
        ("source: {kind: http, url: shop.example/feed.csv}", "feed.source.url", "an address like https"),
        (f"source: {{kind: http, url: 'https://h/f', token: {SECRET}}}", "feed.source.token", "env|file"),
        ("source: {kind: http}", "feed.source.url", "required"),
        (f"source: {{kind: sql, url: 'mysql://u:{SECRET}@h/d', query: q}}", "feed.source.url", "env:NAME"),
        (f"source: {{kind: sql, url: 'mysql://h/d?password={SECRET}', query: q}}", "feed.source.url", "env:NAME"),
        ("source: {kind: sql, url: shop.sqlite, query: q}", "feed.source.url", "an address like postgresql"),
        ("source: {kind: ftp, url: 'ftp://h/f'}", "feed.source.kind", "http, sql"),
        ("files: ['*.csv']\n  source: {kind: http, url: 'https://h/f'}", "feed.files", "no files, since feed.source"),
    ],
)
def test_what_cannot_stand_in_a_workflow(tmp_path: Path, feed: str, key: str, said: str) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(f"name: shop\nfeed:\n  {feed}\n")
    with pytest.raises(InputError) as caught:
        load_workflow(path)
    problems = [problem for problem in caught.value.problems if problem.key == key]
    assert problems and said in str(problems[0]), str(caught.value)
    if key.endswith("url"):
        assert SECRET not in str(caught.value)


def test_each_of_several_feeds_may_have_a_source(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as database, database:
        database.execute("CREATE TABLE products (id INTEGER, title TEXT, path TEXT)")
        database.execute("INSERT INTO products VALUES (7, 'doll', 'Toys/Dolls')")
    (tmp_path / "north.csv").write_bytes(FEED)
    text = COMMON + (
        "feeds:\n"
        "  - {{retailer: north, files: [north.csv], fields: {{truth: path}}, truth_separator: /}}\n"
        "  - {{retailer: south, fields: {{truth: path}}, truth_separator: /, source: {{kind: sql, "
        "url: 'sqlite:///shop.sqlite', query: SELECT * FROM products}}}}\n"
    )
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=r"feeds\[1\]\.source: there is no snapshot of it yet; shelfmark validate"):
        load_workflow(path).feed_files()
    loaded = take_sources(load_workflow(path), quiet())
    (snapshot,) = (tmp_path / "runs" / "shop" / "sources" / "south").glob("*.jsonl.gz")
    assert loaded.feed_files() == [(str(tmp_path / "north.csv"), 0), (str(snapshot), 1)]
    # What goes into ML Metadata names the snapshot and no database.
    settings = example_settings(loaded)
    again = ExampleSettings.model_validate_json(settings.model_dump_json())
    assert again.feed_files(str(loaded.folder)) == loaded.feed_files()
    assert "SELECT" not in settings.model_dump_json()
    workflow = loaded.workflow
    assert Workflow.model_validate_json(workflow.model_dump_json()).sources == workflow.sources


def etag(handler: BaseHTTPRequestHandler) -> None:
    if handler.headers.get("if-none-match") == '"1"':
        handler.send_response(304)
        handler.end_headers()
    else:
        status(200, FEED, ETag='"1"')(handler)


def test_validate_takes_the_snapshot_and_says_so(capsys, tmp_path: Path) -> None:
    with serving({"/feed.csv": etag}) as server:
        path = write(tmp_path, HTTP, url=server.url("/feed.csv"))
        code, out, err = run(capsys, "validate", path)
        assert (code, err) == (0, "")
        assert f"feed: {len(FEED)} B from {server.url('/feed.csv')}\n" in out and out.endswith("ok\n")
        (first,) = snapshots(tmp_path)
        code, out, _ = run(capsys, "validate", path)
        assert code == 0 and f"feed: {len(FEED)} B from {server.url('/feed.csv')}, unchanged\n" in out
        assert snapshots(tmp_path) == [first] and first.read_bytes() == FEED


def test_while_the_source_is_away_the_last_snapshot_is_offered(capsys, tmp_path: Path) -> None:
    def gone(server: Server) -> Path:
        return write(tmp_path, HTTP, url=server.url("/feed.csv"))

    with serving({"/feed.csv": etag}) as server:
        path = gone(server)
        code, _, err = run(capsys, "run", path, "--last-snapshot")
        assert code == 2 and "there is no snapshot of it yet" in err
        assert run(capsys, "validate", path)[0] == 0
    for command in ("run", "validate"):
        code, out, err = run(capsys, command, path)
        assert code == 2 and out == "" and err.startswith(f"{path}:7: feed.source: ")
        assert "cannot be reached, 5 times in a row" in err and "--last-snapshot uses the last snapshot, of 20" in err
        assert err.count("\n") == 1
    # Of a source that is away the last snapshot is what the check reads.
    loaded = take_sources(load_workflow(path), quiet(), last=True)
    assert [file.path for file in loaded.feed_files()] == [str(snapshots(tmp_path)[0])]


def test_secrets_are_in_no_file_and_in_no_output(capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(f"{handler.path} {handler.headers['authorization']}")
        status(200 if len(asked) < 3 else 403, FEED + b"3,doll,Toys\n" * len(asked), ETag=f'"{len(asked)}"')(handler)

    with serving({"/feed.csv": answer}) as server:
        monkeypatch.setenv("SHOP_FEED", f"{server.url('/feed.csv')}?signature={SECRET}")
        monkeypatch.setenv("SHOP_TOKEN", SECRET)
        path = write(tmp_path, HTTP.replace("{url}", "'env:SHOP_FEED', token: 'env:SHOP_TOKEN'"))
        said = [run(capsys, "validate", path) for _ in range(3)]
    assert [code for code, _, _ in said] == [0, 0, 2]
    assert asked == [f"/feed.csv?signature={SECRET} Bearer {SECRET}"] * 3
    assert SECRET not in str(said)
    files = [file for file in (tmp_path / "runs").rglob("*") if file.is_file()]
    assert len(files) >= 3 and all(SECRET.encode() not in file.read_bytes() for file in files)
    settings = example_settings(load_workflow(path)).model_dump_json()
    assert SECRET not in settings and "SHOP_FEED" not in settings


@pytest.mark.parametrize("named", ["address", "variable"])
def test_init_writes_a_workflow_for_an_address(
    capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    rows = [
        b"%d,%s %d,%s" % (i, *((b"boot", i, b"Shoes/Boots") if i % 2 else (b"lamp", i, b"Home/Lamps")))
        for i in range(200)
    ]
    with serving({"/export": status(200, b"id,title,category\n" + b"\n".join(rows), ETag='"1"')}) as server:
        address = server.url("/export") if named == "address" else "env:SHOP_FEED"
        monkeypatch.setenv("SHOP_FEED", f"{server.url('/export')}?key={SECRET}")
        code, _, err = run(capsys, "init", address, "--name", "toys")
        assert code == 2 and "not public" in err and err.startswith("FEED: feed.source: ") and not Path("toys").exists()
        code, out, err = run(capsys, "init", address, "--name", "toys", "--allow-private")
        assert (code, err) == (0, "") and "200 products looked at" in out
        code, out, err = run(capsys, "validate", "toys/toys.yaml")
    assert (code, err) == (0, "") and ", unchanged" in out
    source = load_workflow("toys/toys.yaml").workflow.feed.source
    assert source is not None and source.model_dump(exclude_defaults=True) == {"url": address, "allow_private": True}
    assert SECRET not in Path("toys/toys.yaml").read_text()


def test_init_takes_one_address_alone(capsys, tmp_path: Path) -> None:
    code, _, err = run(capsys, "init", "https://shop.example/a.csv", "b.csv")
    assert code == 2 and "no other feed beside an address" in err
    code, _, err = run(capsys, "init", f"https://shop:{SECRET}@shop.example/a.csv")
    assert code == 2 and "no user or password" in err and SECRET not in err and list(tmp_path.iterdir()) == []


def test_clean_deletes_all_but_the_last_snapshot(capsys, tmp_path: Path) -> None:
    versions = iter(range(9))
    answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {
        "/feed.csv": lambda handler: status(200, FEED + b"%d,x,Toys\n" % next(versions))(handler)
    }
    with serving(answers) as server:
        path = write(tmp_path, HTTP, url=server.url("/feed.csv"))
        for _ in range(4):
            loaded = take_sources(load_workflow(path), quiet())
    assert len(snapshots(tmp_path)) == 3
    code, out, _ = run(capsys, "clean", path, "--sources", "--dry-run")
    assert code == 0 and "snapshots of sources: 2 files would be deleted" in out and len(snapshots(tmp_path)) == 3
    code, out, _ = run(capsys, "clean", path, "--sources")
    assert code == 0 and "snapshots of sources: 2 files deleted" in out
    assert [file.path for file in loaded.feed_files()] == [str(file) for file in snapshots(tmp_path)]


def test_pods_need_the_snapshots_below_the_feed(tmp_path: Path) -> None:
    runner = KubeflowRunner(None)  # type: ignore[arg-type]
    with serving({"/feed.csv": etag}) as server:
        path = write(tmp_path, HTTP, url=server.url("/feed.csv"))
        loaded = runner.with_sources(load_workflow(path), quiet())
        settings = example_settings(loaded)
        (snapshot,) = snapshots(tmp_path)
        # Pods may see the feed's folder elsewhere.
        assert settings.snapshots == (str(snapshot.relative_to(tmp_path)),)
        assert [file.path for file in settings.feed_files("/data")] == [f"/data/{settings.snapshots[0]}"]
        with pytest.raises(InputError, match="--cron.*snapshot of now"):
            KubeflowRunner(None, cron="0 0 3 * * *").with_sources(loaded, quiet())  # type: ignore[arg-type]
        elsewhere = load_workflow(path, ["feed.folder=data"])
        with pytest.raises(InputError, match=r"runners\.local\.folder.*below the feed's"):
            runner.with_sources(elsewhere, quiet())
