"""What can be checked of a workflow without running it: its files, and that they fit together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from modules.counting import counted, sized
from modules.errors import InputError, Problem, reason
from modules.examples import PRODUCT_FIELDS, ProductColumns
from modules.feeds.files import NO_MATCH, format_of
from modules.feeds.formats import FORMATS
from modules.feeds.identifiers import VARIANT_FIELDS
from modules.feeds.opening import size_of
from modules.feeds.prices.reader import count_untold, untold_notes
from modules.feeds.readers import notes_of
from modules.feeds.sources import SOURCES
from modules.images.cells import first_picture
from modules.object_stores import is_remote
from modules.objectives import kinds_of
from modules.plugins import collisions
from modules.query_strategies.kinds import QUERY_STRATEGIES
from modules.settings.beam import job_server_jars
from modules.settings.feed import FeedSettings
from modules.taxonomy import Taxonomy
from pipeline.attribute_values import check_attributes
from pipeline.image_references import check_images
from pipeline.label_ids import unknown_ids
from pipeline.peek import Peek, peek
from pipeline.workflow_file import LoadedWorkflow

T = TypeVar("T")

PEEKED_FILES = 20
"""The number of feed files whose beginning is read; that they exist is checked of all."""


@dataclass
class ValidationReport:
    """The result of checking a workflow.

    Attributes:
      problems: every mistake; empty if the workflow can be run.
      counts: what there is, in words ("categories" to "61, 58 of them exclusive").
      notes: what could not be checked yet.
    """

    problems: list[Problem] = field(default_factory=list)
    counts: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def validate_workflow(loaded: LoadedWorkflow) -> list[Problem]:
    """Every problem of the workflow's files; see :func:`check`."""
    return check(loaded).problems


def check(loaded: LoadedWorkflow) -> ValidationReport:
    """Checks that files exist and parse, that rules and labels fit the taxonomy, and that the feed has the columns."""
    report = ValidationReport()
    report.problems += collisions([FORMATS, SOURCES, QUERY_STRATEGIES])
    _check_metadata(loaded, report)
    if loaded.workflow.feed.demo is not None and not loaded.folder.exists():
        report.notes.append(f"the demo catalogue is written to {loaded.folder} by the first run; it is not there yet")
        return report
    _check_feed(loaded, report)
    taxonomy = _check_taxonomy(loaded, report)
    if taxonomy is not None:
        _check_rules(loaded, taxonomy, report)
        _check_labels(loaded, taxonomy, report)
        _check_assignments(loaded, taxonomy, report)
        _check_category_thresholds(loaded, taxonomy, report)
    _check_other_files(loaded, report)
    return report


def _check_metadata(loaded: LoadedWorkflow, report: ValidationReport) -> None:
    url = loaded.workflow.runners.local.metadata
    if url is not None and not url.startswith("mysql://"):
        # Seen with ml-metadata 1.17.1 on PostgreSQL: any text with a backslash is written as a syntax error.
        shown = url.partition("://")[0]
        expected = "mysql://user:password@host/database, or null for SQLite (docs/how_to/metadata.md says why no other)"
        report.problems.append(loaded.problem("runners.local.metadata", expected, f"{shown}://..."))


def _collect(report: ValidationReport, action: Callable[[], T]) -> T | None:
    try:
        return action()
    except InputError as error:
        report.problems += error.problems
        return None


def _exists(loaded: LoadedWorkflow, path: Path, key: str, name: str, report: ValidationReport) -> bool:
    if path.is_file():
        return True
    where = f"expected a file in {loaded.folder} or beside the workflow file"
    report.problems.append(loaded.problem(key, where, name))
    return False


def _check_taxonomy(loaded: LoadedWorkflow, report: ValidationReport) -> Taxonomy | None:
    path = loaded.taxonomy_file
    if path is None:
        _check_own_trees(loaded, report)
        return None
    if not _exists(loaded, path, "taxonomy.file", str(loaded.workflow.taxonomy.file), report):
        return None
    taxonomy = _collect(report, lambda: Taxonomy.load(path))
    if taxonomy is None:
        return None
    report.counts["taxonomy"] = f"{counted(len(taxonomy), 'category')}, {len(taxonomy.exclusive):,} of them exclusive"
    single_label = loaded.workflow.single_label_objectives
    if single_label and len(taxonomy.exclusive) < 2:
        expected = f"expected at least 2 categories with exclusive: true, for objective {single_label[0]!r}"
        report.problems.append(Problem(str(path), expected, value=str(len(taxonomy.exclusive))))
    return taxonomy


def _check_own_trees(loaded: LoadedWorkflow, report: ValidationReport) -> None:
    """Says of what a run will make the taxonomy; with several feeds their files are read for what they share."""
    columns = " and ".join(map(repr, loaded.workflow.truth_columns))
    remote = is_remote(str(loaded.folder)) or any(is_remote(f) for s in loaded.workflow.sources for f in s.files)
    if len(loaded.workflow.sources) == 1 or remote or report.problems:
        report.counts["taxonomy"] = f"built from the feed's column {columns} by the run"
        return
    from pipeline.inputs import example_settings, merged_trees

    trees = _collect(report, lambda: merged_trees(example_settings(loaded), str(loaded.folder)))
    if trees is not None:
        report.counts["taxonomy"] = f"built from the feeds' columns {columns}: {counted(len(trees.paths), 'path')}"
        report.notes += trees.sentences()


