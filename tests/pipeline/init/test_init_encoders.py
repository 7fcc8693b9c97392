"""What `shelfmark init` makes of an encoder in the user's store, and of there being none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modules.features.encoded import EncodedFeature
from pipeline.workflow_file import load_workflow
from tests.cli.program import run
from tests.encoders import tiny_encoder
from tests.pipeline.init.test_init_files import init, products, write_csv

HINT = "shelfmark encoder add bge-small"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHELFMARK_ENCODERS", str(tmp_path / "store"))
    return tmp_path / "store"


def meaning(folder: Path, name: str = "meaning") -> EncodedFeature | None:
    feature = load_workflow(folder / "mine.yaml").workflow.features.get(name)
    assert feature is None or isinstance(feature, EncodedFeature)
    return feature


def branded(**columns: Any) -> list[dict[str, Any]]:
    return [{**row, "brand": f"Maker {i % 7}", **columns} for i, row in enumerate(products())]


def test_without_an_encoder_a_comment_says_what_to_do(store: Path, tmp_path: Path) -> None:
    loaded = init(tmp_path / "out", write_csv(tmp_path / "a.csv", branded()))
    assert "meaning" not in loaded.workflow.features
    text = (tmp_path / "out" / "mine.yaml").read_text()
    assert f"`{HINT}`" in text
    # What the comments show is what the workflow needs, once there are encoders.
    for name in ("bge-small", "minilm"):
        tiny_encoder(store / name, name=name)
    shown = text.replace("# meaning:", "meaning:").replace("# further_meaning:", "further_meaning:")
    (tmp_path / "out" / "mine.yaml").write_text(shown)
    for feature in (meaning(tmp_path / "out"), meaning(tmp_path / "out", "further_meaning")):
        assert feature is not None and feature.columns == ("title", "brand", "description")


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (["bge-small"], ["bge-small"]),
        (["minilm"], ["minilm"]),
        (["minilm", "bge-small"], ["bge-small", "minilm"]),
        (["e5-small", "minilm", "bge-small"], ["bge-small", "minilm"]),
    ],
)
def test_the_first_two_known_encoders_of_the_store_are_taken(
    store: Path, tmp_path: Path, there: list[str], taken: list[str]
) -> None:
    for name in there:
        tiny_encoder(store / name, name=name)
    loaded = init(tmp_path / "out", write_csv(tmp_path / "a.csv", branded()))
    features = [meaning(tmp_path / "out", name) for name in ("meaning", "further_meaning")]
    encoded = [feature for feature in features if feature is not None]
    assert [feature.encoder for feature in encoded] == taken
    assert all(feature.columns == ("title", "brand", "description") for feature in encoded)
    assert loaded.workflow.reads_names
    text = (tmp_path / "out" / "mine.yaml").read_text()
    assert text.count("encoder add") == 2 - len(taken)


@pytest.mark.parametrize(
    ("title", "description", "read"),
    [
        ("Sneaker in red canvas with a white sole", "Made of canvas.", True),
        ("Sneaker in red canvas with a white sole", "Made of canvas. " * 20, False),
        ("Vansta", "A sneaker made of canvas. " * 20, True),
    ],
    ids=["short", "long", "long, and titles are names"],
)
def test_a_long_description_is_read_where_titles_say_little(
    store: Path, tmp_path: Path, title: str, description: str, read: bool
) -> None:
    tiny_encoder(store / "bge-small")
    rows = [{**row, "title": f"{title} {i}", "description": description} for i, row in enumerate(products())]
    init(tmp_path / "out", write_csv(tmp_path / "a.csv", rows))
    feature = meaning(tmp_path / "out")
    assert feature is not None and feature.columns == ("title", *(["description"] if read else []))


@pytest.mark.parametrize("encoder", [False, True])
def test_a_column_of_that_name_gets_another(store: Path, tmp_path: Path, encoder: bool) -> None:
    if encoder:
        tiny_encoder(store / "bge-small")
    rows = [{**row, "meaning": ["cotton", "wool", "linen"][i // 7 % 3]} for i, row in enumerate(branded())]
    loaded = init(tmp_path / "out", write_csv(tmp_path / "a.csv", rows))
    assert "meaning" in loaded.workflow.feed.attributes.values()
    assert "meaning" not in loaded.workflow.feed.attributes
    assert (meaning(tmp_path / "out") is not None) == encoder


@pytest.mark.parametrize("encoder", [False, True])
def test_the_command_names_the_encoder_only_where_there_is_none(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], encoder: bool
) -> None:
    if encoder:
        tiny_encoder(store / "minilm", name="minilm")
    feed = write_csv(tmp_path / "shoes.csv", branded())
    code, out, _ = run(capsys, "init", feed, "--output", tmp_path / "out")
    assert code == 0 and (HINT in out) == (not encoder) and "next:" in out
