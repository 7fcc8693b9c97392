"""``shelfmark migrate``: what it shows, what it writes, and its exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.program import run

OLD = "name: shop\nmodel: {kind: linear, hidden: [8]} # small\n"
NEW = "name: shop\nmodel: {kind: linear} # small\n"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.yaml"
    path.write_text(OLD, "utf-8")
    return path


def test_it_shows_the_new_yaml_and_why_and_writes_when_it_is_told_to(
    capsys: pytest.CaptureFixture[str], old: Path
) -> None:
    code, out, err = run(capsys, "migrate", old)
    assert (code, out, old.read_text("utf-8")) == (0, NEW, OLD)
    assert f"{old}:2: model.hidden: removed, because only kind: deep or wide_deep reads it" in err
    code, out, err = run(capsys, "migrate", old, "--write")
    assert (code, out, old.read_text("utf-8")) == (0, NEW, NEW)
    assert old.with_name("old.yaml.bak").read_text("utf-8") == OLD and "old.yaml.bak" in err
    code, out, err = run(capsys, "migrate", old, "--write")
    assert (code, out) == (0, "") and "nothing to do" in err


def test_several_files_are_shown_as_differences(capsys: pytest.CaptureFixture[str], old: Path) -> None:
    other = old.with_name("other.yaml")
    other.write_text("name: other\nmodel: {kind: lsa, l2: 0.1}\ntraining: {solver: liblinear}\n", "utf-8")
    code, out, _ = run(capsys, "migrate", old, other)
    assert code == 0 and "-model: {kind: linear, hidden: [8]} # small\n+model: {kind: linear} # small\n" in out
    assert f"--- {other}\n" in out and "+model: {kind: lsa}\n" in out


def test_what_a_person_must_decide_is_exit_code_2_and_only_other_files_are_written(
    capsys: pytest.CaptureFixture[str], old: Path
) -> None:
    unclear = old.with_name("unclear.yaml")
    text = "name: shop\nmodel: {kind: linear, hidden: [8]}\ntuning: {search: {model.kind: {choices: [linear, deep]}}}\n"
    unclear.write_text(text, "utf-8")
    code, _, err = run(capsys, "migrate", unclear, old, old.with_name("none.yaml"), "--write")
    assert code == 2 and unclear.read_text("utf-8") == text and old.read_text("utf-8") == NEW
    assert f"{unclear}:2: model.hidden: " in err and "write the value in tuning.search" in err
    assert "none.yaml: expected a workflow file" in err


def test_validate_names_the_command(capsys: pytest.CaptureFixture[str], old: Path) -> None:
    code, _, err = run(capsys, "validate", old)
    assert code == 2 and f"`shelfmark migrate {old}`" in err
    # What the file cannot be blamed for has no such hint.
    old.write_text("name: shop\n", "utf-8")
    code, _, err = run(capsys, "validate", old, "--set", "model.embedding_width=8")
    assert code == 2 and "migrate" not in err
