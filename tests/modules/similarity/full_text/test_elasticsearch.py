"""Bulk files, mapping and query as a server would read them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from modules.errors import InputError
from modules.similarity.full_text.elasticsearch import ExportSettings, export, mapping, query
from modules.similarity.full_text.encoding import Encoding
from modules.similarity.full_text.engine import FullTextSettings
from modules.similarity.items import Items
from tests.modules.similarity.shops import shop

SEARCH = FullTextSettings(by="tokens_and_title", encoding=Encoding(decimals=(1, 2), best=6), query_best=3)


@pytest.mark.parametrize("vectors", [True, False])
def test_bulk_files_hold_every_product_once(tmp_path: Path, vectors: bool):
    items = shop(5000)
    items.vectors[7] = 0
    settings = ExportSettings(vectors=vectors, file_bytes=100_000, index="shop-1")
    done = export(items, SEARCH, settings, tmp_path / "out")
    assert done.products == 5000 and len(done.bulk) > 5
    known = set(mapping(16, settings)["mappings"]["properties"])
    words = SEARCH.encoding.words(items.vectors)
    found = []
    for file in done.bulk:
        content = file.read_bytes()
        assert len(content) <= 100_000 and content.endswith(b"\n") and b"NaN" not in content
        lines = [json.loads(line) for line in content.splitlines()]
        assert len(lines) % 2 == 0
        found += zip(lines[::2], lines[1::2], strict=True)
    for i, ((action, document), row) in enumerate(zip(found, items.table.to_pylist(), strict=True)):
        assert action == {"index": {"_index": "shop-1", "_id": row["id"]}}
        assert document["tokens"].split() == words[i]
        assert all(len(word) <= 255 for word in words[i])
        assert set(document) <= known
        assert document.get("title") == row["title"] and document.get("retailer") == row["retailer"]
        assert ("price" in document) == (not np.isnan(row["price"]))
        assert ("embedding" in document) == (vectors and i != 7)
        if vectors and i != 7:
            np.testing.assert_allclose(np.float32(document["embedding"]), items.vectors[i], rtol=1e-6)


def test_hostile_texts_stay_inside_their_line(tmp_path: Path):
    title = 'a\n{"delete": {"_index": "*"}}\r\n\u2028"\\ \x00'
    items = Items.of(['i\n"d', "b"], np.eye(2, dtype=np.float32), titles=[title, None])
    (file,) = export(items, SEARCH, ExportSettings(), tmp_path / "out").bulk
    lines = file.read_bytes().split(b"\n")
    assert len(lines) == 5 and lines[4] == b""
    assert json.loads(lines[0])["index"]["_id"] == 'i\n"d'
    assert json.loads(lines[1])["title"] == title


@pytest.mark.parametrize("engine", ["elasticsearch", "opensearch"])
def test_the_query_looks_for_what_the_mapping_has(tmp_path: Path, engine: str):
    items = shop(3)
    settings = ExportSettings(engine=engine)
    done = export(items, SEARCH, settings, tmp_path / "out")
    made, body = json.loads(done.mapping.read_text()), json.loads(done.query.read_text())
    properties = made["mappings"]["properties"]
    assert properties["tokens"]["analyzer"] in made["settings"]["analysis"]["analyzer"]
    assert properties["embedding"].get("dims", properties["embedding"].get("dimension")) == 16
    tokens, title = (clause["match"] for clause in body["query"]["bool"]["should"])
    asked = tokens["tokens"]["query"].split()
    assert set(asked) <= set(SEARCH.encoding.words(items.vectors[:1])[0])
    assert len({word.split("P")[0].split("I")[0].split("J")[0] for word in asked}) == 3
    assert title["title"]["query"] == "product number 0"
    script = body["rescore"]["query"]["rescore_query"]["script_score"]["script"]
    vector = script["params"]["vector" if engine == "elasticsearch" else "query_value"]
    np.testing.assert_allclose(vector, items.vectors[0], rtol=1e-6)
    assert body["rescore"]["window_size"] >= SEARCH.candidates


def test_a_query_by_title_alone_needs_no_vector():
    search = FullTextSettings(by="title", rank="engine")
    body = query(np.zeros(4), "boots", search, ExportSettings())
    assert body["query"]["bool"]["should"] == [{"match": {"title": {"query": "boots", "boost": 1.0}}}]
    assert "rescore" not in body


def test_a_query_stays_within_the_engines_limits():
    search = FullTextSettings(by="title", candidates=20_000)
    body = query(np.ones(4), " ".join(f"w{i}" for i in range(300)), search, ExportSettings(), size=10_000)
    assert body["rescore"]["window_size"] == 10_000
    words = body["query"]["bool"]["should"][0]["match"]["title"]["query"].split()
    assert words == [f"w{i}" for i in range(64)]
    with pytest.raises(ValueError, match="10,000"):
        query(np.ones(4), "boots", search, ExportSettings(), size=10_001)
    for by, vector in (("title", np.ones(4)), ("tokens", np.zeros(4)), ("tokens_and_title", np.zeros(4))):
        nothing = query(vector, " ", FullTextSettings(by=by), ExportSettings())
        assert nothing == {"size": 100, "query": {"match_none": {}}}


def test_the_engines_limits_are_said_beforehand(tmp_path: Path):
    items = Items.of(["", "é" * 257, "fine"], np.ones((3, 5000), np.float32))
    with pytest.raises(InputError) as error:
        export(items, SEARCH, ExportSettings(index="My Index"), tmp_path / "out")
    text = str(error.value)
    assert "My Index" in text and "4,096 dimensions" in text and text.count("512 bytes") == 2
    assert not (tmp_path / "out").exists()
