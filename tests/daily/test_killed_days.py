"""SIGKILL in the middle of a day: the next pass goes on, and ends with what the model says of the feed, indexes too."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from api.similarity.sources import newest_version
from modules.errors import InputError
from modules.predictions.daily import passes
from modules.predictions.daily.state import last_pass, parts_of
from modules.similarity.catalogue import Catalogue
from pipeline import daily_index
from pipeline.results import published_predictions
from pipeline.workflow_file import load_workflow
from tests.daily.indexed import check, example, push, renew
from tests.daily.predictor import SHARD
from tests.daily.shop import Shop, asked, day

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("point", "number", "left"), [("predicted", 0, 30), ("settled", 1, 20), ("taken", 1, 10), ("ended", 0, 0)]
)
def test_what_was_noted_is_not_predicted_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, point: str, number: int, left: int
) -> None:
    monkeypatch.setattr(passes, "SHARD", SHARD)
    rows = day(30)
    before = {name: {**row, "title": "canvas tote"} for name, row in rows.items()}
    shop.predict(before | {"gone": {**rows["p0"], "id": "gone"}})
    shop.write(rows.values())
    command = [sys.executable, "-m", "tests.daily.predictor", str(shop.workflow), point, str(number)]
    died = subprocess.run(command, check=False, cwd=Path(__file__).parents[2], capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    last = last_pass(shop.place)
    assert last is not None and (last.ended is not None) == (point == "ended")
    loaded = load_workflow(shop.workflow)
    if point != "ended":
        with pytest.raises(InputError, match="the last pass was cut off"):
            published_predictions(loaded)
    with asked(monkeypatch) as batches:
        counts = shop.predict()
    assert counts.predicted == left and sum(batch for batch in batches if batch > 1) == left
    shop.check(rows)
    assert not (shop.place / "spool").exists() and published_predictions(loaded).files.products() == 30
    assert len(list(parts_of(shop.place).iterdir())) <= 6


@pytest.mark.parametrize(
    ("point", "share"),
    [("compared", 0.5), ("written", 0.5), ("settled", 0.5), ("built", 0.01), ("settled", 0.01), ("taken", 0.01)],
)
def test_indexes_are_whole_at_any_moment(shop: Shop, monkeypatch: pytest.MonkeyPatch, point: str, share: float) -> None:
    rows = day(60)
    shop.record("run-2", rows, example=example)
    push(shop, "run-2")
    rows["p3"]["title"] = "canvas tote"
    del rows["p4"]
    rows["new"] = {**rows["p7"], "id": "new"}
    shop.predict(rows)
    command = [sys.executable, "-m", "tests.daily.indexer", str(shop.workflow), point, str(share)]
    died = subprocess.run(command, check=False, cwd=Path(__file__).parents[2], capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    # What a server opens meanwhile is yesterday's or today's.
    served = newest_version(shop.runs.pushed_indexes)
    assert served is not None
    catalogue = Catalogue.open(served)
    is_settled = point in ("settled", "taken")
    assert (served.name != "1") == is_settled and (catalogue.product("new") is not None) == is_settled
    monkeypatch.setattr(daily_index, "REBUILD_SHARE", share)
    shop.predict(rows)
    renewed = renew(shop)
    check(shop, renewed.version, rows)
    assert newest_version(shop.runs.pushed_indexes) == renewed.version
    assert {path.name for path in shop.runs.pushed_indexes.iterdir()} == {"1", renewed.version.name}
