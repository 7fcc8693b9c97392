"""SIGKILL in the middle of a publication: the next one ends with the target exactly as predicted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from publishing.log import PublicationLog, status_of
from publishing.targets import target_for
from publishing.targets.base import Options
from publishing.targets.folder import FolderTarget
from tests.publishing.shop import Receiver, answers, apply, expected, predict, publish_to, receiver, rounded, webhook
from tests.publishing.test_targets import Place

BATCH = 7


def killed(folder: Path, log: Path, address: str, *death: object, shop: Receiver | None = None) -> None:
    """Publishes in a process that does not live to the end."""
    command = [sys.executable, "-m", "tests.publishing.publisher", str(folder), str(log), address, *map(str, death)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=root) as process:
        if shop is not None:
            shop.process = process.pid
        process.communicate(b"\n")
    assert process.returncode == -signal.SIGKILL


def noted(log: Path, rows: list[dict[str, Any]]) -> set[str]:
    with PublicationLog(log, "x") as opened:
        return set(opened.digests([row["id"] for row in rows]))


@pytest.mark.slow
@pytest.mark.parametrize("when", ["kill before", "kill after"])
@pytest.mark.parametrize("number", [0, 3, 8])
def test_a_webhook_gets_the_rows_that_it_has_not_acknowledged(tmp_path: Path, when: str, number: int) -> None:
    rows = predict(tmp_path / "p", {"train": 40, "test": 20})
    with receiver(lambda at, batch: when if at == number else 200) as shop:
        killed(tmp_path / "p", tmp_path / "log", shop.url, shop=shop)
        assert status_of(tmp_path / "log").ended is None
        before = noted(tmp_path / "log", rows)
        first = [name for batch in shop.requests for name in batch]
        shop.requests.clear()
        shop.script = lambda at, batch: 200
        counts = publish_to(webhook(shop), tmp_path / "p", tmp_path / "log")
        again = [name for batch in shop.requests for name in batch]
        assert answers(shop.state) == rounded(expected(rows))
    assert Counter(again) == Counter({row["id"] for row in rows} - before) and counts.sent == len(again)
    # Two batches are in flight, and up to two may have been answered that nobody had noted yet.
    assert len(set(first) & set(again)) <= 4 * BATCH and set(first) | set(again) == {row["id"] for row in rows}
    assert noted(tmp_path / "log", rows) == {row["id"] for row in rows}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "parquet", "sqlite"])
@pytest.mark.parametrize(("point", "number"), [("sent", 0), ("noted", 1), ("sent", 4), ("noted", 8)])
def test_folders_and_databases_too(tmp_path: Path, kind: str, point: str, number: int) -> None:
    out = tmp_path / "out"
    address = {"folder": str(out), "parquet": f"parquet://{out}", "sqlite": f"sqlite:///{out}.sqlite"}[kind]
    predict(tmp_path / "p", {"train": 40, "test": 20})
    log = tmp_path / "log"
    # What it has already may change or go as well.
    publish_to(target_for(address, Options()), tmp_path / "p", log)
    rows = predict(tmp_path / "p", {"train": 62}, seed=1)
    killed(tmp_path / "p", log, address, point, number)
    before = noted(log, rows)
    publish_to(target_for(address, Options()), tmp_path / "p", log)
    place = Place(type(target_for(address, Options())), address, Options())
    assert answers(place.state()) == rounded(expected(rows))
    assert before <= noted(log, rows) == {row["id"] for row in rows}
    if kind != "sqlite":
        assert not [file for file in out.iterdir() if file.suffix not in (".jsonl", ".parquet")]


def test_predictions_may_change_between_the_kill_and_the_next_publication(tmp_path: Path) -> None:
    predict(tmp_path / "p", {"train": 40})
    with receiver(lambda at, batch: "kill after" if at == 2 else 200) as shop:
        killed(tmp_path / "p", tmp_path / "log", shop.url, shop=shop)
        rows = predict(tmp_path / "p", {"train": 10}, seed=1)
        shop.script = lambda at, batch: 200
        publish_to(webhook(shop), tmp_path / "p", tmp_path / "log")
        # Among them products that arrived, were never acknowledged, and are gone since.
        assert answers(shop.state) == rounded(expected(rows))


def test_predictions_may_go_back_to_what_was_acknowledged(tmp_path: Path) -> None:
    predict(tmp_path / "p", {"train": 20})
    with receiver() as shop:
        publish_to(webhook(shop), tmp_path / "p", tmp_path / "log")
        predict(tmp_path / "p", {"train": 20}, seed=1)
        shop.script = lambda at, batch: "kill after"
        killed(tmp_path / "p", tmp_path / "log", shop.url, shop=shop)
        rows = predict(tmp_path / "p", {"train": 20})
        assert answers(shop.state) != rounded(expected(rows))
        shop.script = lambda at, batch: 200
        publish_to(webhook(shop), tmp_path / "p", tmp_path / "log")
        assert answers(shop.state) == rounded(expected(rows))


def test_files_of_a_folder_are_whole_lines(tmp_path: Path) -> None:
    rows = predict(tmp_path / "p", {"train": 40})
    killed(tmp_path / "p", tmp_path / "log", str(tmp_path / "out"), "sent", 2)
    publish_to(FolderTarget(str(tmp_path / "out"), Options(), False), tmp_path / "p", tmp_path / "log")
    state: dict[str, Any] = {}
    files = sorted((tmp_path / "out").iterdir())
    assert len(files) == 2 and all(file.suffix == ".jsonl" for file in files)
    for file in files:
        apply(state, [json.loads(line) for line in file.read_text().splitlines()])
    assert answers(state) == rounded(expected(rows))
