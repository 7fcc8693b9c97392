"""Feeds that are broken, and requests that cannot be met: nothing changes, and it is said why."""

from __future__ import annotations

import gzip
import json
import resource
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from modules.errors import InputError
from modules.predictions.daily.state import database_of, last_pass, parts_of
from tests.cli.program import run
from tests.daily.shop import Shop, day


def test_bad_records_are_counted_and_named(shop: Shop) -> None:
    rows = day(100)
    bad = ["{no json", json.dumps({"title": "no id"}), json.dumps({**rows["p3"], "title": "again"})]
    shop.write([*rows.values(), *bad])
    counts = shop.predict()
    assert counts.quarantined == Counter(broken_json=1, no_id=1, duplicate_id=1) and counts.products == 100
    shop.check(rows)
    with gzip.open(shop.place / "quarantine.jsonl.gz", "rt") as stream:
        kept = [json.loads(line) for line in stream]
    assert {record["reason"]: record["line"] for record in kept} == {
        "broken_json": 101, "no_id": 102, "duplicate_id": 103,
    }  # fmt: skip
    assert kept[2]["detail"] == f"{shop.feed}:4 has this id already"


def test_an_id_twice_in_two_files_is_the_first_files(shop: Shop) -> None:
    rows = day(60)
    names = [str(shop.folder / name) for name in ("a.jsonl", "b.jsonl")]
    for name, title in zip(names, ("boot", "sandal"), strict=True):
        own = [{**rows["p1"], "title": title}, *({**row, "id": f"{name}{at}"} for at, row in rows.items())]
        Path(name).write_text("".join(json.dumps(row) + "\n" for row in own))
    counts = shop.predict(files=tuple(names))
    assert counts.quarantined == Counter(duplicate_id=1) and shop.table()["p1"]["title"] == "boot"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "at least one product"),
        (b"{no json\n" * 30, "of 30 records are bad"),
        (b"\x00\xff\xfe" * 1000, "bad|product|UTF"),
        (b'{"id": "1"' + b" " * 100, "bad|product"),
    ],
)
def test_a_feed_that_cannot_be_used_changes_nothing(shop: Shop, content: bytes, words: str) -> None:
    rows = day(20)
    shop.predict(rows)
    before = sorted(parts_of(shop.place).iterdir())
    shop.feed.write_bytes(content)
    with pytest.raises(InputError, match=words):
        shop.predict()
    assert sorted(parts_of(shop.place).iterdir()) == before
    shop.check(rows)
    assert not (shop.place / "spool").exists()


def test_a_day_by_the_command_line(capsys, shop: Shop) -> None:
    rows = day(30)
    shop.write(rows.values())
    code, out, err = run(capsys, "predict", "-w", shop.workflow)
    assert (code, err) == (0, "")
    assert "30 products: 30 new, 0 changed, 0 unchanged, 0 gone; 0 records in quarantine" in out
    assert f"next: shelfmark drift --workflow {shop.workflow}" in out
    today = shop.folder / "today [1].jsonl"
    rows["p1"]["title"] = "canvas tote carry" if "boot" in rows["p1"]["title"] else "boot leather ankle"
    today.write_text("".join(json.dumps(row) + "\n" for row in rows.values()) + "{no json\n")
    code, out, _ = run(capsys, "predict", today, "-w", shop.workflow)
    assert code == 0 and "0 new, 1 changed, 29 unchanged, 0 gone; 1 record in quarantine" in out
    assert "broken_json 1" in out and "1 product predicted" in out and "quarantine.jsonl.gz" in out
    shop.check(rows)
    assert "1 product changed categories" in out


