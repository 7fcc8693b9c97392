"""HTML pages that need nothing else: style, script and plots are inside, and nothing is loaded from anywhere.

Feeds are hostile: every text is escaped by the templates, and the page's content security policy lets only its own
script run (by hash), so that a text that slipped through could neither run nor call home.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from modules.counting import counted
from modules.errors import InputError, Problem, reason
from modules.images.outcome import REASONS
from modules.objectives import kind_named
from modules.paths import near
from modules.reporting.collect import bins_of
from modules.reporting.model import HistoryPoint, ObjectiveReport, Report, Training
from modules.reporting.svg import Series, bar, heat_map, line_chart, reliability_chart
from modules.reporting.text import (
    change_text,
    compared_text,
    disparity_text,
    guesses_text,
    images_line,
    index_line,
    interval_text,
    label_lines,
    leaks_line,
    products_line,
    quarantine_line,
    retailer_lines,
    rules_line,
    tuning_line,
    unmeasured_text,
    untold_lines,
    variants_lines,
)

if TYPE_CHECKING:
    import jinja2

FOLDER = Path(__file__).parent
_CURVES = 3


def write_report(report: Report, path: str | Path) -> None:
    """Writes the run's report, complete or not at all."""
    write_page(path, render_report(report))


def write_page(path: str | Path, text: str) -> None:
    """Writes a page; a reader never sees half of it.

    Raises:
      InputError: it cannot be written; one that was there is as it was.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.part")
    try:
        # A lone surrogate (from a feed's JSON) is no UTF-8; it must not cost the page.
        part.write_text(text, "utf-8", errors="backslashreplace")
        os.replace(part, path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):
            raise InputError(Problem(near(path), f"cannot be written: {reason(error)}")) from None
        raise


def render_report(report: Report) -> str:
    """The report as HTML."""
    longest = max((step.seconds for step in report.steps), default=0.0)
    return render(
        "report.html.j2",
        report=report,
        duration=duration_text(report.seconds),
        cards=_cards(report),
        facts=_facts(report),
        objectives=[_objective(objective) for objective in report.objectives],
        curves=_curves(report.training) if report.training else [],
        step_bars=[bar([step.seconds], longest) for step in report.steps],
        compared=compared_text(report),
        change=change_text,
        interval=interval_text,
        disparity=disparity_text,
        index_line=index_line,
        tuning_line=tuning_line,
    )


def render(template: str, **values: Any) -> str:
    """A page out of a template that extends ``base.html.j2``."""
    style, script = _inside("page.css"), _inside("page.js")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    return _environment().get_template(template).render(style=style, script=script, policy=policy, **values)


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@functools.cache
def _inside(name: str) -> Markup:
    return Markup((FOLDER / name).read_text("utf-8"))  # noqa: S704 - our own files, not a feed's text


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def duration_text(seconds: float) -> str:
    """ "3 min 20 s"."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _cards(report: Report) -> list[tuple[str, str]]:
    tiles = []
    if report.counts is not None:
        tiles.append((f"{report.counts.total:,}", "products"))
        tiles.append((f"{report.counts.quarantined.total():,}", "records in quarantine"))
        for objective in report.objectives:
            labels = sum(n for (name, _), n in report.counts.labels.items() if name == objective.name)
            tiles.append((f"{labels:,}", f"labelled for {objective.name}"))
    for objective in report.objectives:
        # A card beside that of accuracy would read as another accuracy.
        for figure in objective.figures[:1] if not objective.imitates else ():
            tiles.append((f"{figure.now.value:.1%}", f"{objective.name}: {figure.title}"))
    return tiles


def _facts(report: Report) -> list[tuple[str, str]]:
    counts = report.counts
    if counts is None:
        return [("products", "not known: the run made no examples")]
    lines = [("products", products_line(counts)), ("quarantine", quarantine_line(counts)), *retailer_lines(counts)]
    lines += untold_lines(counts)
    if counts.images:
        lines.append(("images", images_line(counts)))
        lost = [(reason, n) for reason, n in counts.images.most_common() if reason in REASONS]
        lines += [(f"image {reason}", f"{n:,}: {REASONS[reason]}") for reason, n in lost]
    lines += [("leaks", leaks_line(counts)), *variants_lines(counts)]
    names = [objective.name for objective in report.objectives]
    lines += [(f"labels for {name}", line) for name, line in label_lines(counts, names)]
    lines.append(("rules", rules_line(counts) if counts.rules else "none"))
    return lines


