"""``shelfmark drift`` after a day: what it says, its exit codes, and what it is held against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modules.drift.building import count_columns, profile_of
from modules.drift.profile import COLUMN_COUNTS, FEED_PROFILE
from modules.feeds.encoding import example_of
from modules.feeds.mapping import Product
from modules.feeds.product_features import ProductFeatures
from modules.predictions.read import PredictionFiles
from tests.cli.program import run
from tests.daily.shop import Rows, Shop, day
from tests.modules.reporting.pages import Page

RETAILERS = ("shop-1", "shop-2")


def feed(count: int = 200, seed: int = 7) -> Rows:
    """Products of two retailers in turn."""
    rows = day(count, seed)
    return {name: {**row, "retailer": RETAILERS[at % 2]} for at, (name, row) in enumerate(rows.items())}


def example(row: dict[str, Any]) -> bytes:
    """As a run makes it of the feed's product, all columns included."""
    text = {name: value for name, value in row.items() if isinstance(value, str) and name != "id"}
    vectors = {name: np.array(value, np.float32) for name, value in row.items() if isinstance(value, list)}
    numbers = {name: value for name, value in row.items() if isinstance(value, float)}
    return example_of(ProductFeatures().entries(Product(row["id"], text, vectors, numbers), None))


def train(shop: Shop, name: str = "trained") -> Path:
    """A run with the profile of its feed, as the pipeline writes it; its published folder."""
    shop.record(name, feed(), example=example)
    folder = shop.runs.root / name / "published"
    columns = count_columns([str(shop.folder / f"{name}.gz")])
    profile_of(PredictionFiles(folder), columns).write(folder / FEED_PROFILE)
    return folder


@pytest.fixture
def trained(shop: Shop) -> Shop:
    """A shop whose newest run has trained the published model."""
    train(shop)
    return shop


def drift(capsys: Any, shop: Shop, rows: Rows, *more: str) -> tuple[int, str, str]:
    shop.predict(rows, many_gone=True)
    return run(capsys, "drift", "-w", shop.workflow, *more)


def alarms(capsys: Any, shop: Shop, rows: Rows) -> list[tuple[str, str, str]]:
    """Retailer, kind and subject of each, told by ``--json``; the exit code has to say the same."""
    code, out, err = drift(capsys, shop, rows, "--json")
    told = json.loads(out)
    raised = [row for row in told["comparisons"] if row["drifted"]]
    assert (code, err, told["drifted"]) == ((3 if raised else 0), "", bool(raised))
    return [(row["retailer"], row["kind"], row["subject"]) for row in raised]


def test_the_training_feed_again_is_no_drift(capsys: Any, trained: Shop) -> None:
    code, out, err = drift(capsys, trained, feed())
    assert (code, err) == (0, "")
    assert "200 products, compared with the 200 products of run trained" in out
    assert "no alarm in" in out and f"next: shelfmark publish TARGET --workflow {trained.workflow}" in out
    assert "no drift" in Page((trained.place / "drift.html").read_text()).text


def test_fresh_products_of_the_same_shops_are_no_drift(capsys: Any, trained: Shop) -> None:
    fresh = {f"f{name}": {**row, "id": f"f{name}"} for name, row in feed(seed=99).items()}
    assert alarms(capsys, trained, fresh) == []


@pytest.mark.parametrize("column", ["color", "availability"])
def test_a_lost_column_of_one_retailer_is_named(capsys: Any, trained: Shop, column: str) -> None:
    rows = feed()
    for row in rows.values():
        if row["retailer"] == "shop-2":
            del row[column]
    assert alarms(capsys, trained, rows) == [("shop-2", "missing", column)]
    code, out, _ = run(capsys, "drift", "-w", trained.workflow)
    assert code == 3 and f"shop-2: column {column}: missing values 0.0% before, 100.0% now (distance 1.00)" in out
    assert "next: ask whether the column was renamed" in out and "next: mend the feed" in out
    page = Page((trained.place / "drift.html").read_text())
    assert f"column {column}: missing values 0.0% 100.0%" in " ".join(page.text.split())
    assert any(name == "svg" for name, _ in page.elements)


def test_titles_in_another_language_are_named(capsys: Any, trained: Shop) -> None:
    rows = feed()
    for row in rows.values():
        if row["retailer"] == "shop-1":
            row["title"] = f"{row['title'].replace('o', 'ö').replace('a', 'å').replace('e', 'ø')} ñandu"
    assert ("shop-1", "words", "") in alarms(capsys, trained, rows)
    assert all(retailer == "shop-1" for retailer, _, _ in alarms(capsys, trained, rows))


def test_a_new_retailer_is_named_on_its_first_day(capsys: Any, trained: Shop) -> None:
    rows = feed() | {"n1": {**feed(1)["p0"], "id": "n1", "retailer": "A&B"}}
    assert alarms(capsys, trained, rows) == [("A&B", "new_retailer", "")]
    code, out, _ = run(capsys, "drift", "-w", trained.workflow)
    assert code == 3 and "A&B: a retailer that the model was not trained on (1 product)" in out
    assert "1 alarm in" in out and "next: label some of its products" in out
    assert "A&amp;B: a retailer" in (trained.place / "drift.html").read_text()


def test_settings_move_the_bounds(capsys: Any, trained: Shop) -> None:
    rows = feed()
    for at, row in enumerate(rows.values()):
        if row["retailer"] == "shop-2" and at % 6 == 1:
            del row["color"]
    assert alarms(capsys, trained, rows) == [("shop-2", "missing", "color")]
    for setting in ("drift.min_distance=0.9", "drift.significance=1e-30"):
        code, out, _ = run(capsys, "drift", "-w", trained.workflow, "--set", setting)
        assert code == 0 and "no alarm" in out
    code, _, err = run(capsys, "drift", "-w", trained.workflow, "--set", "drift.min_distance=2")
    assert code == 2 and "drift.min_distance" in err


def test_later_runs_by_the_same_model_are_held_against_its_training_feed(capsys: Any, trained: Shop) -> None:
    trained.record("later", day(5))
    rows = feed() | {"n1": {**feed(1)["p0"], "id": "n1", "retailer": "new"}}
    code, out, _ = drift(capsys, trained, rows)
    assert code == 3 and "of run trained" in out


def test_what_is_missing_or_damaged_is_said_with_what_to_do(capsys: Any, shop: Shop) -> None:
    command = ("drift", "-w", shop.workflow)
    code, _, err = run(capsys, *command)
    assert code == 2 and f"`shelfmark predict --workflow {shop.workflow}` first" in err
    shop.predict(feed())
    code, _, err = run(capsys, *command)
    assert code == 2 and "expected the profile of the feed" in err and f"shelfmark run {shop.workflow}" in err
    profile = train(shop) / FEED_PROFILE
    shop.predict(feed())
    assert run(capsys, *command)[0] == 0
    (shop.place / COLUMN_COUNTS).unlink()
    code, _, err = run(capsys, *command)
    assert code == 2 and COLUMN_COUNTS in err and "makes them again" in err
    shop.predict(feed())
    profile.write_bytes(profile.read_bytes()[:1000])
    code, _, err = run(capsys, *command)
    assert code == 2 and "damaged" in err and FEED_PROFILE in err
