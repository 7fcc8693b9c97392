"""Full-text search against a BM25 and a cosine of our own; restricted, changed, saved and loaded."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from modules.errors import InputError
from modules.similarity.full_text.encoding import Encoding
from modules.similarity.full_text.engine import FullTextIndex, FullTextSettings
from modules.similarity.items import Embedding, Items, Restriction
from modules.similarity.protocol import Index, Queries
from tests.modules.similarity.shops import clustered, oracle, shop

WORDS = ["red", "Boot", "größe", "32GB", "levi's", "shoe", "日本", "x", "chelsea-boot", "apple"]
COARSE = Encoding(decimals=(0,), intervals=(2.0,), trim=0.0)
"""Every two vectors share a token, so that the second phase sees every product."""


def titled(count: int, seed: int = 1) -> Items:
    rng = np.random.default_rng(seed)
    titles = [" ".join(rng.choice(WORDS, rng.integers(0, 8))) or None for _ in range(count)]
    return Items.of([f"p{i}" for i in range(count)], clustered(count, 8, seed), titles=titles)


def bm25(documents: list[list[str]], query: list[str]) -> np.ndarray:
    """Robertson's formula as Lucene has it: k1 1.2, b 0.75, of document lengths below 40 words."""
    n, mean = len(documents), sum(map(len, documents)) / len(documents)
    scores = np.zeros(n)
    for word in dict.fromkeys(query):
        having = sum(word in document for document in documents)
        if not having:
            continue
        idf = math.log(1 + (n - having + 0.5) / (having + 0.5))
        for i, document in enumerate(documents):
            tf = Counter(document)[word]
            scores[i] += idf * 2.2 * tf / (tf + 1.2 * (0.25 + 0.75 * len(document) / mean))
    return scores


def split(title: str | None) -> list[str]:
    folded = (title or "").lower().replace("ö", "o").replace("ß", "ss")
    return "".join(c if c.isalnum() else " " for c in folded).split()


def test_titles_are_ranked_by_bm25():
    items = titled(300)
    index = FullTextIndex.build(items, FullTextSettings(by="title", rank="engine"))
    assert isinstance(index, Index)
    asked = ["RED boot", "Größe, LEVI'S!", "日本 apple apple", "nothing of it"]
    found = index.search(Queries(titles=asked), 300)
    documents = [split(title) for title in items.table.column("title").to_pylist()]
    for i, title in enumerate(asked):
        expected = bm25(documents, split(title))
        assert (found.rows[i] >= 0).sum() == (expected > 0).sum()
        rows = found.rows[i][found.rows[i] >= 0]
        np.testing.assert_allclose(found.scores[i][: len(rows)], expected[rows], rtol=1e-5)
        np.testing.assert_allclose(np.sort(expected)[::-1][: len(rows)], expected[rows], rtol=1e-5)
    assert (found.rows[3] == -1).all() and np.isneginf(found.scores[3]).all()


def test_tokens_are_ranked_by_bm25():
    items = titled(200)
    encoding = Encoding(decimals=(1, 2), intervals=(0.3,), trim=0.1, best=6)
    index = FullTextIndex.build(items, FullTextSettings(encoding=encoding, rank="engine", query_best=3))
    asked = clustered(5, 8, 99)
    found = index.search(Queries(asked), 200)
    documents = encoding.words(items.vectors)
    for i, words in enumerate(encoding.model_copy(update={"best": 3}).words(asked)):
        expected = bm25(documents, words)
        rows = found.rows[i][found.rows[i] >= 0]
        assert len(rows) == (expected > 0).sum() > 0
        np.testing.assert_allclose(found.scores[i][: len(rows)], expected[rows], rtol=1e-5)


def test_tokens_and_title_add_up():
    items = titled(200)
    settings = FullTextSettings(
        by="tokens_and_title", encoding=Encoding(best=4), query_best=None, rank="engine", title_weight=2.5
    )
    index = FullTextIndex.build(items, settings)
    asked, title = clustered(1, 8, 5), "red chelsea shoe"
    found = index.search(Queries(asked, [title]), 200)
    scores = bm25(settings.encoding.words(items.vectors), settings.encoding.words(asked)[0])
    documents = [split(text) for text in items.table.column("title").to_pylist()]
    expected = scores + 2.5 * bm25(documents, split(title))
    rows = found.rows[0][found.rows[0] >= 0]
    np.testing.assert_allclose(found.scores[0][: len(rows)], expected[rows], rtol=1e-4)


@pytest.mark.parametrize("restriction", [
    None,
    Restriction(categories=frozenset({1, 4, 7})),
    Restriction(retailers=frozenset({"shop 1", "nobody"}), price_from=10.0),
    Restriction(price_to=25.0, availability=frozenset({"sold out"})),
    Restriction(categories=frozenset()),
])  # fmt: skip
@pytest.mark.parametrize("candidates", [1, 3000])
def test_the_second_phase_orders_by_cosine(restriction, candidates):
    """With candidates for all, and with few, where what is restricted is compared or found by the engine."""
    items = shop(3000)
    index = FullTextIndex.build(items, FullTextSettings(encoding=COARSE, query_best=None, candidates=candidates))
    asked = clustered(4, 16, 3)
    mask = np.ones(3000, bool) if restriction is None else restriction.mask(items.table)
    rows, scores = oracle(asked, items.vectors, 40, mask)
    for within in (restriction, mask):
        found = index.search(Queries(asked), 40, within)
        if candidates == 3000 or not mask.any():
            np.testing.assert_array_equal(found.rows, rows)
            np.testing.assert_allclose(found.scores, scores, atol=1e-6)
        inside = found.rows[found.rows >= 0]
        assert len(inside) == 4 * min(40, mask.sum())
        assert mask[inside].all()


