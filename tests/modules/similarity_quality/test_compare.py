"""Embeddings beside each other: which products, which labels, which page."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from modules.errors import InputError
from modules.reporting.similarity import render_similarity
from modules.similarity.changes import unit
from modules.similarity_quality.compare import ReferenceLabels, compare, questions
from modules.similarity_quality.embeddings import Embedded
from modules.similarity_quality.proxies import linked, same_cluster, same_leaf
from modules.similarity_quality.triplets import Ranked
from tests.modules.reporting.pages import assert_harmless
from tests.modules.reporting.sample import HOSTILE

COUNT = 120


def embedded(name: str, noise: float, seed: int, rows: np.ndarray | None = None, zero: int | None = None) -> Embedded:
    """Six leaves of ten clusters of two; the more noise, the worse."""
    rng = np.random.default_rng(7)
    leaves, clusters = rng.normal(size=(6, 8)), 0.7 * rng.normal(size=(60, 8))
    x = leaves[np.arange(COUNT) // 20] + clusters[np.arange(COUNT) // 2]
    x = unit(x + noise * np.random.default_rng(seed).normal(size=x.shape))
    if zero is not None:
        x[zero] = 0
    rows = np.arange(COUNT) if rows is None else rows
    return Embedded(name, f"{name}.npy", pa.array([f"p{i}" for i in rows]), x[rows])


def labels(links: dict[int, str] | None = None) -> ReferenceLabels:
    """Of all products but p5, in another order, with one that nobody embedded."""
    rows = [i for i in np.random.default_rng(3).permutation(COUNT).tolist() if i != 5]
    ids = [*(f"p{i}" for i in rows), "unknown"]
    linked_to = [(links or {}).get(i) for i in rows]
    return ReferenceLabels(
        pa.array(ids),
        pa.array([*(f"leaf {i // 20}" for i in rows), "leaf 0"]),
        pa.array([*(f"cluster {i // 2}" if i < 100 else None for i in rows), None], pa.string()),
        pa.array([*linked_to, None], pa.string()),
    )


def test_measures_all_on_the_products_that_all_have():
    order = np.random.default_rng(1).permutation(110)
    good, bad = embedded("good", 0.1, 1, zero=8), embedded("bad", 2.0, 2, order)
    found = compare([good, bad], labels())
    kept = [i for i in range(110) if i != 8]
    assert found.products == [COUNT, 110]
    assert all(one.ids.to_pylist() == [f"p{i}" for i in kept] for one in found.embedded)
    leaves = np.array([i // 20 if i != 5 else -1 for i in kept])
    clusters = np.array([i // 2 if i < 100 and i != 5 else -1 for i in kept])
    for measured, way, codes in zip(found.measured, (same_leaf, same_cluster), (leaves, clusters), strict=True):
        for one, proxy in zip(found.embedded, measured.proxies, strict=True):
            assert proxy.queries == way(one.vectors, codes).queries
            for name, figure in way(one.vectors, codes).figures.items():
                assert proxy.figures[name].value == pytest.approx(figure.value)
        first, second = measured.proxies
        for name, less in measured.differences[1].items():
            assert less.value == pytest.approx(second.figures[name].value - first.figures[name].value)
            assert less.upper < 0 or name == "at 100"
        assert all(less.value == 0 for less in measured.differences[0].values())


def test_photos_are_looked_for_among_what_is_no_photo():
    one = embedded("one", 0.3, 1)
    links = {i: f"p{i - 1}" for i in range(1, 101, 10)} | {111: "nobody", 115: "p1"}
    found = compare([one], labels(links))
    photo = next(m for m in found.measured if m.title == "photo to product").proxies[0]
    rows = [i for i in range(COUNT) if i not in links]
    asked = sorted(i for i in links if i < 110)
    truth = np.array([rows.index(i - 1) for i in asked])
    expected = linked(one.vectors[asked], one.vectors[rows], truth)
    assert (photo.queries, photo.products) == (len(asked), len(rows))
    assert photo.figures["recall at 1"].value == pytest.approx(expected.figures["recall at 1"].value)
    leaf = next(m for m in found.measured if m.title == "same leaf").proxies[0]
    assert leaf.products == COUNT - 1 - len(links)


def test_a_document_of_all_figures():
    triplets = [Ranked(f"p{i}", f"p{i + 1}", "p119") for i in range(0, 100, 2)] + [Ranked("p0", "p1", "nobody")]
    found = compare([embedded("good", 0.1, 1), embedded("bad", 3.0, 2)], labels(), triplets, top=5)
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    assert [one["name"] for one in document["embeddings"]] == ["good", "bad"] and document["products"] == COUNT
    assert document["triplets"]["good"]["precision"]["value"] == 1.0
    assert document["triplets"]["good"]["unknown"] == 1 and document["triplets"]["good"]["triplets"] == 50
    leaf = document["proxies"][0]["figures"]
    assert leaf["good"]["at 10"]["value"] > leaf["bad"]["at 10"]["value"]
    assert leaf["bad"]["at 10"]["difference"]["upper"] < 0


def test_the_page_shows_every_figure_and_nothing_hostile():
    names = ["good", HOSTILE[0]]
    triplets = [Ranked(f"p{i}", f"p{i + 1}", "p119") for i in range(0, 100, 2)]
    found = compare([embedded(names[0], 0.1, 1), embedded(names[1], 3.0, 2)], labels({1: "p0"}), triplets)
    page = assert_harmless(render_similarity(found, "Neighbours", ["a fact"]))
    for text in (*names, "Same leaf", "Same cluster", "Photo to product", "R-precision", "MAP", "a fact"):
        assert " ".join(text.split()) in page.text
    for measured in found.measured:
        for proxy in measured.proxies:
            for figure in proxy.figures.values():
                assert f"{figure.value:.3f} ({figure.lower:.3f}-{figure.upper:.3f})" in page.text
    assert f"{found.triplets[1].precision.value:.3f}" in page.text
    alone = compare([embedded("one", 0.1, 1)])
    assert "Nothing to measure on" in assert_harmless(render_similarity(alone, "Neighbours")).text


def test_questions_come_from_what_the_embeddings_propose():
    found = compare([embedded("good", 0.1, 1), embedded("bad", 3.0, 2)])
    drawn = questions(found, 40, seed=1)
    assert len(drawn) == 40 and drawn == questions(found, 40, seed=1)
    assert {method for one in drawn for method in one.methods} <= {"good", "bad", "random"}


def test_what_cannot_be_compared():
    with pytest.raises(InputError, match="names that differ"):
        compare([embedded("one", 0.1, 1), embedded("one", 0.2, 1)])
    other = Embedded("other", "", pa.array(["x"]), np.ones((1, 3), np.float32))
    with pytest.raises(InputError, match="have all the embeddings: one, other"):
        compare([embedded("one", 0.1, 1), other])
