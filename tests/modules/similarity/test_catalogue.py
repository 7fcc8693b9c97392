"""Indexes opened together: which of them, restrictions, and what is looked up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from modules.errors import InputError
from modules.similarity.catalogue import Catalogue
from modules.similarity.exact import ExactIndex, ExactSettings
from modules.similarity.items import Embedding, below
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
    assert set(catalogue._places) == {"joint", "text"}
    catalogue.prepare()
    assert set(catalogue._places) == set(columns)
