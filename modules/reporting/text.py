"""The summary of a run on the console: plain text, aligned; colours only where there is a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import isfinite
from typing import TYPE_CHECKING

from modules.counting import counted
from modules.examples import PRODUCTS, READ, Counts
from modules.images.outcome import OK
from modules.metrics.disparity import LEAST_PRODUCTS, Disparity
from modules.objectives import kind_named
from modules.reporting.console import show, text
from modules.reporting.model import (
    Blessing,
    CategoryRow,
    Figure,
    IndexReport,
    ObjectiveReport,
    Report,
    RetailerRow,
    Tuning,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

BEST_AND_WORST = 5
_RETAILERS = 12
_REASONS = 10
_SPLITS = {"train": 0, "eval": 1, "test": 2}


def print_summary(
    report: Report,
    console: Console,
    *,
    report_file: str | None = None,
    missing: Sequence[str] = (),
    steps: Sequence[tuple[str, str]] = (),
) -> None:
    """Prints the summary.

    Args:
      report_file: the HTML report, None if there is none.
      missing: what could not be read or written.
      steps: what to do next, each a command and what it does.
    """
    parts: list[Table | Text] = [text(""), _facts(_lines(report))]
    for objective in report.objectives:
        parts += [text(""), *_objective(report, objective)]
    if report.indexes:
        parts += [text(""), _facts([(f"similarity {index.name}", index_line(index)) for index in report.indexes])]
    if report.blessing is not None:
        parts += [text(""), *_blessing(report.blessing)]
    places = [("report", report_file)] if report_file else []
    parts += [text(""), _facts([*places, *report.places])]
    parts += [text(f"could not be read or written: {sentence}", "yellow") for sentence in missing]
    if steps:
        parts += [text(""), text("next", "bold")]
        parts += [line for command, does in steps for line in (text(f"  {command}"), text(f"      {does}"))]
    show(console, *parts)


def _facts(rows: Iterable[tuple[str, str]]) -> Table:
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, min_width=12)
    table.add_column(overflow="fold")
    for title, value in rows:
        table.add_row(text(title, "bold"), text(value))
    return table


def _lines(report: Report) -> list[tuple[str, str]]:
    counts = report.counts
    if counts is None:
        return [("products", "not known: the run made no examples")]
    lines = [("products", products_line(counts)), ("quarantine", quarantine_line(counts)), *retailer_lines(counts)]
    lines += untold_lines(counts)
    if counts.leaked_titles:
        lines.append(("leaks", leaks_line(counts)))
    lines += variants_lines(counts)
    if counts.images:
        lines.append(("images", images_line(counts)))
    lines += [(f"labels {name}", line) for name, line in label_lines(counts, [o.name for o in report.objectives])]
    if counts.rules:
        lines.append(("rules", rules_line(counts)))
    if report.tuning:
        lines.append(("tuning", tuning_line(report.tuning)))
    return lines


def leaks_line(counts: Counts) -> str:
    """How many titles the feed's own split tears apart."""
    number = f"{counts.leaked_titles:,}" if counts.leaked_titles else "no"
    return f"{number} titles (variants count as one) stand in more than one of the feed's own splits"


def variants_lines(counts: Counts) -> list[tuple[str, str]]:
    """What too different products share, by field; no line where there is none."""
    shown = ", ".join(f"{count:,} of {name}" for name, count in sorted(counts.ignored_variants.items()))
    return [("variants", f"values too common to tell them, which were ignored: {shown}")] if shown else []


def products_line(counts: Counts) -> str:
    """How many products came from how many files, per split."""
    splits = sorted(counts.products, key=lambda split: (_SPLITS.get(split, 3), split))
    parts = ", ".join(f"{split} {counts.products[split]:,}" for split in splits)
    files = f" of {counted(counts.files, 'file')}" if counts.files else ""
    return f"{counts.total:,}{files}: {parts}"


def quarantine_line(counts: Counts) -> str:
    """How many records could not be used, per reason, the most frequent first, and which lines are no records."""
    total = counts.quarantined.total()
    line = "no bad records"
    if total:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in counts.quarantined.most_common())
        line = f"{counted(total, 'bad record')} ({total / (total + counts.total):.1%}): {reasons}"
    passed = ", ".join(f"{word.replace('_', ' ')} {count:,}" for word, count in counts.passed_over.most_common())
    return f"{line}; lines that are no records: {passed}" if passed else line


def untold_lines(counts: Counts) -> list[tuple[str, str]]:
    """Per number field that some products have in words alone, how many they are."""
    of = f"of {counted(counts.total, 'product')}"
    single = f"{of} has one that cannot be told, and goes without"
    several = f"{of} have one that cannot be told, and go without"
    return [(name, counted(number, single, several)) for name, number in counts.untold.most_common() if number]


