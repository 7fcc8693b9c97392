"""The model card: facts as they were recorded, what is missing said so, and nothing that a feed could smuggle in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from modules.errors import InputError
from modules.examples import Counts
from modules.reporting.model_card import CardSection, CardTable, ModelCard, render_markdown, write_model_card
from pipeline.model_card import card_of
from pipeline.run_folder import RunFolder
from pipeline.runs import Runs
from pipeline.workflow_file import LoadedWorkflow
from tests.cli.program import run
from tests.modules.reporting.pages import assert_harmless
from tests.modules.reporting.sample import HOSTILE, WORKFLOW, taxonomy
from tests.pipeline.recorded import Recorder
from tests.pipeline.test_summary import FIRST, SECOND, folder, loaded, told
from tests.pipeline.test_summary import metrics as figures
from tests.pipeline.test_summary import outputs as of_run

__all__ = ("folder", "loaded")
"""Fixtures."""
CLASSES = WORKFLOW.objectives["exclusive"].classes(taxonomy())
LABELS = [7, 0, 4, 5, 1, 0]


def markdown_tokens(text: str) -> list[Any]:
    parsed = MarkdownIt("commonmark").enable("table").parse(text)
    return [*parsed, *(child for token in parsed for child in token.children or ())]


def record(recorder: Recorder, folder: RunFolder, name: str = FIRST, **changed: Any) -> dict[str, Any]:
    """A run with a model that says what it was trained on."""
    own = of_run(folder, name, **changed)
    classes = [category.id for category in CLASSES]
    encoder = folder.path / "encoder"
    encoder.mkdir(exist_ok=True)
    (encoder / "encoder.json").write_text(
        json.dumps({"name": "mini", "licence": "MIT <b>", "origin": "a package | of mine"})
    )
    facts = {
        "seed": 41, "parameters": 1234, "tensorflow": "2.16.2", "model": {"kind": "linear"},
        "features": {
            "title": {"kind": "text", "weights": "tfidf"},
            "vector": {"kind": "encoded", "encoder": str(encoder)},
            "picture": {"kind": "image", "backbone": "small_cnn", "weights": "none", "encoder": {"depths": []}},
        },
        "classes": {"exclusive": classes}, "training_labels": {"exclusive": LABELS},
        "calibration": {"temperature": {"exclusive": 1.25}}, "result": {"epochs": 2, "best_epoch": 2, "seconds": 1.0,
        "history": {"loss": [2.0, 1.0], "val_loss": [2.5, 1.5]}},
    }  # fmt: skip
    (folder.root / name / "model" / "Format-Serving" / "shelfmark.json").write_text(json.dumps(facts))
    recorder.run(name, own)
    return own


def section(card: ModelCard, title: str) -> CardSection:
    return next(own for own in card.sections if own.title == title)


@pytest.fixture
def recorder(folder: RunFolder) -> Recorder:
    return Recorder(Path(folder.metadata), "shop")


def test_the_facts_are_those_of_the_artifacts(loaded: LoadedWorkflow, folder, recorder) -> None:
    record(recorder, folder)
    runs = Runs.of(loaded)
    card = card_of(loaded, runs, runs.find(FIRST))
    assert card.missing == ()
    measured = section(card, "Metrics and quantitative analyses").tables
    assert ("accuracy", "0.7000", "0.600 - 0.800") in measured[0].rows
    assert measured[-1].rows == [("loss", "1.5000", "")]
    few = section(card, "Categories with too few labels")
    paths = [category.text for category in CLASSES]
    expected = sorted((count, path) for count, path in zip(LABELS, paths, strict=True) if count < 5)
    assert few.tables[0].rows == [(path, str(count)) for count, path in expected]
    assert few.facts[0][1] == "2 categories of 6 without a training label, 2 more with fewer than 5"
    features = dict(section(card, "Model and features").facts)
    assert [name for name in features if name.startswith("encoder of")] == ["encoder of vector"]
    assert features["encoder of vector"] == "mini, licence MIT <b>, made of a package | of mine"
    assert dict(section(card, "Thresholds and calibration").facts)["temperature of exclusive"] == "1.250"
    assert dict(section(card, "How to reproduce it").facts)["seed"] == "41"
    assert dict(section(card, "Training data").facts)["products"] == "100 of 3 files: train 60, test 40"


def test_settings_are_those_that_the_components_ran_with(loaded: LoadedWorkflow, folder, recorder) -> None:
    record(recorder, folder)
    runs = Runs.of(loaded)
    given_to = {
        "examples": ("settings_json", {"feeds": [{"retailer": "acme", "files": ["a*.csv"]}, {"retailer": "bolt"}],
                                       "feed": {"files": ["b.csv"]}, "snapshots": [None, "/x/7.jsonl"]}),
        "metrics": ("workflow", {"evaluation": {"thresholds": {"exclusive": {"accuracy": 0.6, "macro_f1": None}}}}),
    }  # fmt: skip
    for key, (name, settings) in given_to.items():
        event = recorder.store.get_events_by_artifact_ids([runs.find(FIRST).outputs[key].id])[0]
        execution = recorder.store.get_executions_by_id([event.execution_id])[0]
        execution.custom_properties[name].string_value = json.dumps(settings)
        recorder.store.put_executions([execution])
    card = card_of(loaded, runs, runs.find(FIRST))
    assert [value for name, value in section(card, "Training data").facts if name == "feed"] == [
        "acme: files a*.csv", "bolt: snapshot 7.jsonl",
    ]  # fmt: skip
    facts = dict(section(card, "Thresholds and calibration").facts)
    assert facts["blessing of exclusive asks for"] == "accuracy 0.6"
    assert facts["blessing of rule_based asks for"] == "nothing"


def test_what_nobody_recorded_is_said_to_be_missing(loaded: LoadedWorkflow, folder, recorder) -> None:
    recorder.run(FIRST, of_run(folder, FIRST, metrics=None, examples=None))
    (folder.root / FIRST / "model" / "Format-Serving" / "shelfmark.json").write_text("{")
    runs = Runs.of(loaded)
    card = card_of(loaded, runs, runs.find(FIRST))
    text = render_markdown(card)
    assert any("the facts beside the model" in sentence for sentence in card.missing) and "Could not be read" in text
    assert section(card, "Training data").facts[0][1].startswith("missing")
    assert dict(section(card, "How to reproduce it").facts)["seed"].startswith("missing")
    shutil.rmtree(folder.root / FIRST / "model")
    with pytest.raises(InputError, match="the folder is gone"):
        card_of(loaded, runs, runs.find(FIRST))


def test_a_pushed_model_has_its_card_beside_it(loaded: LoadedWorkflow, folder, recorder) -> None:
    (folder.pushed / "17").mkdir(parents=True)
    record(recorder, folder)
    text, _ = told(loaded, folder, FIRST)
    card = folder.pushed / "17.model_card.md"
    assert "model card" in text and "could not be" not in text
    assert f"run {FIRST}" in MarkdownIt().render(card.read_text("utf-8")).replace("&quot;", '"')
    assert_harmless(card.with_suffix(".html").read_text("utf-8"))
    assert list((folder.pushed / "17").iterdir()) == [], "servers compare the version's files"


def test_the_command_takes_the_model_that_is_published(
    capsys: Any, loaded: LoadedWorkflow, folder, recorder, tmp_path: Path,
) -> None:  # fmt: skip
    own = record(recorder, folder)
    model = str(own["model"][0])
    record(recorder, folder, SECOND, published_predictions=(folder.root / "p", {"products": 9, "model": model}))
    output = tmp_path / "card.md"
    code, out, err = run(capsys, "model-card", "-o", output, "-w", loaded.path)
    assert (code, err) == (0, "") and f"the model of run {FIRST}" in out and output.with_suffix(".html").is_file()
    code, out, _ = run(capsys, "model-card", SECOND, "-o", output, "-w", loaded.path)
    assert code == 0 and f"the model of run {SECOND}" in out
    code, _, err = run(capsys, "model-card", "-o", tmp_path / "card.pdf", "-w", loaded.path)
    assert code == 2 and "ends in .md" in err


def test_a_retailer_of_any_name_is_a_retailer(loaded: LoadedWorkflow, folder, recorder) -> None:
    counts = Counts()
    for name in HOSTILE:
        counts.by_retailer[name, "products"] = 3
    own = figures(0.7, 0.1) | {f"exclusive/retailer/{HOSTILE[0]}/{name}": 0.5 for name in ("accuracy", "example_count")}
    record(recorder, folder, examples=(folder.root / "x", counts.to_properties()), metrics=(folder.root / "m", own))
    runs = Runs.of(loaded)
    card = card_of(loaded, runs, runs.find(FIRST))
    page = write_model_card(card, folder.root / "card.md")
    assert_harmless(page.read_text("utf-8"))
    tokens = markdown_tokens(render_markdown(card))
    assert {token.type for token in tokens}.isdisjoint(
        {"html_inline", "html_block", "link_open", "image", "code_inline"}
    )
    assert HOSTILE[0] in "".join(token.content for token in tokens if token.type == "text")


@given(st.lists(st.text(min_size=1, max_size=60) | st.sampled_from(HOSTILE), min_size=2, max_size=4))
def test_markdown_says_every_text_and_nothing_else(texts: list[str]) -> None:
    table = CardTable("t", texts, [texts, texts[::-1]])
    tokens = MarkdownIt("commonmark").enable("table").parse(
        render_markdown(ModelCard(texts[0], [CardSection("s", [(texts[0], texts[1])], [table])]))
    )  # fmt: skip
    cells = [token for token in tokens if token.type == "inline"]
    # The title, the section's, the fact, the caption, and three rows.
    assert len(cells) == 4 + 3 * len(texts)
    shown = ["".join(c.content for c in token.children or ()) for token in cells[4:]]
    assert shown == [_shown(text) for text in [*texts, *texts, *texts[::-1]]]
    kinds = {child.type for token in cells for child in token.children or ()}
    assert kinds <= {"text", "text_special", "strong_open", "strong_close"}


def _shown(text: str) -> str:
    escaped = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return " ".join(escaped.split())
