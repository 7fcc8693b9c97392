"""Embeddings from every place that they can lie in, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modules.errors import InputError
from modules.similarity.exact import ExactIndex, ExactSettings
from modules.similarity_quality.embeddings import read_embeddings
from tests.modules.similarity.shops import shop

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4)).astype(np.float32)
IDS = [f"p{i}" for i in range(20)]


def fixed(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    for split, rows in (("train", slice(0, 12)), ("eval", slice(12, 12)), ("test", slice(12, 20))):
        folder = tmp_path / "predictions" / f"Split-{split}"
        folder.mkdir(parents=True)
        columns = {
            "id": pa.array(IDS[rows], pa.string()),
            "embedding": fixed(X[rows]),
            "other": pa.array(IDS[rows], pa.string()),
        }
        pq.write_table(pa.table(columns | {"embedding_image": fixed(-X[rows])}), folder / "part.parquet")
    return tmp_path / "predictions"


def test_of_predictions_every_column(predictions: Path):
    joint, image = read_embeddings(predictions, "run")
    assert (joint.name, image.name) == ("run: joint", "run: image")
    assert sorted(joint.ids.to_pylist()) == sorted(IDS)
    np.testing.assert_allclose(joint.vectors, unit(X)[[IDS.index(i) for i in joint.ids.to_pylist()]], rtol=1e-6)
    np.testing.assert_allclose(image.vectors, -joint.vectors)
    (only,) = read_embeddings(predictions, "run", ["embedding_image"])
    assert only.name == "run"
    (part,) = read_embeddings(predictions / "Split-test" / "part.parquet", columns=["embedding"])
    assert part.name == "part" and part.ids.to_pylist() == IDS[12:]


def test_of_npy_and_of_an_index(tmp_path: Path):
    np.save(tmp_path / "x.npy", X.astype(np.float16))
    (tmp_path / "x.txt").write_text("\n".join(IDS) + "\n")
    (found,) = read_embeddings(tmp_path / "x.npy")
    assert found.name == "x" and found.ids.to_pylist() == IDS and found.vectors.dtype == np.float32
    np.testing.assert_allclose(found.vectors, unit(X), atol=1e-3)
    items = shop(50)
    index = ExactIndex.build(items, ExactSettings())
    index.add(shop(10, seed=3, first=45))
    index.remove(["p3"])
    index.save(tmp_path / "index")
    (found,) = read_embeddings(tmp_path / "index", "index")
    assert len(found.ids) == 54 and "p3" not in found.ids.to_pylist()
    at = found.ids.to_pylist().index("p54")
    np.testing.assert_allclose(found.vectors[at], shop(10, seed=3, first=45).vectors[9], atol=1e-6)


def test_what_is_wrong_is_said(tmp_path: Path, predictions: Path):
    def refused(match: str, path: Path, *columns: str) -> None:
        with pytest.raises(InputError, match=match):
            read_embeddings(path, columns=columns)

    refused("predictions", tmp_path / "none")
    refused(
        "embedding_text: columns id and embedding, embedding_text; there are",
        predictions,
        "embedding",
        "embedding_text",
    )
    refused("lists of numbers", predictions, "other")
    (tmp_path / "bad.parquet").write_bytes(b"no parquet at all")
    refused("readable Parquet", tmp_path / "bad.parquet")
    table = {"id": pa.array(["a", "b"]), "embedding": pa.array([[1.0, 2.0], [1.0]])}
    pq.write_table(pa.table(table), tmp_path / "bad.parquet")
    refused("one length", tmp_path / "bad.parquet")
    pq.write_table(pa.table(table | {"embedding": pa.array([[1.0], None])}), tmp_path / "bad.parquet")
    refused("none missing", tmp_path / "bad.parquet")
    pq.write_table(pa.table({"id": pa.array(["a", "a"]), "embedding": fixed(X[:2])}), tmp_path / "bad.parquet")
    refused("differ from each other", tmp_path / "bad.parquet")
    np.save(tmp_path / "x.npy", np.array([[1.0, np.nan]]))
    refused("an id a line", tmp_path / "x.npy")
    (tmp_path / "x.txt").write_text("a\nb\n")
    refused("1 ids", tmp_path / "x.npy")
    (tmp_path / "x.txt").write_text("a")
    refused("finite", tmp_path / "x.npy")
    np.save(tmp_path / "x.npy", np.array([{}], object), allow_pickle=True)
    refused("readable .npy", tmp_path / "x.npy")