def retailer_lines(counts: Counts) -> list[tuple[str, str]]:
    """Per retailer how many products came from how many records, and why the others are in quarantine."""
    lines = []
    for retailer in counts.retailers:
        bad = counts.quarantined_of(retailer)
        read, products = counts.by_retailer[retailer, READ], counts.by_retailer[retailer, PRODUCTS]
        line = f"{counted(products, 'product')} of {counted(read, 'record')}"
        if bad:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in bad.most_common())
            line += f", {bad.total():,} bad ({bad.total() / max(read, 1):.1%}): {reasons}"
        lines.append((f"  {retailer}", line))
    return lines


def images_line(counts: Counts) -> str:
    """How many products have an image, and why the others have none, the most frequent reason first."""
    lost = [(reason, n) for reason, n in counts.images.most_common() if reason != OK]
    of = f"of {counted(counts.images.total(), 'product')}"
    line = counted(counts.images[OK], f"{of} has one", f"{of} have one")
    return f"{line}; {', '.join(f'{reason} {n:,}' for reason, n in lost)}" if lost else line


def label_lines(counts: Counts, objectives: Sequence[str]) -> list[tuple[str, str]]:
    """Per objective its labelled products by source, and labels that found no product."""
    lines = []
    for name in objectives:
        sources = {source: n for (objective, source), n in counts.labels.items() if objective == name and n}
        line = ", ".join(f"{source} {n:,}" for source, n in sorted(sources.items(), key=lambda item: -item[1]))
        if counts.unmatched_labels[name]:
            missing, first = counts.unmatched_labels[name], counts.unmatched_ids.get(name, ())
            ids = ", ".join([*map(repr, first), *(["..."] if len(first) < missing else [])])
            line = f"{line or 'none'}; {missing:,} of products that no feed has{f': {ids}' if first else ''}"
        if counts.model_labels[name]:
            line = (
                f"{line or 'none'}; models labelled {counted(counts.model_labels[name], 'product')}, never measured on"
            )
        lines.append((name, line or "none"))
    return lines


def rules_line(counts: Counts) -> str:
    """The rules' coverage."""
    share = counts.rule_products / counts.total if counts.total else 0.0
    rules = counted(counts.rules, "rule reaches", "rules reach")
    return f"{rules} {counted(counts.rule_products, 'product')} ({share:.1%})"


def tuning_line(tuning: Tuning) -> str:
    """The best trial, and how far the others were from it."""
    score, values = tuning.trials[0]
    chosen = ", ".join(f"{name} {value}" for name, value in zip(tuning.settings, values, strict=True))
    line = f"{chosen}: {tuning.metric.replace('_', ' ')} of {tuning.objective} {score:.3f} on the eval split"
    return f"{line}, the best of {counted(len(tuning.trials), 'trial')}; the worst has {tuning.trials[-1][0]:.3f}"


def index_line(index: IndexReport) -> str:
    """What a similarity index holds and reaches, and whether it is blessed."""
    whole, rest = index.parts[0], index.parts[1:]
    lowest = min(part.recall for part in index.parts)
    line = f"{counted(whole.products, 'product')} in {counted(len(rest), 'partition')}, "
    line += f"recall@{index.k} {whole.recall:.3f} (lowest {lowest:.3f}), {whole.milliseconds:.2f} ms a query"
    if index.near_duplicates is not None:
        line += f", {counted(index.near_duplicates, 'product')} with near-duplicates"
    return f"{line}; {'blessed' if not index.reasons else 'not blessed: ' + ', '.join(index.reasons[:3])}"


def change_text(figure: Figure) -> str:
    """The change since the last run in words; empty on a first run."""
    if figure.difference is None:
        return ""
    if figure.difference == 0.0:
        return "unchanged"
    within = "" if figure.certain is not False else ", within the interval"
    return f"{figure.difference:+.3f}{within}"


def compared_text(report: Report) -> str:
    """What the run is compared with."""
    if report.alone:
        return "of this run alone"
    if report.previous is None:
        return "the first run with metrics"
    if report.unchanged:
        return f"taken from the cache, as in {report.previous}"
    return f"change since {report.previous}"


def interval_text(figure: Figure) -> str:
    """The figure's interval; empty where it has none."""
    if figure.now.lower is None or figure.now.upper is None:
        return ""
    return f"{figure.now.lower:.3f} - {figure.now.upper:.3f}"


def unmeasured_text(objective: ObjectiveReport) -> str:
    """Why an objective has no figures."""
    return kind_named(objective.kind).unmeasured