@pytest.mark.parametrize("count", [50, 5000])
def test_a_mask_finds_as_much_as_it_lets_through(count):
    """Few rows are part of the query; of many, more hits are asked for until there are enough."""
    items = shop(6000)
    index = FullTextIndex.build(items, FullTextSettings(by="title", rank="engine"))
    mask = np.zeros(6000, bool)
    mask[6000 - count :] = True
    found = index.search(Queries(titles=["product number"]), 70, mask)
    assert (found.rows[0] >= 0).sum() == min(70, count)
    assert mask[found.rows[0][: min(70, count)]].all()
    assert (found.rows[0][: min(70, count)] == np.arange(6000 - count, 6000)[:70]).all()


def test_products_come_and_go_and_survive_saving(tmp_path: Path):
    items, more = shop(300), shop(60, seed=5, first=280)
    index = FullTextIndex.build(items, FullTextSettings(encoding=COARSE, query_best=None))
    index.add(more)
    assert index.remove(["p3", "p300", "p3", "nobody"]) == 2
    assert len(index) == 338
    alive = np.ones(360, bool)
    alive[[*range(280, 300), 3, 320]] = False
    asked = clustered(20, 16, 9)
    index.save(tmp_path / "index")
    before = {f: f.read_bytes() for f in (tmp_path / "index").rglob("*") if f.is_file()}
    loaded = FullTextIndex.load(tmp_path / "index", Embedding("m"))
    assert loaded.settings == index.settings
    everything = np.concatenate([items.vectors, more.vectors])
    few = np.zeros(360, bool)
    few[:20] = True
    for one in (index, loaded):
        for mask in (None, few):
            rows, scores = oracle(asked, everything, 30, alive if mask is None else alive & mask)
            found = one.search(Queries(asked), 30, mask)
            np.testing.assert_array_equal(found.rows, rows)
            np.testing.assert_allclose(found.scores, scores, atol=1e-6)
        assert len(one) == 338
    # The loaded one goes on, and what lies on the disk stays as it was.
    assert loaded.remove([f"p{i}" for i in range(100, 200)]) == 100
    loaded.add(shop(10, seed=8, first=1000))
    assert len(loaded) == 248 and len(FullTextIndex.load(tmp_path / "index")) == 338
    assert before == {f: f.read_bytes() for f in (tmp_path / "index").rglob("*") if f.is_file()}
    loaded.save(tmp_path / "second")
    again = FullTextIndex.load(tmp_path / "second")
    assert len(again) == 248
    np.testing.assert_array_equal(again.search(Queries(asked), 30).rows, loaded.search(Queries(asked), 30).rows)


def test_the_same_products_give_the_same_answers():
    items = titled(500)
    settings = FullTextSettings(candidates=20, threads=2)
    asked = Queries(clustered(30, 8, 77))
    found = [FullTextIndex.build(items, settings).search(asked, 10) for _ in range(2)]
    np.testing.assert_array_equal(found[0].rows, found[1].rows)
    one = FullTextIndex.build(items, settings.model_copy(update={"threads": 1})).search(asked, 10)
    np.testing.assert_array_equal(found[0].rows, one.rows)


def test_hostile_queries_and_products():
    vectors = np.zeros((3, 8), np.float32)
    vectors[0, 0] = 1
    items = Items.of(["a", "b", "c"], vectors, titles=["\x00 ☃ " + "w" * 100_000, "title:* AND (", "a" * 50 + " boot"])
    index = FullTextIndex.build(items, FullTextSettings(by="tokens_and_title"))
    asked = np.zeros((4, 8), np.float32)
    asked[2, 0] = 1
    titles = ["", "(\"'*:^~ OR NOT AND [1 TO 2] \\", " ".join(f"w{i}" for i in range(100_000)), "BOOT"]
    found = index.search(Queries(asked, titles), 5)
    assert found.rows[:, 0].tolist() == [-1, 1, 0, 2]
    assert (found.rows[:, 1:] == -1).all()
    assert index.search(Queries(asked[:1], ["\ud800 BOOT"]), 5).rows[0, 0] == 2
    empty = FullTextIndex.build(items.take(np.zeros(0, np.int64)), FullTextSettings())
    assert (empty.search(Queries(asked), 5).rows == -1).all()
    empty.add(items)
    assert empty.search(Queries(asked), 1).rows[2, 0] == 0


def test_what_cannot_be_used_is_said(tmp_path: Path):
    index = FullTextIndex.build(titled(20), FullTextSettings(by="tokens_and_title"))
    with pytest.raises(ValueError, match="queries with titles"):
        index.search(Queries(clustered(1, 8, 0)), 1)
    with pytest.raises(ValueError, match="queries with vectors"):
        index.search(Queries(titles=["a"]), 1)
    with pytest.raises(ValueError, match="1 titles"):
        index.search(Queries(clustered(1, 8, 0), ["a", "b"]), 1)
    with pytest.raises(ValueError, match=r"\(q, 8\)"):
        index.search(Queries(clustered(1, 4, 0), ["a"]), 1)
    with pytest.raises(ValueError, match="k of at least 1"):
        FullTextIndex.build(titled(2), FullTextSettings(by="title", rank="engine")).search(Queries(titles=["a"]), 0)
    with pytest.raises(ValidationError, match="query_best"):
        FullTextSettings(encoding=Encoding(best=10), query_best=20)
    index.save(tmp_path / "index")
    with pytest.raises(InputError, match="cannot be compared|another"):
        FullTextIndex.load(tmp_path / "index", Embedding("other"))
    (file,) = (tmp_path / "index" / "engine").glob("*.idx")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        FullTextIndex.load(tmp_path / "index")
