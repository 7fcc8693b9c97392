"""``shelfmark similar`` on folders of indexes: neighbours by id and by text, restrictions, bad arguments."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from modules.similarity.full_text.engine import FullTextIndex, FullTextSettings
from modules.similarity.scann_index.index import ScannIndex
from modules.similarity.scann_index.settings import ScannSettings
from tests.api.shops import items, write
from tests.cli.program import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exact index, one of ScaNN and one of titles over the same products."""
    made = write(tmp_path_factory.mktemp("indexes") / "1")
    shop = items(200)
    FullTextIndex.build(shop, FullTextSettings(by="title", rank="engine")).save(made / "title")
    ScannIndex.build(shop, ScannSettings(min_products=50)).save(made / "scann")
    return made


def test_neighbours_of_an_id_are_those_of_a_plain_sort(folder: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ("similar", "p7", "--k", 5, "--category", "Shoes", "--json", "--index", folder)
    code, out, err = run(capsys, *arguments)
    assert (code, err) == (0, "")
    vectors = items(200).vectors.astype(np.float64)
    wanted = [i for i in np.argsort(-vectors @ vectors[7], kind="stable") if i % 3 < 2 and i != 7][:5]
    found = json.loads(out)
    assert found["by"] == "joint" and [one["id"] for one in found["neighbours"]] == [f"p{i}" for i in wanted]
    code, out, _ = run(capsys, "similar", "find", "p7", "-k", 5, "--by", "scann", "--index", folder)
    assert code == 0 and out.count("Shoes") + out.count("Bags") == 5 and "5 nearest to p7" in out


def test_a_text_is_looked_for_in_titles(folder: Path, capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "similar", "number 42", "--by", "title", "--k", 3, "--index", folder, "--json")
    assert code == 0 and json.loads(out)["neighbours"][0]["id"] == "p42"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["p19O"], "the id of a product in the index"),
        (["9"], "--text takes it as a text"),
        (["p19O", "--text"], "an id or a vector: there is no model"),
        (["boots"], "an id or a vector: there is no model"),
        (["p1", "--by", "smell"], "one of: joint, title, scann"),
        (["p1", "--category", "Shoes > Boot"], "Shoes > Boots"),
        (["p1", "--price-from", "5", "--price-to", "4"], "price_to"),
        (["p0"], "ask by title"),
        (["shoe.jpg"], "an image file; there is none"),
        (["p1", "--k", "0"], "--k"),
        (["boot\udcff"], "in UTF-8"),
        (["a long text " * 100], "there is no model"),
        (["a/" + "b" * 300 + ".jpg"], "there is none"),
    ],
)
def test_bad_arguments_are_said(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str):
    code, out, err = run(capsys, "similar", *arguments, "--index", folder)
    assert code == 2 and said in " ".join(err.split()) and "Traceback" not in err and out == ""


def test_serving_to_others_needs_a_token(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.delenv("SHELFMARK_SERVING_TOKEN", raising=False)
    code, _, err = run(capsys, "similar", "serve", "--host", "0.0.0.0", "--index", folder)
    assert code == 2 and "needs a token" in err
    code, _, err = run(capsys, "similar", "serve", "--index", folder.parent / "none")
    assert code == 2 and "a folder with an index" in err
    code, _, err = run(capsys, "similar", "p1", "--model", "m")
    assert code == 2 and "goes with --index" in err
