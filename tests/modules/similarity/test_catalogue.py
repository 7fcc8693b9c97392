"""Indexes opened together: which of them, restrictions, and what is looked up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modules.errors import InputError
from modules.similarity.card import ProductCard
from modules.similarity.catalogue import Catalogue, SimilarityQuery
from modules.similarity.exact import ExactIndex, ExactSettings
from modules.similarity.full_text.engine import FullTextIndex, FullTextSettings
from modules.similarity.items import Embedding, Items, below
from modules.similarity.protocol import Index
from modules.similarity.scann_index.index import ScannIndex
from modules.similarity.scann_index.settings import ScannSettings
from modules.taxonomy import Taxonomy
from tests.modules.similarity.shops import shop

TREE = Taxonomy.from_paths(["Shoes > Boots", "Shoes > Sandals", "Bags > Totes"])


def test_folders_that_are_called_by_numbers_are_versions_and_no_methods(tmp_path: Path) -> None:
    for name in ("1", "2", ".3.part", "joint", "text"):
        ExactIndex.build(shop(20), ExactSettings()).save(tmp_path / name)
    assert Catalogue.open(tmp_path).methods == ("joint", "text")
    assert Catalogue.open(tmp_path / "2").methods == ("joint",)


def test_what_is_below_a_category_is_looked_up_once() -> None:
    catalogue = Catalogue({"joint": ExactIndex.build(shop(20), ExactSettings())}, TREE)
    one = catalogue.restriction(["Shoes"]).categories
    assert one == below(TREE, ["Shoes"]) and catalogue.restriction(["Shoes"]).categories is one
    some = ["Shoes > Boots", "Bags", "Bags > Totes"]
    assert catalogue.restriction(some).categories == below(TREE, some)
    with pytest.raises(InputError, match="Boots"):
        catalogue.restriction(["Shoes", "Shoes > Boot"])


def test_ids_are_sorted_only_for_the_indexes_that_are_looked_into() -> None:
    columns = {"joint": "embedding", "image": "embedding_image", "text": "embedding_text"}
    made = {
        name: ExactIndex.build(replace(shop(20), embedding=Embedding("m", column)), ExactSettings())
        for name, column in columns.items()
    }
    catalogue = Catalogue(made, TREE)
    assert catalogue.asked("p7", "text").vector is not None
    assert set(catalogue._row_of_id) == {"joint", "text"}
    catalogue.prepare()
    assert set(catalogue._row_of_id) == set(columns)


EMPTY: dict[str, Callable[[Items], Index]] = {
    "exact": lambda items: ExactIndex.build(items, ExactSettings()),
    "scann": lambda items: ScannIndex.build(items, ScannSettings()),
    "title": lambda items: FullTextIndex.build(items, FullTextSettings(by="title", rank="engine")),
}


@pytest.mark.parametrize("kind", EMPTY)
def test_an_index_without_products_answers_with_none(kind: str, tmp_path: Path) -> None:
    EMPTY[kind](shop(0)).save(tmp_path / "joint")
    catalogue = Catalogue.open(tmp_path, TREE)
    asked = SimilarityQuery(shop(1).vectors[0], "product")
    within = catalogue.restriction(["Shoes"])
    assert catalogue.search("joint", [asked, asked], 3) == catalogue.search("joint", [asked] * 2, 3, within) == [[], []]
    assert catalogue.product("p0") is None and catalogue.titled("product", 5) == [] and catalogue.retailers == []


def test_only_what_was_found_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = Catalogue({"joint": ExactIndex.build(shop(20), ExactSettings())}, TREE)
    looked: list[list[int]] = []
    shown = Catalogue._cards

    def spy(self: Catalogue, by: str, rows: np.ndarray) -> list[ProductCard]:
        looked.append(rows.tolist())
        return shown(self, by, rows)

    monkeypatch.setattr(Catalogue, "_cards", spy)
    within = catalogue.restriction(price_from=1e6)
    assert catalogue.search("joint", [SimilarityQuery(shop(1).vectors[0])], 3, within) == [[]] and looked == [[]]