def guesses_text(objective: ObjectiveReport) -> str:
    """How many products have a guess from a category's name in place of a category; empty where none has."""
    predicted = objective.predicted
    if predicted is None or not predicted.guessed_products:
        return ""
    products, categories, all_of = predicted.guessed_products, predicted.guessed_categories, len(predicted.predicted)
    known = f"{categories:,} of {all_of:,}" if categories < all_of else f"any of the {all_of:,}"
    return (
        f"{counted(products, 'product')} with a guess from names only (source: names): "
        f"no product of {known} categories is labelled yet; guesses are neither published nor exported"
    )


def _objective(report: Report, objective: ObjectiveReport) -> Iterator[Table | Text]:
    from rich.table import Table

    if not objective.figures:
        yield _facts([(objective.name, unmeasured_text(objective))])
        yield from _sentences(objective)
        return
    yield text(f"{objective.name}, on {objective.stands_on}, {compared_text(report)}", "bold")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for justify in ("left", "right", "left", "left"):
        table.add_column(justify=justify, no_wrap=True)
    for figure in objective.figures:
        style = "" if not figure.certain else ("green" if figure.better else "red")
        change = text(change_text(figure), style)
        table.add_row(f"  {figure.title}", f"{figure.now.value:.3f}", interval_text(figure), change)
    yield table
    if len(objective.retailers) > 1:
        yield _retailers(objective.retailers)
    ranked = objective.ranked()
    if len(ranked) > 2 * BEST_AND_WORST:
        best, worst = ranked[:BEST_AND_WORST], ranked[-BEST_AND_WORST:][::-1]
    else:
        best, worst = ranked[: (len(ranked) + 1) // 2], ranked[(len(ranked) + 1) // 2 :][::-1]
    for title, rows in (("best", best), ("worst", worst)):
        if rows:
            yield _categories(title, rows)
    yield from _sentences(objective)


def _retailers(retailers: Sequence[RetailerRow]) -> Table:
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for row in retailers[:_RETAILERS]:
        figures = ", ".join(f"{figure.title} {figure.now.value:.3f}" for figure in row.figures)
        table.add_row(text(f"  {row.name}"), counted(row.measured, "product"), figures)
    if len(retailers) > _RETAILERS:
        table.add_row(f"  and {len(retailers) - _RETAILERS:,} more", "", "in the report")
    return table


def disparity_text(disparity: Disparity) -> str:
    """The p% rule in a sentence."""
    what = f"{disparity.figure.replace('_', ' ')} by {disparity.column}"
    few = sum(not own.counts for own in disparity.slices)
    marked = f"; {counted(few, 'slice')} with fewer than {LEAST_PRODUCTS} products left out" if few else ""
    ratio, smallest, greatest = disparity.ratio, disparity.smallest, disparity.greatest
    if ratio is None or smallest is None or greatest is None:
        return f"{what}: fewer than two slices to compare{marked}"
    interval = f" ({ratio.lower:.0%} - {ratio.upper:.0%})" if isfinite(ratio.lower + ratio.upper) else ""
    ends = " over ".join(f"{own.rate.value:.3f} of {own.name}" for own in (smallest, greatest))
    return f"{what}: smallest over greatest {ratio.value:.0%}{interval}: {ends}{marked}"


def _sentences(objective: ObjectiveReport) -> Iterator[Text]:
    for disparity in objective.disparities:
        yield text(f"  {disparity_text(disparity)}")
    for number, sentence in enumerate(objective.acceptance):
        yield text(f"  {sentence}", "" if number else "bold")
    yield from _guesses(objective)
    yield from _labelling(objective)


def _guesses(objective: ObjectiveReport) -> Iterator[Text]:
    if sentence := guesses_text(objective):
        yield text(f"  {sentence}")


def _labelling(objective: ObjectiveReport) -> Iterator[Text]:
    for number, sentence in enumerate(objective.labelling):
        yield text(f"  {sentence}", "" if number else "bold")


def _categories(title: str, rows: Sequence[CategoryRow]) -> Table:
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, min_width=7)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for number, row in enumerate(rows):
        f1 = f"F1 {row.f1.value:.2f}" if row.f1 else ""
        products = counted(row.examples, "product")
        table.add_row(f"  {title}" if not number else "", f1, products, text(row.path))
    return table


def _blessing(blessing: Blessing) -> Iterator[Text]:
    style = {"blessed": "green", "not blessed": "red"}.get(blessing.state, "")
    yield text(f"model {blessing.state}: {blessing.sentence}", style)
    for reason in blessing.reasons[:_REASONS]:
        yield text(f"  {reason}")
    if len(blessing.reasons) > _REASONS:
        yield text(f"  and {len(blessing.reasons) - _REASONS:,} more")
