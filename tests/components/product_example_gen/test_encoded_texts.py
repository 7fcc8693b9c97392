"""Texts' vectors in the examples: computed in batches, for whoever has a text, by the encoder as it is now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from components.product_example_gen.driver import input_fingerprint  # noqa: E402
from modules.encoders import passing  # noqa: E402
from modules.encoders.text_encoder import TextEncoder  # noqa: E402
from modules.errors import InputError  # noqa: E402
from modules.examples import encoding, is_product_column  # noqa: E402
from modules.feeds import text_vectors  # noqa: E402
from modules.feeds.plan import ExampleSettings  # noqa: E402
from modules.settings.encodings import EncodingSettings  # noqa: E402
from modules.settings.workflow import Workflow  # noqa: E402
from pipeline.inputs import example_inputs, training_inputs  # noqa: E402
from pipeline.pipeline import PARTS  # noqa: E402
from pipeline.workflow_file import LoadedWorkflow, load_workflow  # noqa: E402
from tests.components.product_example_gen.test_component import execute, workflow  # noqa: E402
from tests.encoders import tiny_encoder  # noqa: E402

NAME = encoding("meaning")
PRODUCTS = 150


def feature(**more: Any) -> dict[str, Any]:
    return {"title": {"kind": "text"}, "meaning": {"kind": "encoded", "columns": ["brand", "title"], **more}}


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    folder = tmp_path / "feed"
    folder.mkdir()
    tiny_encoder(folder / "encoders" / "tiny")
    rows: list[dict[str, Any]] = [{"id": f"p{i}", "title": f"boot <b>number</b> {i} ботинок"} for i in range(PRODUCTS)]
    rows[3] |= {"brand": "Straße"}
    # Only a price is left of it.
    rows[4] |= {"title": "<br>", "price": 5}
    rows[5] = {"title": "has no id"}
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "taxonomy.yaml").write_text(
        "categories:\n  - {path: A, exclusive: true}\n  - {path: B, exclusive: true}\n"
    )
    return folder


def flow(**more: Any) -> Workflow:
    return workflow(rules={"file": None}, labels={"files": []}, features=feature(**more))


@pytest.mark.parametrize("batch", [1, 7, 1024])
def test_whoever_has_a_text_has_its_vector(feed: Path, tmp_path: Path, monkeypatch: Any, batch: int) -> None:
    monkeypatch.setattr("modules.feeds.products.BATCH", batch)
    made = execute(feed, tmp_path / "out", flow(encoder="encoders/tiny"))
    assert len(made.all) == PRODUCTS - 1 and [row["line"] for row in made.bad] == [6]
    assert "p4" in made.all and NAME not in made.all["p4"]
    texts = {i: f"boot number {i} ботинок" for i in range(PRODUCTS) if i not in (4, 5)}
    texts[3] = f"Straße\n{texts[3]}"
    encoder = TextEncoder.load(str(feed / "encoders" / "tiny"))
    expected = encoder(tf.constant(list(texts.values()))).numpy()
    shown = np.array([made.all[f"p{i}"][NAME] for i in texts])
    np.testing.assert_allclose(shown, expected, atol=5e-4)
    # Nobody who reads products takes it for something that the feed says.
    assert not is_product_column(NAME)


def loaded(feed: Path, *overrides: str, encoder: str = "encoders/tiny") -> LoadedWorkflow:
    path = feed.parent / "w.yaml"
    path.write_text(f"name: shop\nfeatures: {json.dumps(feature(encoder=encoder))}\n")
    return load_workflow(path, overrides, feed_folder=feed)


def test_the_fingerprint_and_the_trainers_inputs_change_with_the_encoder(feed: Path) -> None:
    def seen() -> tuple[str, dict[str, str]]:
        own = loaded(feed)
        located, checksums = training_inputs(own)
        return input_fingerprint(*example_inputs(own, located)), checksums

    before = seen()
    assert before == seen() and len(before[1]) == 1
    tiny = feed / "encoders" / "tiny"
    file = max(tiny.rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    file.write_bytes(file.read_bytes() + b" ")
    after = seen()
    assert before[0] != after[0] and before[1] != after[1]


def test_an_encoder_in_the_feeds_folder_is_found_where_pods_see_that_folder(feed: Path, tmp_path: Path) -> None:
    own = loaded(feed)
    located, _ = training_inputs(own)
    settings = ExampleSettings.model_validate_json(example_inputs(own, located)[0])
    assert settings.encodings["meaning"].encoder == "encoders/tiny"
    elsewhere = loaded(feed, encoder=str(tiny_encoder(tmp_path / "elsewhere")))
    located, _ = training_inputs(elsewhere)
    settings = ExampleSettings.model_validate_json(example_inputs(elsewhere, located)[0])
    assert settings.encodings["meaning"].encoder == str(tmp_path / "elsewhere")
    assert located.features["meaning"].size == TextEncoder.load(str(tmp_path / "elsewhere")).width  # type: ignore[union-attr]


def test_where_vectors_are_kept(feed: Path, tmp_path: Path) -> None:
    def cache(own: LoadedWorkflow, default: str | None) -> str | None:
        located, _ = training_inputs(own, default)
        settings = ExampleSettings.model_validate_json(example_inputs(own, located)[0])
        assert settings.encoding_cache is not None
        # Trainer keeps the vectors of categories' names there, too.
        trained = Workflow.from_part(located.model_dump_json(include=PARTS["Trainer"]))
        assert trained.encodings == settings.encoding_cache
        return settings.encoding_cache.cache

    assert cache(loaded(feed), None) is None
    assert cache(loaded(feed), str(tmp_path / "default")) == str(tmp_path / "default")
    named = loaded(feed, f"encodings.cache={tmp_path}/named")
    assert cache(named, str(tmp_path / "default")) == cache(named, None) == str(tmp_path / "named")


def test_a_cached_text_is_not_encoded_again(feed: Path, tmp_path: Path) -> None:
    own = ExampleSettings.of(flow(encoder="encoders/tiny")).encodings
    vectors = text_vectors.TextVectors(own, str(feed), EncodingSettings(cache=str(tmp_path / "cache")))
    product = text_vectors.Product("x", {"title": "boot"}, {})
    [first] = vectors.of([product])
    (feed / "encoders" / "tiny" / "weights.safetensors").unlink()
    passing._loaded.cache_clear()
    [again] = vectors.of([product])
    np.testing.assert_array_equal(first[NAME], again[NAME])
    with pytest.raises(InputError):
        vectors.of([product, text_vectors.Product("y", {"title": "a new text"}, {})])
