"""IndexPusher: what servers get to see, and when."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tfx.dsl.io.filesystem_registry import DEFAULT_FILESYSTEM_REGISTRY
from tfx.dsl.io.plugins.local import LocalFilesystem
from tfx.types import standard_artifacts

from api.similarity.sources import newest_version
from components.artifact_types import PushedIndex, SimilarityIndex
from components.index_pusher.executor import IndexPusherExecutor
from modules.similarity.exact import ExactIndex, ExactSettings
from modules.similarity.identity import fingerprint
from tests.modules.similarity.shops import shop


class Store(LocalFilesystem):
    """A folder that stands for an object store: other paths than ``store://...`` do not lead to it."""

    SUPPORTED_SCHEMES: ClassVar = ["store://"]
    root: ClassVar[Path]

    @staticmethod
    def place(path: Any) -> str:
        assert path.startswith("store://"), path
        return str(Store.root / path.removeprefix("store://"))

    open = staticmethod(lambda name, mode="r": LocalFilesystem.open(Store.place(name), mode))
    exists = staticmethod(lambda path: LocalFilesystem.exists(Store.place(path)))
    isdir = staticmethod(lambda path: LocalFilesystem.isdir(Store.place(path)))
    makedirs = staticmethod(lambda path: LocalFilesystem.makedirs(Store.place(path)))
    rmtree = staticmethod(lambda path: LocalFilesystem.rmtree(Store.place(path)))
    rename = staticmethod(lambda src, dst, overwrite=False: LocalFilesystem.rename(Store.place(src), Store.place(dst)))

    @staticmethod
    def listdir(path: Any) -> Any:
        """Folders have a slash behind their name."""
        return [one.name + "/" * one.is_dir() for one in Path(Store.place(path)).iterdir()]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    Store.root = tmp_path / "store"
    DEFAULT_FILESYSTEM_REGISTRY.register(Store, priority=0)
    return Store.root


def push(folder: Path, *, index: int = 1, model: int = 1, to: str | None = None, of: str | None = None) -> Any:
    """``of``: fingerprint of the model whose embeddings the index has; None: of the one that is pushed."""
    of = fingerprint(folder / "model" / "Format-Serving") if of is None else of
    artifacts = {
        "similarity_index": SimilarityIndex(), "model": standard_artifacts.Model(),
        "blessing": standard_artifacts.ModelBlessing(),
    }  # fmt: skip
    output = PushedIndex()
    for name, artifact in {**artifacts, "out": output}.items():
        artifact.uri = str(folder / name)
    artifacts["similarity_index"].set_int_custom_property("blessed", index)
    artifacts["similarity_index"].set_string_custom_property("model_fingerprint", of)
    artifacts["blessing"].set_int_custom_property("blessed", model)
    inputs = {name: [artifact] for name, artifact in artifacts.items()}
    destination = {"destination": to or str(folder / "pushed")}
    IndexPusherExecutor().Do(inputs, {"pushed_index": [output]}, destination)
    return output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ExactIndex.build(shop(20), ExactSettings()).save(tmp_path / "similarity_index" / "joint")
    (tmp_path / "similarity_index" / "neighbours").mkdir()
    (tmp_path / "similarity_index" / "neighbours" / "joint.parquet").write_bytes(b"large")
    (tmp_path / "similarity_index" / "taxonomy.json").write_text("{}")
    (tmp_path / "model" / "Format-Serving" / "variables").mkdir(parents=True)
    (tmp_path / "model" / "Format-Serving" / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "model" / "Format-Serving" / "variables" / "v.index").write_bytes(b"numbers")
    return tmp_path


def test_index_and_model_go_together_as_a_new_version(folder: Path) -> None:
    first = push(folder)
    (folder / "similarity_index" / "taxonomy.json").write_text('{"newer": 1}')
    second = push(folder)
    versions = sorted((folder / "pushed").iterdir())
    assert [one.name.isdigit() for one in versions] == [True, True]
    assert second.get_string_custom_property("pushed_destination") == str(versions[1])
    assert newest_version(folder / "pushed") == versions[1]
    assert first.get_int_custom_property("pushed") == 1
    for version in versions:
        assert {path.name for path in version.iterdir()} == {"joint", "model", "taxonomy.json", "version.json"}
        assert (version / "model" / "saved_model.pb").read_bytes() == b"graph"
        assert (version / "model" / "variables" / "v.index").read_bytes() == b"numbers"
        assert len(ExactIndex.load(version / "joint")) == 20


def test_a_push_that_was_killed_before_it_was_known_is_taken_over(folder: Path) -> None:
    """Nothing tells it from one that is made again; each would be a version more on the disk."""
    first, second = push(folder), push(folder)
    (version,) = (folder / "pushed").iterdir()
    assert {one.get_string_custom_property("pushed_destination") for one in (first, second)} == {str(version)}
    # One that was damaged since, with the same sizes, is another.
    (version / "model" / "variables" / "v.index").write_bytes(b"nUmbers")
    assert push(folder).get_string_custom_property("pushed_destination") != str(version)
    assert (newest_version(folder / "pushed") / "model" / "variables" / "v.index").read_bytes() == b"numbers"


def test_to_an_object_store(folder: Path, store: Path) -> None:
    outputs = [push(folder, to="store://shop/pushed/"), push(folder, to="store://shop/pushed")]
    versions = sorted((store / "shop" / "pushed").iterdir())
    pushed = [one.get_string_custom_property("pushed_destination") for one in outputs]
    assert pushed == [f"store://shop/pushed/{one.name}" for one in versions]
    for version in versions:
        assert {path.name for path in version.iterdir()} == {"joint", "model", "taxonomy.json", "version.json"}
        assert (version / "model" / "variables" / "v.index").read_bytes() == b"numbers"
        assert len(ExactIndex.load(version / "joint")) == 20


def test_what_a_killed_push_left_is_removed(folder: Path) -> None:
    going_on = f".{int(time.time()) - 60}.part"
    for name in (".1700000000.part", going_on, ".kept", "1700000001"):
        (folder / "pushed" / name / "joint").mkdir(parents=True)
    push(folder)
    left = {one.name for one in (folder / "pushed").iterdir()}
    assert {going_on, ".kept", "1700000001"} < left and len(left) == 4


@pytest.mark.parametrize(("index", "model", "reason"), [(0, 1, "the index is"), (1, 0, "the model is"), (0, 0, "the")])
def test_nothing_is_pushed_without_both_blessings(folder: Path, index: int, model: int, reason: str) -> None:
    output = push(folder, index=index, model=model)
    assert output.get_int_custom_property("pushed") == 0
    assert output.get_string_custom_property("reason").startswith(reason)
    assert not (folder / "pushed").exists()


def test_an_index_is_not_pushed_with_another_model(folder: Path) -> None:
    before = fingerprint(folder / "model" / "Format-Serving")
    assert push(folder, of=before).get_int_custom_property("pushed") == 1
    (folder / "model" / "Format-Serving" / "variables" / "v.index").write_bytes(b"other numbers")
    output = push(folder, of=before)
    assert output.get_int_custom_property("pushed") == 0
    assert "another model's embeddings" in output.get_string_custom_property("reason")
    assert len(list((folder / "pushed").iterdir())) == 1
