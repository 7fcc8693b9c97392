"""The first day of somebody with six shops' feeds: init, run, label in a browser, run again, take the catalogue along.

Nothing is edited on the way, and every command is one that the tutorial shows.
"""

from __future__ import annotations

import csv
import os
import signal
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from labelling.store import Store, rows
from modules.objectives import DEFAULT_OBJECTIVE
from modules.predictions.columns import CATEGORY, ID, LABEL, RETAILER, SPLIT, objective_column
from pipeline.workflow_file import REPOSITORY
from tests.browsing import Watched
from tests.end_to_end import six_feeds
from tests.end_to_end.test_demo_run import states
from tests.servers import free_port

WORKFLOW = "shop/shop.yaml"
pytestmark = [pytest.mark.slow, pytest.mark.browser]

WATCH = """() => {
  window.seen = {keys: 0, shown: []};
  let pressed = 0;
  document.addEventListener("keydown", () => { seen.keys += 1; pressed = performance.now(); }, true);
  new MutationObserver(() => {
    const since = pressed;
    requestAnimationFrame(() => seen.shown.push(performance.now() - since));
  }).observe(document.getElementById("stage"), {childList: true});
}"""
"""Counts key presses, and measures from the last press until the next product is painted, both in the page."""

REQUESTS = """() => performance.getEntriesByType("resource")
  .filter(e => ["/label", "/label/next", "/search"].includes(new URL(e.name).pathname))
  .map(e => [new URL(e.name).pathname, e.duration])"""

CHOSEN = (
    """path => document.querySelector("#hits [aria-selected=true]")?.textContent.replaceAll("\\u00a0", " ") === path"""
)
"""Whether Enter takes this category."""

LOADED = "() => performance.getEntriesByType('navigation')[0].loadEventEnd"


