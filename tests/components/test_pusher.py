"""Pushed models appear as a whole, under a number of their own."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from tfx.dsl.io import fileio
from tfx.types import standard_artifacts

from components.pusher.executor import WholePusherExecutor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    serving = tmp_path / "model" / "Format-Serving"
    (serving / "variables").mkdir(parents=True)
    (serving / "saved_model.pb").write_bytes(b"graph")
    (serving / "variables" / "v.index").write_bytes(b"numbers")
    return tmp_path


def push(folder: Path, *, blessed: int = 1) -> Any:
    model, blessing, output = (
        standard_artifacts.Model(), standard_artifacts.ModelBlessing(), standard_artifacts.PushedModel()
    )  # fmt: skip
    for name, artifact in {"model": model, "blessing": blessing, "out": output}.items():
        artifact.uri = str(folder / name)
    blessing.set_int_custom_property("blessed", blessed)
    destination = json.dumps({"filesystem": {"base_directory": str(folder / "pushed")}})
    inputs = {"model": [model], "model_blessing": [blessing]}
    WholePusherExecutor().Do(inputs, {"pushed_model": [output]}, {"push_destination": destination})
    return output


def pushed_to(output: Any) -> Path:
    found = Path(output.get_string_custom_property("pushed_destination"))
    assert output.get_string_custom_property("pushed_version") == found.name
    return found


def test_another_model_is_a_higher_version_even_in_the_same_second(folder: Path) -> None:
    versions = []
    for content in (b"one", b"two", b"three"):
        (folder / "model" / "Format-Serving" / "variables" / "v.index").write_bytes(content)
        versions.append(pushed_to(push(folder)))
        assert (versions[-1] / "variables" / "v.index").read_bytes() == content
        assert (versions[-1] / "saved_model.pb").read_bytes() == b"graph"
    assert versions == sorted(set(versions), key=lambda one: int(one.name))
    assert sorted((folder / "pushed").iterdir()) == sorted(versions)


def test_what_is_there_already_is_not_pushed_again(folder: Path) -> None:
    first = pushed_to(push(folder))
    assert pushed_to(push(folder)) == first
    # Half a version, or one that was damaged since, is not the same.
    (first / "variables" / "v.index").write_bytes(b"nUmbers")
    second = pushed_to(push(folder))
    (second / "saved_model.pb").unlink()
    third = pushed_to(push(folder))
    assert len({first, second, third}) == 3
    assert (third / "saved_model.pb").read_bytes() == b"graph"


def test_without_a_blessing_nothing_is_made(folder: Path) -> None:
    assert push(folder, blessed=0).get_int_custom_property("pushed") == 0
    assert not (folder / "pushed").exists()


def test_what_fails_leaves_no_version(folder: Path) -> None:
    (folder / "model" / "Format-Serving" / "variables" / "v.data").symlink_to(folder / "none")
    with pytest.raises(fileio.NotFoundError):
        push(folder)
    assert not list((folder / "pushed").iterdir())


def test_half_pushes_of_killed_runs_go_once_they_are_old(folder: Path) -> None:
    young = f".{int(time.time()) - 60}.part"
    for name in (young, ".1700000000.part", ".mine.part", "1700000000.part"):
        (folder / "pushed" / name).mkdir(parents=True)
    version = pushed_to(push(folder))
    left = {one.name for one in (folder / "pushed").iterdir()}
    assert left == {young, ".mine.part", "1700000000.part", version.name}