@dataclass(frozen=True)
class _Objective:
    """An objective and its plots."""

    report: ObjectiveReport
    single_label: bool
    unmeasured: str
    guesses: str
    history: Markup
    history_names: Sequence[str]
    bars: Sequence[Markup]
    confusion: Markup
    reliability: Markup


def _objective(report: ObjectiveReport) -> _Objective:
    single_label = kind_named(report.kind).single_label
    history, names = _history(report)
    most = max((max(a, b or 0) for _, a, b in report.top_level), default=0)
    sums = sum(a for _, a, _ in report.top_level), sum(b or 0 for _, _, b in report.top_level)
    shares = [
        [a / sums[0] if sums[0] else 0.0, *([(b or 0) / sums[1] if sums[1] else 0.0] if single_label else [])]
        for _, a, b in report.top_level
    ]
    longest = max((max(share) for share in shares), default=0.0) if most else 0.0
    confusion = reliability = Markup("")
    if report.predicted is not None and report.predicted.confusion is not None:
        matrix = report.predicted.confusion
        confusion = heat_map(f"Confusion of {report.name} by top-level category", matrix.names, matrix.counts)
    if report.predicted is not None and report.predicted.reliability is not None:
        reliability = reliability_chart(f"Reliability of {report.name}", bins_of(report.predicted.reliability))
    return _Objective(
        report,
        single_label,
        unmeasured_text(report),
        guesses_text(report),
        history,
        names,
        [bar(share, longest) for share in shares],
        confusion,
        reliability,
    )


def _history(report: ObjectiveReport) -> tuple[Markup, list[str]]:
    """The first figures over the last runs, the first one with its interval."""
    if len(report.history) < 2:
        return Markup(""), []
    series = []
    for number, figure in enumerate(report.figures[:4]):
        points = [(float(i), p.values.get(figure.name, float("nan"))) for i, p in enumerate(report.history)]
        band = [_band(point, figure.name) for point in report.history] if number == 0 else []
        series.append(Series(figure.title, points, band))
    labels = [point.run for point in report.history]
    chart = line_chart(f"Figures of {report.name} over {counted(len(labels), 'run')}", series, labels=labels)
    return chart, [curve.name for curve in series]


def _band(point: HistoryPoint, name: str) -> tuple[float, float] | None:
    low, high = point.values.get(f"{name}/lower"), point.values.get(f"{name}/upper")
    return None if low is None or high is None else (low, high)


@dataclass(frozen=True)
class _Curve:
    title: str
    names: Sequence[str]
    svg: Markup


def _curves(training: Training) -> list[_Curve]:
    """Train and eval beside each other, a plot per figure; what has an eval side first."""
    history: Mapping[str, Sequence[float]] = training.history
    bases = [name for name in history if not name.startswith("val_") and name != "learning_rate"]
    bases.sort(key=lambda name: (f"val_{name}" not in history, name == "loss", "labelled_loss" not in name, name))
    if any("labelled_loss" in name for name in bases):
        # The plain losses are the same ones before masks are taken out.
        bases = [name for name in bases if name == "loss" or not name.endswith("_loss") or "labelled" in name]
    curves = []
    for base in bases[: 2 * _CURVES]:
        pairs = [("train", history[base])]
        if f"val_{base}" in history:
            pairs.append(("eval", history[f"val_{base}"]))
        series = [Series(name, [(float(i + 1), y) for i, y in enumerate(values)]) for name, values in pairs]
        title = base.replace("_labelled_loss", " loss").replace("_", " ")
        mark = float(training.best_epoch) if training.best_epoch else None
        epochs = ["", *(f"epoch {i + 1}" for i in range(max(len(values) for _, values in pairs)))]
        chart = line_chart(f"{title} per epoch", series, labels=epochs, mark=mark, width=360, height=200)
        if chart:
            curves.append(_Curve(title, [name for name, _ in pairs], chart))
    return curves
