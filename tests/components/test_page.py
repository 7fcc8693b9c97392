"""The evaluation page in a real browser, cut off from the network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.components import evaluation_data as small

HOSTILE = '<img src=x onerror="window.hacked=1">'
SCRIPT = "</script><script>window.hacked=1</script><!--<script>"


@pytest.fixture(scope="module")
def page_file(evaluation: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from components.evaluation.page import write_evaluation_page

    output = tmp_path_factory.mktemp("page") / "evaluation.html"
    write_evaluation_page(evaluation, output, "Demo <run>")
    return output


def test_the_views_hold_the_evaluation(evaluation: str, data: small.Data) -> None:
    from components.evaluation.page import overall_views
    from components.evaluation.reading import read_evaluation

    views = {view["title"]: view for view in overall_views(evaluation)}
    assert set(views) == {
        "exclusive: overall", "exclusive: retailer", "exclusive: categories", "exclusive: plots",
        "tags: overall", "tags: retailer", "tags: categories",
        "yes_no: overall", "yes_no: retailer", "yes_no: categories",
    }  # fmt: skip
    overall = read_evaluation(evaluation)[0]
    accuracy = views["exclusive: overall"]["data"][0]["metrics"][""][""]["accuracy"]["boundedValue"]
    assert accuracy["lowerBound"] == overall.values["exclusive"]["accuracy/lower"]
    assert [row["slice"] for row in views["tags: categories"]["data"]] == small.PATHS
    buckets = views["exclusive: plots"]["data"]["calibrationHistogramBuckets"]["buckets"]
    weight = sum(bucket.get("numWeightedExamples", 0.0) for bucket in buckets)
    assert weight == pytest.approx(data.weights[data.labels >= 0].sum(), rel=1e-6)


def test_a_page_holds_all_it_needs(page_file: Path) -> None:
    text = page_file.read_text("utf-8")
    assert "<title>Demo &lt;run&gt;</title>" in text
    assert "default-src 'none'" in text
    assert text.count("</script>") == 4 and "<!--" not in text.replace("<!DOCTYPE html>", "")


@pytest.fixture
def open_page(browser: Any) -> Iterator[Any]:
    """Opens a file; fails the test for an error in the page or anything asked of the network."""
    context = browser.new_context(offline=True)
    found: list[str] = []

    def go(file: Path) -> Any:
        page = context.new_page()
        page.on("pageerror", lambda error: found.append(f"error: {error}"))
        page.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "data:")) else found.append(request.url),
        )
        page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
        page.goto(file.as_uri())
        return page

    yield go
    context.close()
    assert not found


def _cells(page: Any) -> list[list[str]]:
    """The rows of the table that is shown; the locator looks into TFMA's elements."""
    rows = page.locator("tfma-metrics-table tbody tr")
    rows.first.wait_for()
    return [rows.nth(i).locator("td").all_inner_texts() for i in range(rows.count())]


@pytest.mark.browser
def test_a_browser_shows_the_overall_figures_and_the_slices(page_file: Path, evaluation: str, open_page: Any) -> None:
    from components.evaluation.reading import read_evaluation

    page, slices = open_page(page_file), read_evaluation(evaluation)
    values = slices[0].values["exclusive"]
    assert _cells(page)[0][0] == "Overall"
    heads = page.locator("tfma-metrics-table th").all_inner_texts()
    shown = page.locator("tfma-metrics-table tbody td").nth(heads.index("accuracy"))
    shown.get_by_text(f"{values['accuracy']:.5f}").wait_for()
    shown.get_by_text(f"({values['accuracy/lower']:.5f}, {values['accuracy/upper']:.5f})").wait_for()
    page.get_by_role("button", name="exclusive: retailer").click()
    page.locator("tfma-metrics-table td", has_text="shop 3").wait_for()
    named = {row[0]: row for row in _cells(page)}
    assert set(named) == {f"retailer:shop {i}" for i in range(small.RETAILERS)}
    assert page.locator("tfma-slice-overview rect, tfma-metrics-histogram rect").count() > 0


@pytest.mark.browser
def test_a_browser_shows_the_plots(page_file: Path, open_page: Any) -> None:
    page = open_page(page_file)
    page.get_by_role("button", name="exclusive: plots").click()
    page.locator("tfma-calibration-plot circle").first.wait_for()
    assert page.locator("tfma-calibration-plot circle").count() > 3


def _many(count: int) -> Any:
    from components.evaluation.figures import COLUMNS
    from components.evaluation.page import _metrics_view, _row

    rng = np.random.default_rng(0)
    rows = []
    for i in range(count):
        values = dict(zip(COLUMNS, rng.random(len(COLUMNS)), strict=True))
        values |= {"f1": i / count, "f1/lower": i / count / 2, "f1/upper": 1.0, "example_count": float(i)}
        rows.append(_row(f"Department {i % 12} > Category {i}", values))
    rows[7]["slice"], rows[8]["slice"] = HOSTILE, SCRIPT
    return [{**_metrics_view("exclusive: categories", rows), "categories": True}]


@pytest.mark.browser
def test_a_thousand_categories_can_be_searched_and_sorted(
    evaluation: str, open_page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from components.evaluation import page as module

    monkeypatch.setattr(module, "overall_views", lambda folder: _many(1063))
    module.write_evaluation_page(evaluation, tmp_path / "many.html")
    page = open_page(tmp_path / "many.html")
    assert len(_cells(page)) == 20
    page.locator("tfma-metrics-table", has_text="1 to 20 of 1063").wait_for()
    head = page.locator("tfma-metrics-table th").filter(has_text="f1").first
    head.click()
    head.click()
    assert _cells(page)[0][0] == "Department 6 > Category 1062"
    page.locator("tfma-metrics-table").get_by_role("button", name="Next").click()
    page.locator("tfma-metrics-table", has_text="21 to 40 of 1063").wait_for()
    page.get_by_label("Find a category").fill("category 99")
    page.locator("tfma-metrics-table td", has_text="Department 3 > Category 99").first.wait_for()
    assert len(_cells(page)) == 11
    # What a retailer or a taxonomy is called is never read as HTML.
    for hostile in (HOSTILE, SCRIPT):
        page.get_by_label("Find a category").fill(hostile[:20])
        page.locator("tfma-metrics-table td", has_text=hostile).first.wait_for()
        assert len(_cells(page)) == 1
    assert page.evaluate("window.hacked") is None
