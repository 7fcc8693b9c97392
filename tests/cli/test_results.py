"""``shelfmark predictions``, ``statistics`` and ``metrics`` on a recorded run."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from modules.examples import TAXONOMY_FILE
from pipeline.run_folder import RunFolder
from pipeline.workflow_file import load_workflow
from tests.cli.program import run
from tests.modules.reporting.sample import taxonomy, write_predictions
from tests.pipeline.recorded import Recorder, category

RUN = "2031-05-01T10-00-00.000"


@pytest.fixture
def recorded(workflow: Path) -> RunFolder:
    folder = RunFolder.of(load_workflow(workflow).workflow)
    (folder.root / "taxonomy").mkdir(parents=True)
    taxonomy().write(folder.root / "taxonomy" / TAXONOMY_FILE)
    write_predictions(folder.root / "predictions", {"train": 40, "eval": 5, "test": 30})
    boots = next(c for c in taxonomy() if c.text == "Shoes > Boots")
    of_boots = category("Shoes > Boots", f1=0.5, examples=3)
    figures = {"exclusive/accuracy": 0.7, f"category/exclusive/{boots.id}": of_boots}
    Recorder(Path(folder.metadata), "shop").run(
        RUN,
        {
            "taxonomy": (folder.root / "taxonomy", {}),
            "predictions": (folder.root / "predictions", {}),
            "metrics": (folder.root / "metrics", figures),
        },
    )
    return folder


def test_predictions_are_shown_as_plain_lines(capsys, workflow: Path, recorded: RunFolder) -> None:
    code, out, err = run(capsys, "predictions", "-w", workflow, "--split", "test", "--sort", "entropy", "-n", 7)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["id", "title", "retailer", "split"]
    assert len(lines) == 9 and lines[-1] == f"run {RUN}: 7 shown of 30 predictions of test"
    scores = [float(line.split()[-1]) for line in lines[1:-1]]
    assert scores == sorted(scores, reverse=True)


def test_control_characters_of_a_feed_do_not_reach_the_terminal(capsys, workflow: Path, recorded: RunFolder) -> None:
    _, out, _ = run(capsys, "predictions", "-w", workflow, "--split", "test", "-n", 30)
    assert "\\x1b[31mred" in out and "\x1b" not in out and "\x07" not in out
    # A line break in a title would have made two lines of one product.
    assert len(out.splitlines()) == 32


def test_predictions_of_a_category_and_all_below_it(capsys, workflow: Path, recorded, tmp_path: Path) -> None:
    code, out, _ = run(capsys, "predictions", RUN, "-w", workflow, "--category", "Shoes", "-o", tmp_path / "shoes.csv")
    with (tmp_path / "shoes.csv").open(newline="") as stream:
        paths = {row["exclusive/category"] for row in csv.DictReader(stream)}
    assert code == 0 and paths == {"Shoes > Boots", "Shoes > Boots > Ankle Boots", "Shoes > Sandals"}
    assert out.startswith(f"{tmp_path / 'shoes.csv'}: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--category", "Shoes > Bots"], "did you mean 'Shoes > Boots'"),
        (["--objective", "colour"], "one of: exclusive, rule_based"),
        (["--sort", "entropy", "-o", "x.csv"], "add --limit N"),
        (["2031"], f"did you mean '{RUN}'"),
    ],
)
def test_bad_questions_leave_with_2_and_a_hint(capsys, workflow, recorded, arguments: list[str], words: str) -> None:
    code, out, err = run(capsys, "predictions", "-w", workflow, *arguments)
    assert code == 2 and out == "" and words in err


@pytest.mark.parametrize("command", ["predictions", "statistics", "evaluation", "metrics"])
def test_without_a_run_the_commands_say_what_to_do(capsys, workflow: Path, command: str) -> None:
    code, _, err = run(capsys, command, "-w", workflow)
    assert code == 2 and "run the workflow first" in err


def test_statistics_of_a_run_that_has_none(capsys, workflow: Path, recorded: RunFolder) -> None:
    code, _, err = run(capsys, "statistics", RUN, "-w", workflow)
    assert code == 2 and "ended before StatisticsGen" in err


def test_metrics_come_from_ml_metadata_alone(capsys, workflow: Path, recorded: RunFolder) -> None:
    code, out, _ = run(capsys, "metrics", "-w", workflow, "--category", "Shoes > Boots", "--json")
    assert code == 0 and json.loads(out)["runs"][0]["values"]["f1"] == 0.5
    code, out, _ = run(capsys, "metrics", "-w", workflow, "--json")
    assert code == 0 and json.loads(out)["values"]["exclusive"]["accuracy"] == 0.7
    assert not list(recorded.root.glob("metrics"))
