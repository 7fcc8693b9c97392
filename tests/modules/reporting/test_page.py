"""The HTML report: everything on it, nothing hostile through it."""

from __future__ import annotations

import itertools
import re
import resource
from pathlib import Path

import numpy as np
import pytest

from modules.errors import InputError
from modules.examples import Counts
from modules.reporting.model import (
    BadExample,
    Blessing,
    CategoryRow,
    ConfusedPair,
    Confusion,
    Estimate,
    HistoryPoint,
    ObjectiveReport,
    Predicted,
    Report,
    Timing,
    Training,
    Tuning,
    main_figures,
)
from modules.reporting.page import duration_text, render_report, write_page, write_report
from tests.modules.reporting.pages import Page, assert_harmless
from tests.modules.reporting.sample import HOSTILE


def objective(name: str = "exclusive", hostile: str = "Boots", categories: int = 6) -> ObjectiveReport:
    now = {"accuracy": 0.812, "accuracy/lower": 0.741, "accuracy/upper": 0.867, "macro_f1": 0.61, "example_count": 85.0}
    before = {"accuracy": 0.8, "accuracy/lower": 0.73, "accuracy/upper": 0.86}
    rows = [
        CategoryRow(f"c{i}", f"Top > {hostile} {i}", Estimate(i / categories, 0.0, 1.0) if i % 2 else None, 0.5, 0.25,
                    None, 3.0 * i, 3 * (i % 2), 1000 * i, i, 0.5)
        for i in range(categories)
    ]  # fmt: skip
    rng = np.random.default_rng(0)
    return ObjectiveReport(
        name,
        "exclusive",
        85,
        main_figures(now, before),
        rows,
        [HistoryPoint("run-1", before), HistoryPoint("run-2", now)],
        [f"{hostile}: F1 0.1, needed 0.5"],
        Predicted(
            np.arange(categories),
            np.arange(categories),
            Confusion([hostile, "Bags", "Hats"], np.array([[5, 1, 0], [2, 7, 0], [0, 0, 1234]])),
            [ConfusedPair(hostile, "Bags", 7, [hostile, *HOSTILE])],
            np.stack([rng.integers(0, 9, 15).astype(float), rng.random(15), rng.random(15)]),
        ),
        [(hostile, 70, 30), ("Bags", 30, 55)],
    )


def report(hostile: str = "Boots", categories: int = 6) -> Report:
    counts = Counts(rule_products=5, rules=2, files=1, leaked_titles=1)
    counts.products.update(train=10, test=5)
    counts.quarantined.update({"no_id": 3})
    counts.labels["exclusive", hostile] = 7
    return Report(
        "shop",
        "run-2",
        200.4,
        counts,
        [Timing("Trainer", "done", 12.3), Timing("Transform", "cached", 0.1)],
        [objective("exclusive", hostile, categories)],
        "run-1",
        False,
        Blessing("not blessed", "so the model is not pushed", [f"exclusive: {hostile}"]),
        Training(3, 2, {"loss": [3.0, 2.0, 1.0], "val_loss": [3.0, 2.5, 2.6]}, [("features", hostile)]),
        Tuning("exclusive", "accuracy", ["model.kind", "model.l2"], [(0.9124, [hostile, "0.1"]), (0.5, ["deep", "0"])]),
        [BadExample("no_id", f"{hostile}.csv:7", f"detail {hostile}", f"raw {hostile}")],
        [("log", f"/runs/{hostile}")],
        [f"the metrics: {hostile}"],
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_text(text: str) -> None:
    page = assert_harmless(render_report(report(text)))
    shown = " ".join(text.split())
    # Once in: reasons, sentences, labels, confused pairs and titles, categories, features, quarantine, places.
    assert page.text.count(shown) >= 14
    titles = [a.get("aria-label") for a in page.named("svg")]
    assert "Confusion of exclusive by top-level category" in titles


def test_the_facts_stand_on_the_page() -> None:
    page = Page(render_report(report()))
    for words in (
        "Run run-2, 3 min 20 s; metrics: change since run-1",
        "15 of 1 file: train 10, test 5",
        "accuracy 0.8120 0.741 - 0.867 +0.012, within the interval",
        "macro F1 0.6100 not measured then",
        "Transform from the cache 0.1",
        "Boots: F1 0.1, needed 0.5",
        "model.kind Boots, model.l2 0.1: accuracy of exclusive 0.912 on the eval split, the best of 2 trials",
        "accuracy model.kind model.l2 0.9124 Boots 0.1 0.5000 deep 0",
    ):
        assert words.replace(" ", "") in page.text.replace(" ", ""), words
    assert {a["aria-label"] for a in page.named("svg") if "role" in a} == {
        "Confusion of exclusive by top-level category",
        "Reliability of exclusive",
        "loss per epoch",
        "Figures of exclusive over 2 runs",
    }


def test_every_table_has_a_caption_and_headings() -> None:
    text = render_report(report())
    page = Page(text)
    assert len(page.named("caption")) == len(page.named("table")) == text.count("</table>")
    levels = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_a_thousand_categories_stay_under_a_megabyte() -> None:
    text = render_report(report("Clothing > Women > Dresses", 1063))
    assert len(text.encode()) < 1_000_000
    assert text.count("<tr") > 1063


def test_a_report_of_nothing_is_still_a_page() -> None:
    page = assert_harmless(render_report(Report("shop", "run-1", 0.0)))
    assert "the run made no examples" in page.text
    assert (
        "source random, or labels.evaluate_imported"
        in Page(render_report(Report("shop", "r", 1.0, objectives=[ObjectiveReport("exclusive", "exclusive")]))).text
    )


def test_a_lone_surrogate_does_not_cost_the_page(tmp_path: Path) -> None:
    write_report(report("\ud800"), tmp_path / "r.html")
    assert "\\ud800" in (tmp_path / "r.html").read_text("utf-8")


def test_half_a_page_is_never_seen(tmp_path: Path) -> None:
    (tmp_path / "r.html").write_text("old")
    with pytest.raises(TypeError):
        write_page(tmp_path / "r.html", 3)  # type: ignore[arg-type]
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("r.html", "old")]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.4, "59.4 s"), (59.7, "1 min 0 s"), (200, "3 min 20 s"), (7260, "2 h 1 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_a_page_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    for target in (tmp_path, tmp_path / "absent" / "page.html"):
        with pytest.raises(InputError, match=f"^{re.escape(str(target))}: cannot be written: "):
            write_page(target, "text")
    # What a full disk says has no file's name of its own.
    file = tmp_path / "page.html"
    write_page(file, "before")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limit[1]))
    try:
        with pytest.raises(InputError, match=r"page\.html: cannot be written: File too large"):
            write_page(file, "x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert file.read_text() == "before" and [*tmp_path.iterdir()] == [file]