def _check_rules(loaded: LoadedWorkflow, taxonomy: Taxonomy, report: ValidationReport) -> None:
    path = loaded.rules_file
    if path is None or not _exists(loaded, path, "rules.file", str(loaded.workflow.rules.file), report):
        return
    from modules.rules import load_rules

    rules = _collect(report, lambda: load_rules(path, taxonomy, fields=loaded.workflow.product_columns.texts))
    if rules is not None:
        report.counts["rules"] = f"{len(rules):,}"


def _check_labels(loaded: LoadedWorkflow, taxonomy: Taxonomy, report: ValidationReport) -> None:
    paths = []
    # The label store's snapshot comes last and has no setting of its own.
    names = [*loaded.workflow.labels.files, *(["snapshot"] if loaded.snapshot is not None else [])]
    for index, (name, path) in enumerate(zip(names, loaded.label_files, strict=True)):
        if _exists(loaded, path, f"labels.files[{index}]", name, report):
            paths.append(path)
    if not paths:
        return
    from modules.labels import read_labels

    kinds = kinds_of(loaded.workflow.objectives)
    log = _collect(report, lambda: read_labels(paths, taxonomy, kinds))
    if log is None:
        return
    report.counts["labels"] = counted(len(log), "row")
    report.notes += [f"labels: {sentence}" for sentence in log.assumed.sentences()]
    try:
        compared = unknown_ids(loaded, log.products)
    except InputError:
        # What is wrong with the feed is told where the feed is looked at.
        return
    if compared is not None and compared.unknown:
        report.notes.append(f"labels: {compared.sentence}")


def _check_assignments(loaded: LoadedWorkflow, taxonomy: Taxonomy, report: ValidationReport) -> None:
    from modules.labels.assignments import read_assignments

    for name, objective in loaded.workflow.objectives.items():
        for file in objective.label_sources.files:
            path = loaded.find(file)
            if not _exists(loaded, path, f"objectives.{name}.labels.sources", file, report):
                continue
            products = _collect(report, lambda path=path: read_assignments(str(path), taxonomy))  # type: ignore[misc]
            if products is not None:
                report.counts[f"assignments {file}"] = counted(len(products), "product")


def _check_category_thresholds(loaded: LoadedWorkflow, taxonomy: Taxonomy, report: ValidationReport) -> None:
    for objective, thresholds in loaded.workflow.evaluation.thresholds.items():
        for category in thresholds.category_f1:
            try:
                taxonomy.find(category)
            except (InputError, ValueError) as error:
                near = getattr(error, "suggestion", None)
                hint = f"did you mean {taxonomy.path_text(near)!r}?" if near is not None else ""
                key = f"evaluation.thresholds.{objective}.category_f1.{category}"
                report.problems.append(loaded.problem(key, "expected a category of the taxonomy", category, hint))


def _check_other_files(loaded: LoadedWorkflow, report: ValidationReport) -> None:
    schema = loaded.workflow.validation.schema_file
    if schema is not None:
        path = loaded.find(schema)
        if _exists(loaded, path, "validation.schema_file", schema, report):
            try:
                text = path.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                text = ""
                report.problems.append(Problem(str(path), f"expected a schema in text form: {reason(error)}"))
            if text.count("{") != text.count("}") or "feature" not in text:
                expected = "expected a TensorFlow Metadata schema in text form (feature { name: ... })"
                report.problems.append(Problem(str(path), expected))
    _check_weights(loaded, report)
    for key, jar in job_server_jars(loaded.workflow.beam).items():
        _exists(loaded, loaded.find(jar), key, jar, report)


def _check_weights(loaded: LoadedWorkflow, report: ValidationReport) -> None:
    for name, feature in loaded.workflow.features.items():
        files = feature.weight_files()
        place = f"features.{name}."
        try:
            paths = feature.find_weights(loaded.find)
            if all(path.is_dir() or _exists(loaded, path, place + k, files[k], report) for k, path in paths.items()):
                feature.with_weights(paths)
        except InputError as error:
            key, file = next(iter(files.items()))
            for problem in error.problems:
                where = f"{problem.file}: " if problem.file else ""
                report.problems.append(loaded.problem(place + key, where + problem.expected, file, problem.hint))


