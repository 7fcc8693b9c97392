"""IndexPusher: what servers get to see, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tfx.types import standard_artifacts

from components.artifact_types import PushedIndex, SimilarityIndex
from components.index_pusher.executor import IndexPusherExecutor
from modules.similarity.exact import ExactIndex, ExactSettings
from serving.sources import newest_version
from tests.modules.similarity.shops import shop


def push(folder: Path, *, index: int = 1, model: int = 1) -> Any:
    artifacts = {
        "similarity_index": SimilarityIndex(), "model": standard_artifacts.Model(),
        "blessing": standard_artifacts.ModelBlessing(),
    }  # fmt: skip
    output = PushedIndex()
    for name, artifact in {**artifacts, "out": output}.items():
        artifact.uri = str(folder / name)
    artifacts["similarity_index"].set_int_custom_property("blessed", index)
    artifacts["blessing"].set_int_custom_property("blessed", model)
    inputs = {name: [artifact] for name, artifact in artifacts.items()}
    destination = {"destination": str(folder / "pushed")}
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
    first, second = push(folder), push(folder)
    versions = sorted((folder / "pushed").iterdir())
    assert [one.name.isdigit() for one in versions] == [True, True]
    assert second.get_string_custom_property("pushed_destination") == str(versions[1])
    assert newest_version(folder / "pushed") == versions[1]
    assert first.get_int_custom_property("pushed") == 1
    for version in versions:
        assert {one.name for one in version.iterdir()} == {"joint", "model", "taxonomy.json"}
        assert (version / "model" / "saved_model.pb").read_bytes() == b"graph"
        assert (version / "model" / "variables" / "v.index").read_bytes() == b"numbers"
        assert len(ExactIndex.load(version / "joint")) == 20


@pytest.mark.parametrize(("index", "model", "reason"), [(0, 1, "the index is"), (1, 0, "the model is"), (0, 0, "the")])
def test_nothing_is_pushed_without_both_blessings(folder: Path, index: int, model: int, reason: str) -> None:
    output = push(folder, index=index, model=model)
    assert output.get_int_custom_property("pushed") == 0
    assert output.get_string_custom_property("reason").startswith(reason)
    assert not (folder / "pushed").exists()
