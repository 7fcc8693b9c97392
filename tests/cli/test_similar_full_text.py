"""``shelfmark similar full-text`` and ``elasticsearch`` on a folder of indexes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from modules.similarity.exact import ExactIndex
from modules.similarity.full_text.engine import FullTextIndex
from tests.api.shops import items, write
from tests.cli.program import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Versions of indexes by two methods; the products of one changed since it was built."""
    made = write(tmp_path / "versions" / "3", 200, methods=("embedding", "embedding_image"))
    index = ExactIndex.load(made / "image")
    index.remove(["p5"])
    index.add(items(203, 1, "embedding_image").take(np.arange(200, 203)))
    for file in (made / "image").iterdir():
        file.unlink()
    index.save(made / "image")
    return tmp_path / "versions"


def test_full_text_stands_beside_the_other_methods(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    output = tmp_path / "all"
    (folder / "3" / "model" / "variables").mkdir(parents=True)
    (folder / "3" / "model" / "saved_model.pb").write_bytes(b"a model")
    code, out, err = run(capsys, "similar", "full-text", "--index", folder, "-o", output)
    assert (code, err) == (0, "") and "200 products by title, tokens" in out
    assert sorted(path.name for path in output.iterdir()) == [
        "image", "joint", "model", "taxonomy.json", "title", "tokens", "version.json",
    ]  # fmt: skip
    assert (output / "model" / "saved_model.pb").read_bytes() == b"a model"
    nearest = {}
    for method in ("joint", "tokens"):
        asked = ("similar", "p7", "--by", method, "--category", "Shoes", "--json", "--index", output)
        nearest[method] = [one["id"] for one in json.loads(run(capsys, *asked)[1])["neighbours"]]
    assert len(nearest["joint"]) == 10 and nearest["tokens"] == nearest["joint"]
    code, out, _ = run(capsys, "similar", "number 42", "--by", "title", "--k", 3, "--json", "--index", output)
    assert code == 0 and json.loads(out)["neighbours"][0]["id"] == "p42"
    code, _, err = run(capsys, "similar", "full-text", "--index", folder, "-o", output)
    assert code == 2 and "a new or empty folder" in err


def test_products_that_came_and_went(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    image = folder / "3" / "image"
    options = ("--way", "tokens", "--index", image)
    code, out, _ = run(capsys, "similar", "full-text", *options, "-o", tmp_path / "one")
    assert code == 0 and "202 products" in out
    made = FullTextIndex.load(tmp_path / "one" / "tokens")
    assert "p5" not in made.ids.to_pylist() and "p202" in made.ids.to_pylist()
    code, out, _ = run(capsys, "similar", "elasticsearch", "--by", "image", "--index", folder, "-o", tmp_path / "out",
                       "--engine", "opensearch", "--name", "shop")  # fmt: skip
    assert code == 0 and "202 products in 1 bulk file," in out
    lines = (tmp_path / "out" / "bulk-00000.ndjson").read_bytes().splitlines()
    ids = [json.loads(line)["index"]["_id"] for line in lines[::2]]
    assert len(ids) == 202 and "p5" not in ids and json.loads(lines[0])["index"]["_index"] == "shop"
    assert "knn_vector" in (tmp_path / "out" / "mapping.json").read_text()


@pytest.mark.parametrize(("arguments", "said"), [
    (["full-text", "--by", "smell"], "one of: joint, image"),
    (["full-text", "--way", "smell"], "--way"),
    (["elasticsearch", "--name", "My Shop"], "small letters"),
    (["elasticsearch", "--engine", "solr"], "--engine"),
])  # fmt: skip
def test_bad_arguments_are_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
):
    code, out, err = run(capsys, "similar", *arguments, "--index", folder, "-o", tmp_path / "out")
    assert code == 2 and said in " ".join(err.split()) and "Traceback" not in err and out == ""
    assert not (tmp_path / "out").exists()