def _check_feed(loaded: LoadedWorkflow, report: ValidationReport) -> None:
    try:
        files = loaded.feed_files()
    except InputError as error:
        for problem in error.problems:
            expected = problem.expected
            if expected == NO_MATCH:
                expected = f"expected a pattern that matches a file in {loaded.folder}"
            report.problems.append(loaded.problem(problem.key, expected, problem.value, problem.hint))
        return
    if not files:
        expected = f"expected a feed file in {loaded.folder}"
        report.problems.append(loaded.problem("feed.files", expected, ", ".join(loaded.workflow.feed.files)))
        return
    peeks: list[Peek] = []
    references: list[str] = []
    for number, source in enumerate(loaded.workflow.sources):
        own = _check_source(loaded, number, [file.path for file in files if file.source == number], report)
        column = source.fields.image
        values = [record.get(column) for peeked in own for record in peeked.records] if column else []
        references += _first_pictures(values)
        report.notes += _price_notes(source, loaded.workflow.product_columns, own)
        peeks += own
    split = loaded.workflow.feed.split.column
    if loaded.workflow.feeds and split is not None and peeks:
        columns = tuple(dict.fromkeys(column for peeked in peeks for column in peeked.columns))
        _check_known("feed.split.column", split, columns, loaded, report)
    if loaded.workflow.images is not None and peeks:
        problems, notes = check_images(loaded, loaded.workflow.images, references)
        report.problems += problems
        report.notes += notes


def _price_notes(source: FeedSettings, product_columns: ProductColumns, peeks: list[Peek]) -> list[str]:
    """How many prices of each file's beginning the run will count as missing; each file has marks of its own."""
    columns = [column for name in product_columns.prices if (column := source.column(name)) is not None]
    notes = []
    for column in columns:
        counts = [count_untold([record.get(column) for record in peeked.records]) for peeked in peeks]
        notes += untold_notes(column, sum(untold for untold, _ in counts), sum(read for _, read in counts))
    return notes


def _check_source(loaded: LoadedWorkflow, number: int, paths: list[str], report: ValidationReport) -> list[Peek]:
    """Checks the files of one feed; returns what their beginnings look like."""
    source = loaded.workflow.sources[number]
    name = f"feed {source.retailer}" if loaded.workflow.feeds else "feed"
    if any(is_remote(path) for path in paths):
        report.counts[name] = f"{counted(len(paths), 'file')}, not looked into"
        return []
    report.counts[name] = f"{counted(len(paths), 'file')}, {sized(sum(size_of(path) for path in paths))}"
    peeks: list[Peek] = []
    for path in paths:
        kind = _collect(report, lambda path=path: format_of(path, source))  # type: ignore[misc]
        if kind is not None and len(peeks) < PEEKED_FILES:
            peeked = _collect(report, lambda path=path, kind=kind: peek(Path(path), kind, source))  # type: ignore[misc]
            if peeked is not None:
                peeks.append(peeked)
                report.notes += notes_of(path, kind, source)
    if peeks:
        place = f"feeds[{number}]" if loaded.workflow.feeds else "feed"
        _check_columns(loaded, source, place, peeks, report)
        records = [record for peeked in peeks for record in peeked.records]
        problems, notes = check_attributes(loaded, source, place, records)
        report.problems += problems
        report.notes += notes
    return peeks


def _check_columns(
    loaded: LoadedWorkflow, source: FeedSettings, place: str, peeks: list[Peek], report: ValidationReport
) -> None:
    """Columns that somebody wrote down must be there; a default that the feed lacks is a missing field."""
    workflow = loaded.workflow
    known = dict.fromkeys(column for peeked in peeks for column in peeked.columns)
    fields = source.fields
    wanted: dict[str, str] = {f"{place}.fields.id": fields.id}
    for name in (*PRODUCT_FIELDS, *VARIANT_FIELDS, "truth"):
        column = getattr(fields, name)
        if column is not None and f"{place}.fields.{name}" in loaded.lines:
            wanted[f"{place}.fields.{name}"] = column
    wanted |= {f"{place}.attributes.{name}": column for name, column in source.attributes.items()}
    # Of several feeds one has the column of a feature, and another one may not.
    for name, feature in workflow.features.items() if not workflow.feeds else ():
        for field_name in feature.fields_of(name) if f"features.{name}" in loaded.lines else ():
            column = source.column(field_name)
            if column is not None and column not in wanted.values():
                wanted[f"features.{name}"] = column
    for name, objective in workflow.objectives.items() if not workflow.feeds else ():
        wanted |= {f"objectives.{name}.labels.sources": column for column in objective.label_sources.columns}
    if source.split.column is not None and not workflow.feeds:
        wanted["feed.split.column"] = source.split.column
    for key, column in wanted.items():
        _check_known(key, column, tuple(known), loaded, report)


def _check_known(
    key: str, column: str, known: tuple[str, ...], loaded: LoadedWorkflow, report: ValidationReport
) -> None:
    if column in known or any(name.startswith(f"{column}.") for name in known):
        return
    import difflib

    near = difflib.get_close_matches(column, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the feed has: {', '.join(known[:30])}"
    report.problems.append(loaded.problem(key, "expected a column of the feed", column, hint))


def _first_pictures(values: list[object]) -> list[str]:
    """Of several pictures the first, as a run takes it."""
    firsts = (value[0] if isinstance(value, list) and value else value for value in values)
    return [first_picture(value) for value in firsts if isinstance(value, str)]