@dataclass(frozen=True)
class Shop:
    """Somebody's folder, and the commands that are typed there."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1", "COLUMNS": "200"}

    def shelfmark(self, *arguments: str) -> str:
        """What a command prints, which has to end well."""
        done = subprocess.run(
            [sys.executable, "-m", "shelfmark", *arguments],
            cwd=self.folder, capture_output=True, text=True, timeout=900, env=self.environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@dataclass
class Session:
    """What somebody did at the page.

    Attributes:
      answers: product to the category that was given.
      keys: keys pressed, over all products.
      suggested: how many products had their category among the suggestions.
      times: what was waited for, to milliseconds.
    """

    answers: dict[str, str] = field(default_factory=dict)
    keys: int = 0
    suggested: int = 0
    times: dict[str, list[float]] = field(default_factory=dict)

    def sentences(self) -> list[str]:
        each = self.keys / len(self.answers)
        said = [f"{len(self.answers)} products, {self.keys} key presses: {each:.2f} for each product"]
        said.append(f"{self.suggested} of them had their category among the suggestions")
        for what, times in sorted(self.times.items()):
            worst = max(times)
            said.append(f"{what}: median {statistics.median(times):.0f} ms, worst {worst:.0f} ms, {len(times)} times")
        return said


@contextmanager
def labelling(shop: Shop) -> Iterator[str]:
    """``shelfmark label``, as somebody starts it; gives the URL that it would open in a browser."""
    port = free_port()
    command = [sys.executable, "-m", "shelfmark", "label", WORKFLOW, "--annotator", "ann", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--no-browser"], cwd=shop.folder, stdout=subprocess.PIPE, text=True,
        env=shop.environment,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        # The socket takes connections from here on; they wait until the server answers.
        assert any(" at http" in line for line in process.stdout)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def label_all(browser: Any, shop: Shop, truth: dict[str, str]) -> Session:
    """Answers every product of the queue truthfully, by keyboard alone."""
    session = Session()
    with labelling(shop) as url:
        watched = Watched(browser, url, "/label")
        page = watched.page
        page.wait_for_selector("form.card")
        session.times["page"] = [page.evaluate(LOADED)]
        page.evaluate(WATCH)
        while card := page.query_selector("form.card"):
            product = card.get_attribute("data-product")
            path = session.answers[product] = truth[product]
            offered = {
                button.get_attribute("data-said"): button.get_attribute("data-key")
                for button in card.query_selector_all("button[data-said][data-key]")
            }
            if path in offered:
                session.suggested += 1
                page.keyboard.press(offered[path])
            else:
                page.keyboard.press("/")
                page.keyboard.type(path.rpartition(" > ")[2][:4])
                page.wait_for_function(CHOSEN, arg=path)
                page.keyboard.press("Enter")
            page.wait_for_function(
                """before => {
                    const card = document.querySelector('form.card');
                    return card ? card.dataset.product !== before : !document.getElementById('done').hidden;
                }""",
                arg=product,
            )
        page.wait_for_function("() => pending.length === 0")
        seen = page.evaluate("() => seen")
        session.keys, session.times["next product"] = seen["keys"], seen["shown"]
        for path, milliseconds in page.evaluate(REQUESTS):
            session.times.setdefault(path, []).append(milliseconds)
        assert watched.wrong == []
    return session


def exported(shop: Shop, file: str) -> dict[str, dict[str, str]]:
    """The catalogue as ``shelfmark predictions`` writes it, by product."""
    said = shop.shelfmark("predictions", "--workflow", WORKFLOW, "--output", file)
    assert f"{sum(retailer.products for retailer in six_feeds.SHOPS)} predictions" in said
    with (shop.folder / file).open(encoding="utf-8", newline="") as lines:
        return {row[ID]: row for row in csv.DictReader(lines)}


def accuracy(catalogue: dict[str, dict[str, str]], truth: dict[str, str], products: list[str]) -> float:
    return statistics.fmean(catalogue[p][objective_column(DEFAULT_OBJECTIVE, CATEGORY)] == truth[p] for p in products)


def test_from_six_feeds_to_a_catalogue(browser: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop, truth = Shop(tmp_path), dict(six_feeds.truths())
    feeds = six_feeds.write_feeds(tmp_path / "feeds")

    said = shop.shelfmark("init", *map(str, feeds), "--output", "shop", "--name", "shop")
    assert "18 categories of at least 2 products, 12 of them exclusive" in said
    assert "taxonomy: 18 categories, 12 of them exclusive" in shop.shelfmark("validate", WORKFLOW)

    first = shop.shelfmark("run", WORKFLOW)
    assert set(states(first).values()) == {"done"} and "no bad records" in first
    for retailer in six_feeds.SHOPS:
        assert f"{retailer.products} products of {retailer.products} records" in first
    before = exported(shop, "first.csv")

    session = label_all(browser, shop, truth)
    with Store(str(tmp_path / "shop" / "shop.labels.sqlite")) as opened, opened.read() as connection:
        assert {row.product_id for row in rows.read(connection) if row.value == "yes"} == session.answers.keys()
    retailers = Counter(product.partition(":")[0] for product in session.answers)
    assert retailers.keys() == {"harbour", "maison"}, "nobody is asked about a category that a feed tells"

    second = shop.shelfmark("run", WORKFLOW)
    after = exported(shop, "catalogue.csv")
    # The model was trained with every answer: the table of predictions holds the labels that its run knew.
    for product, category in session.answers.items():
        assert not before[product][objective_column(DEFAULT_OBJECTIVE, LABEL)]
        assert after[product][objective_column(DEFAULT_OBJECTIVE, LABEL)] == category
    learnt = [product for product in session.answers if after[product][SPLIT] == "train"]
    assert len(learnt) > len(session.answers) / 2

    # Measured for each retailer: also for the one whose feed tells no category, on its random labels.
    measured = second.partition(f"\n{DEFAULT_OBJECTIVE}, on ")[2].partition("\n\n")[0]
    names = {line.split()[0] for line in measured.splitlines() if " products  accuracy " in line}
    assert names == {own.retailer for own in six_feeds.SHOPS}

    # Exported: each product under its retailer's own id, with a category.
    assert after.keys() == truth.keys()
    assert all(row[ID] == f"{row[RETAILER]}:{row[ID].partition(':')[2]}" for row in after.values())
    assert {row[objective_column(DEFAULT_OBJECTIVE, CATEGORY)] for row in after.values()} == set(six_feeds.KINDS)
    # People alone taught the model harbour's words: judged by the truth, on products that it has not learnt from.
    harbour = [product for product, row in after.items() if row[RETAILER] == "harbour" and row[SPLIT] != "train"]
    was, now = (accuracy(catalogue, truth, harbour) for catalogue in (before, after))
    assert now > max(0.7, was + 0.2)
    assert accuracy(after, truth, list(truth)) > 0.9

    said = [*session.sentences(), f"accuracy on {len(harbour)} of harbour's: {was:.3f}, then {now:.3f}"]
    with capsys.disabled():
        print("", *said, sep="\n")
    assert session.keys <= 8 * len(session.answers)
    # Limits that a hanging page breaks, not a slow machine.
    assert statistics.median(session.times["next product"]) < 1000 and session.times["page"][0] < 20_000
