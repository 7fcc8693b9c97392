"""What ML Metadata and a run's artifacts have recorded of a model, as a model card."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from modules.counting import counted
from modules.encoders.files import SETTINGS_FILE
from modules.encoders.known import KNOWN
from modules.errors import InputError, Problem
from modules.examples import MODEL_FACTS
from modules.object_stores import is_remote
from modules.objectives import kind_named
from modules.paths import near
from modules.reporting.model import Figure, ObjectiveReport, Report
from modules.reporting.model_card import MISSING, CardSection, CardTable, ModelCard, write_model_card
from modules.reporting.text import (
    disparity_text,
    interval_text,
    label_lines,
    leaks_line,
    products_line,
    quarantine_line,
    rules_line,
    tuning_line,
)
from modules.similarity.identity import fingerprint
from pipeline.blessing_report import is_pushed
from pipeline.measured import metrics_until
from pipeline.report import attempt, report_of
from pipeline.rollback import SERVING
from pipeline.run_folder import RunFolder
from pipeline.runs import Run, Runs
from pipeline.workflow_file import LoadedWorkflow

FEW = 5
"""Training labels of a category that are called too few; as the report of a run does."""
_ROWS = 200
_NAMED = 20
_LOOKED_BACK = 1000


@dataclass
class _Facts:
    """Beside the report: what training wrote next to the model, and the settings that components ran with."""

    trained: Mapping[str, Any] = field(default_factory=dict)
    read: Mapping[str, Any] = field(default_factory=dict)
    evaluated: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    tfx: str = ""


def write_card_of(loaded: LoadedWorkflow, run: Run, markdown: Path) -> Path:
    """Writes the card of a run's model; returns the page's path.

    Raises:
      InputError: the run has no model.
    """
    runs = Runs.of(loaded)
    return write_model_card(card_of(loaded, runs, run), markdown)


def card_place(folder: RunFolder, run: Run) -> Path | None:
    """Where the card of a model that was pushed belongs: beside its version, or among the reports of one that went into
    an object store; None: the run pushed none."""
    pushed = run.outputs.get("pushed_model")
    if pushed is None or not is_pushed(run) or "model" not in run.outputs:
        return None
    version = str(pushed.properties.get("pushed_destination", ""))
    if is_remote(version):
        return folder.reports / f"{run.id.replace(':', '-')}.model_card.md"
    return Path(f"{version}.model_card.md") if Path(version).is_dir() else None


def run_of_model(runs: Runs, published: Run, address: str) -> Run:
    """The newest run, up to one that published, which made the model or took it from the cache.

    Raises:
      InputError: no run is known to have made it.
    """
    for name, output in reversed(runs.until(published.id, "model", _LOOKED_BACK)):
        if output.uri == address:
            return runs.find(name, "model")
    expected = f"expected the run that made the model of run {published.id}; its record is gone"
    raise InputError(Problem("", expected, key="run", value=published.id))


def card_of(loaded: LoadedWorkflow, runs: Runs, run: Run) -> ModelCard:
    """The card of the model that a run has made; what cannot be read is said in it.

    Raises:
      InputError: the run has no model.
    """
    model = run.folder("model")
    missing: list[str] = []
    metrics = attempt("the metrics", lambda: metrics_until(runs, run), missing) or []
    report = report_of(loaded.workflow.name, loaded.workflow.objectives, run, missing, metrics=metrics)
    served = model / SERVING
    facts = _Facts(
        attempt("the facts beside the model", lambda: _json(served / MODEL_FACTS), missing) or {},
        attempt("the settings that the feed was read with", lambda: _ran_with(runs, run, "examples"), missing) or {},
        attempt("the settings of the evaluation", lambda: _ran_with(runs, run, "metrics"), missing) or {},
        attempt("the model's files", lambda: fingerprint(served), missing) or "",
        str(run.outputs["model"].properties.get("tfx_version", "")),
    )
    sections = [
        _details(report, facts), _use(report, facts), _training_data(report, facts), _features(report, facts),
        _metrics(report), _categories(report, facts), _thresholds(report, facts), _limits(report, facts),
        _reproduce(loaded, report, facts),
    ]  # fmt: skip
    return ModelCard(f"Model card: {loaded.workflow.name}, run {run.id}", sections, tuple(missing))


def _json(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return values


def _ran_with(runs: Runs, run: Run, key: str) -> dict[str, Any]:
    """The settings, as JSON, that the component behind an output was given; empty where none are recorded."""
    parameters = runs.parameters(run, key)
    text = parameters.get("settings_json", parameters.get("workflow"))
    values: dict[str, Any] = json.loads(text) if isinstance(text, str) else {}
    return values


def _details(report: Report, facts: _Facts) -> CardSection:
    blessing = report.blessing
    state = MISSING if blessing is None else f"{blessing.state}: {blessing.sentence}"
    trained = facts.trained
    versions = [f"{title} {trained[key]}" for key, title in (("tensorflow", "TensorFlow"), ("keras", "Keras"))
                if key in trained]  # fmt: skip
    versions += [f"TFX {facts.tfx}"] if facts.tfx else []
    rows = [
        ("run", report.run),
        ("fingerprint of its files (SHA-256)", facts.fingerprint or MISSING),
        ("kind", str(trained.get("model", {}).get("kind", MISSING))),
        ("parameters", f"{trained['parameters']:,}" if "parameters" in trained else MISSING),
        ("trained with", ", ".join(versions) or MISSING),
        ("blessing", state),
        *[("why not", reason) for reason in (blessing.reasons if blessing is not None else ())],
    ]
    return CardSection("Model details", rows)


def _use(report: Report, facts: _Facts) -> CardSection:
    rows = []
    for objective in report.objectives:
        single = kind_named(objective.kind).single_label
        classes = facts.trained.get("classes", {}).get(objective.name)
        of = counted(len(classes), "category", "categories") if classes is not None else "the taxonomy's categories"
        what = f"puts a product into one of {of}, or none" if single else f"says yes or no to each of {of}"
        learnt = "; it learns the answers of rules" if objective.imitates else ""
        rows.append((f"objective {objective.name}", f"{what}{learnt}"))
    rows.append(("intended users, and uses that are out of scope", MISSING))
    return CardSection("Intended use", rows)


def _training_data(report: Report, facts: _Facts) -> CardSection:
    counts = report.counts
    if counts is None:
        return CardSection("Training data", [("products", MISSING)])
    rows = [("products", products_line(counts)), ("quarantine", quarantine_line(counts))]
    rows += [(f"labels of {name}, by source", text)
             for name, text in label_lines(counts, [own.name for own in report.objectives])]  # fmt: skip
    rows.append(("rules", rules_line(counts) if counts.rules else "none"))
    rows += [("feed", text) for text in _feeds(facts.read)] or [("feed", MISSING)]
    rows.append(("span of time", MISSING))
    table = CardTable(
        "Products of each retailer", ("retailer", "products", "records read", "records in quarantine"),
        [(name or "without a retailer", *(f"{number:,}" for number in (
            counts.by_retailer[name, "products"], counts.by_retailer[name, "read"],
            counts.quarantined_of(name).total()))) for name in counts.retailers[:_ROWS]],
        max(0, len(counts.retailers) - _ROWS),
    )  # fmt: skip
    return CardSection("Training data", rows, [table] if counts.retailers else [])


def _feeds(read: Mapping[str, Any]) -> Iterator[str]:
    """Files and snapshots of each feed; no address of a source, since the settings name none."""
    feeds = read.get("feeds") or ([read["feed"]] if "feed" in read else [])
    snapshots = [*read.get("snapshots", ()), *[None] * len(feeds)]
    for feed, snapshot in zip(feeds, snapshots, strict=False):
        who = f"{feed['retailer']}: " if feed.get("retailer") else ""
        files = ", ".join(feed.get("files") or (read.get("feed") or {}).get("files") or ())
        yield f"{who}snapshot {Path(snapshot).name}" if snapshot else f"{who}files {files or MISSING}"


def _features(report: Report, facts: _Facts) -> CardSection:
    rows = list(report.training.facts) if report.training is not None else [("training", MISSING)]
    if report.tuning is not None:
        rows.append(("tuning", tuning_line(report.tuning)))
    features = facts.trained.get("features", {})
    table = CardTable(
        "What it reads", ("feature", "kind", "columns"),
        [(name, str(own.get("kind", "")), ", ".join(own.get("columns") or [own.get("column") or name]))
         for name, own in list(features.items())[:_ROWS]],
        max(0, len(features) - _ROWS),
    )  # fmt: skip
    encoders = [(f"encoder of {name}", _encoder(own)) for name, own in features.items() if _encoder_of(own)]
    rows += encoders or ([("pretrained encoder", "none")] if features else [])
    return CardSection("Model and features", rows, [table] if features else [])


def _encoder_of(feature: Mapping[str, Any]) -> str:
    """The pretrained encoder that a feature names, of texts or, as the weights of a backbone, of pictures; else ""."""
    given = feature.get("weights") if "backbone" in feature else feature.get("encoder")
    return str(given) if given and given != "none" else ""


def _encoder(feature: Mapping[str, Any]) -> str:
    """Name, licence and origin of a pretrained encoder, as its folder or its pinned package says them."""
    given = _encoder_of(feature)
    own = Path(given) / SETTINGS_FILE
    if own.is_file():
        settings = _json(own)
        name, licence = settings.get("name", given), settings.get("licence", MISSING)
        return f"{name}, licence {licence}, made of {settings.get('origin', MISSING)}"
    known = KNOWN.get(Path(given).name)
    licence = known.licence if known is not None else MISSING
    return f"{Path(given).name}, licence {licence}"


def _metrics(report: Report) -> CardSection:
    tables = []
    for objective in report.objectives:
        if not objective.figures:
            continue
        caption = f"{objective.name}, test split, {objective.stands_on}; levels of the taxonomy are among the figures"
        rows = [(figure.title, f"{figure.now.value:.4f}", interval_text(figure)) for figure in objective.figures]
        tables.append(CardTable(caption, ("figure", "value", "interval"), rows))
        if objective.retailers:
            tables.append(_retailers(objective))
        for disparity in objective.disparities:
            caption = f"{objective.name}, {disparity_text(disparity)}"
            slices = [(own.name, f"{own.products:,}", f"{own.rate.value:.4f}") for own in disparity.slices]
            tables.append(CardTable(caption, (disparity.column, "products", "rate"), slices))
    history = report.training.history if report.training is not None else {}
    best = report.training.best_epoch - 1 if report.training is not None else -1
    rows = [
        (name.removeprefix("val_"), f"{values[best]:.4f}", "")
        for name, values in history.items()
        if name.startswith("val_") and 0 <= best < len(values)
    ]
    if rows:
        tables.append(
            CardTable("eval split, at the epoch that was kept", ("figure", "value", "interval"), rows[:_ROWS])
        )
    facts = [(f"test split of {own.name}", f"not measured: {kind_named(own.kind).unmeasured}")
             for own in report.objectives if not own.figures]  # fmt: skip
    facts += [] if rows else [("eval split", MISSING)]
    return CardSection("Metrics and quantitative analyses", facts, tables)


def _retailers(objective: ObjectiveReport) -> CardTable:
    def cell(figure: Figure) -> str:
        interval = interval_text(figure)
        return f"{figure.title} {figure.now.value:.4f}" + (f" ({interval})" if interval else "")

    rows = [(row.name, f"{row.measured:,}", ", ".join(map(cell, row.figures))) for row in objective.retailers]
    caption = f"{objective.name}, test split, by retailer"
    return CardTable(caption, ("retailer", "labelled test products", "figures"), rows)


def _categories(report: Report, facts: _Facts) -> CardSection:
    rows, tables = [], []
    labels = facts.trained.get("training_labels", {})
    for objective in report.objectives:
        counts, classes = labels.get(objective.name), facts.trained.get("classes", {}).get(objective.name)
        if counts is None or classes is None or len(counts) != len(classes):
            rows.append((objective.name, MISSING))
            continue
        paths = {row.id: row.path for row in objective.categories}
        few = sorted((count, paths.get(name, name)) for name, count in zip(classes, counts, strict=True) if count < FEW)
        none = sum(1 for count, _ in few if not count)
        without = counted(none, "category", "categories")
        rows.append((objective.name, f"{without} of {len(classes):,} without a training label, "
                                     f"{counted(len(few) - none, 'more', 'more')} with fewer than {FEW}"))  # fmt: skip
        if few:
            tables.append(CardTable(
                f"Categories of {objective.name} with too few training labels", ("category", "labels"),
                [(path, str(count)) for count, path in few[:_ROWS]], max(0, len(few) - _ROWS),
            ))  # fmt: skip
    return CardSection("Categories with too few labels", rows, tables)


def _thresholds(report: Report, facts: _Facts) -> CardSection:
    rows = []
    thresholds = facts.evaluated.get("evaluation", {}).get("thresholds")
    for objective in report.objectives:
        own = {name: value for name, value in (thresholds or {}).get(objective.name, {}).items()
               if value not in (None, {}, [])}  # fmt: skip
        asked = ", ".join(f"{name} {value}" for name, value in own.items())
        rows.append((f"blessing of {objective.name} asks for", MISSING if thresholds is None else asked or "nothing"))
        accepted = " ".join(objective.acceptance) or "no precision was asked for"
        rows.append((f"acceptance in {objective.name}", accepted))
        error = next((f for f in objective.figures if f.name == "calibration_error"), None)
        text = MISSING if error is None else f"{error.now.value:.4f} {interval_text(error)}"
        rows.append((f"calibration error of {objective.name}, test split", text))
    temperatures = facts.trained.get("calibration", {}).get("temperature", {})
    rows += [(f"temperature of {name}", f"{value:.3f}") for name, value in temperatures.items()]
    return CardSection("Thresholds and calibration", rows)


def _limits(report: Report, facts: _Facts) -> CardSection:
    rows: list[tuple[str, str]] = []
    counts = report.counts
    for objective in report.objectives:
        predicted = objective.predicted
        if predicted is not None and predicted.guessed_categories:
            number = counted(predicted.guessed_categories, "category", "categories")
            rows.append((objective.name, f"known by name alone: {number}"))
        if objective.imitates:
            rows.append((objective.name, "its figures say how well it imitates the rules, not how right it is"))
        measured = {row.name for row in objective.retailers}
        unmeasured = [name for name in (counts.retailers if counts else ()) if name and name not in measured]
        if unmeasured:
            more = f" and {len(unmeasured) - _NAMED:,} more" if len(unmeasured) > _NAMED else ""
            rows.append((objective.name, f"without a labelled test product: {', '.join(unmeasured[:_NAMED])}{more}"))
        rows += [(objective.name, text) for text in objective.failed[:_NAMED]]
    if counts is not None and counts.leaked_titles:
        rows.append(("split", leaks_line(counts)))
    rows.append(("ethical considerations and recommendations", MISSING))
    return CardSection("Limits", rows)


def _reproduce(loaded: LoadedWorkflow, report: Report, facts: _Facts) -> CardSection:
    rows = [
        ("command", loaded.run_command),
        ("seed", str(facts.trained.get("seed", MISSING))),
        ("workflow file as it is now", near(loaded.path)),
        ("card written with", f"Shelfmark {_version()}, Python {platform.python_version()}"),
        ("version of Shelfmark that trained it", MISSING),
    ]
    return CardSection("How to reproduce it", rows)


def _version() -> str:
    try:
        return metadata.version("shelfmark")
    except metadata.PackageNotFoundError:
        return "of a source tree"