def test_published_is_the_newest_of_run_and_day(capsys, shop: Shop) -> None:
    out = shop.folder / "out"

    def publish() -> str:
        code, said, err = run(capsys, "publish", out, "-w", shop.workflow)
        assert (code, err) == (0, "")
        return said

    assert "5 new, 0 changed, 0 gone" in publish()
    # The run's products, one of them changed, and others.
    rows = day(5) | {f"d{i}": {**row, "id": f"d{i}"} for i, row in enumerate(day(20, seed=8).values())}
    rows["p0"]["title"] = "canvas tote carry" if "boot" in rows["p0"]["title"] else "boot leather ankle"
    for row in rows.values():
        # The run's table has none.
        del row["retailer"]
    shop.predict(rows)
    assert "20 new, 1 changed, 0 gone, 4 as before" in publish()
    assert "0 new, 0 changed, 0 gone, 25 as before" in publish()
    target = shop.folder / "all.jsonl"
    code, _, _ = run(capsys, "predictions", "--published", "-o", target, "-w", shop.workflow)
    assert code == 0 and {json.loads(line)["id"] for line in target.read_text().splitlines()} == rows.keys()
    # A later run has seen a later feed.
    shop.record("run-2", day(5))
    assert "0 new, 1 changed, 20 gone, 4 as before" in publish()


def test_without_a_blessed_model(capsys, shop: Shop) -> None:
    shop.record("run-2", day(5), blessed=False)
    shop.write(day(5).values())
    code, out, err = run(capsys, "predict", "-w", shop.workflow)
    assert (code, out) == (2, "") and "a run by whose time a model was blessed" in err and "`shelfmark metrics`" in err


def test_a_model_that_was_cleaned_away(capsys, shop: Shop) -> None:
    shop.model.rename(shop.folder / "elsewhere")
    shop.write(day(5).values())
    code, out, err = run(capsys, "predict", "-w", shop.workflow)
    assert (code, out) == (2, "") and "cleaned away" in err and f"shelfmark run {shop.workflow}" in err


@pytest.mark.parametrize(
    ("arguments", "words"), [(["none.jsonl"], "there is none"), (["shop.yaml"], "this is a workflow")]
)
def test_bad_requests_leave_with_2(capsys, shop: Shop, arguments: list[str], words: str) -> None:
    code, out, err = run(capsys, "predict", *arguments, "-w", shop.workflow)
    assert (code, out) == (2, "") and words in err


def test_each_of_several_feeds_needs_its_files(shop: Shop) -> None:
    settings = yaml.safe_load(shop.workflow.read_text())
    fields = settings.pop("feed")["fields"]
    feeds = [{"retailer": name, "files": [f"{name}.jsonl"], "fields": fields} for name in ("acme", "bolt")]
    shop.workflow.write_text(yaml.safe_dump({**settings, "feeds": feeds}))
    rows, files = day(20), {name: shop.folder / f"today-{name}.jsonl" for name in ("acme", "bolt")}
    for number, file in enumerate(files.values()):
        own = list(rows.values())[number::2]
        file.write_text("".join(json.dumps(row) + "\n" for row in own))
    named = tuple(f"{name}={file}" for name, file in files.items())
    assert shop.predict(files=named).new == 20
    last = last_pass(shop.place)
    assert shop.table().keys() == {f"{('acme', 'bolt')[at % 2]}:{name}" for at, name in enumerate(rows)}
    for wrong, said in (
        (named[:1], "there is none of: bolt"),
        ((*named, str(files["acme"])), "expected RETAILER=FILE, where RETAILER is one of: acme, bolt"),
        ((named[0], f"bold={files['bolt']}"), "did you mean 'bolt'"),
        ((named[0], "bolt=nowhere.jsonl"), "nowhere.jsonl.*there is none"),
    ):
        with pytest.raises(InputError, match=said):
            shop.predict(files=wrong)
    assert last_pass(shop.place) == last


def test_a_state_of_another_version_says_how_to_go_on(shop: Shop) -> None:
    rows = day(20)
    shop.predict(rows)
    with closing(sqlite3.connect(database_of(shop.place))) as database:
        database.execute("alter table products rename column shown to displayed")
    for _ in range(2):
        with pytest.raises(InputError, match="by another version of Shelfmark; put it aside: mv .*predicted anew"):
            shop.predict()
    database_of(shop.place).rename(shop.folder / "aside")
    assert shop.predict().new == 20
    shop.check(rows)


@pytest.mark.parametrize("limit", [0, 8_000, 60_000, 150_000])
def test_a_full_disk_is_said_and_the_same_command_goes_on(shop: Shop, limit: int) -> None:
    # In the state's log, in the spool, and in the predictions.
    rows = day(1500)
    shop.write(rows.values())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(InputError, match="is there room on the disk"):
            shop.predict()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    shop.predict()
    shop.check(rows)
