"""An older system's output: every way of writing several categories, and what is none of the taxonomy's."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.errors import InputError
from modules.labels.assignments import assigned, read_assignments
from modules.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_paths(["Shoes > Boots", "Hats, Caps & Gloves > Caps", "Bags"])
BOOTS, CAPS, BAGS = (TAXONOMY.find(text).id for text in ("Shoes > Boots", "Hats, Caps & Gloves > Caps", "Bags"))
PATHS = {BOOTS: "Shoes > Boots", CAPS: "Hats, Caps & Gloves > Caps", BAGS: "Bags"}


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("Shoes > Boots", (BOOTS,)),
        ("Shoes>Boots", (BOOTS,)),
        (BOOTS, (BOOTS,)),
        ("Hats, Caps & Gloves > Caps", (CAPS,)),
        ("Shoes > Boots | Bags", (BOOTS, BAGS)),
        ("Shoes > Boots;Bags; Bags", (BOOTS, BAGS)),
        ("Shoes > Boots, Bags", (BOOTS, BAGS)),
        (["Shoes > Boots", "Bags"], (BOOTS, BAGS)),
        (["Shoes", "Boots"], (BOOTS,)),
        ([["Shoes", "Boots"], ["Bags"]], (BOOTS, BAGS)),
        ('["Shoes > Boots", "Bags"]', (BOOTS, BAGS)),
        ("", ()),
        (None, ()),
        ([], ()),
    ],
)
def test_ways_to_write_categories(value, ids):
    assert assigned(value, TAXONOMY) == (ids, "")


@given(st.lists(st.sampled_from([BOOTS, CAPS, BAGS]), min_size=1, unique=True), st.sampled_from("|;\n"))
def test_several_in_one_text_come_back_in_order(ids, mark):
    assert assigned(mark.join(PATHS[i] for i in ids), TAXONOMY) == (tuple(ids), "")


@pytest.mark.parametrize("value", ["Boats", 7, {"a": 1}, ["Shoes > Boots", "Boats"], "Bags|Boats"])
def test_what_is_unknown_is_named(value):
    assert assigned(value, TAXONOMY)[1] in ("Boats", "7", "{'a': 1}")


def test_files(tmp_path):
    table, lines = tmp_path / "old.csv", tmp_path / "old.jsonl"
    table.write_text("product_id;category\n 1 ;Shoes > Boots\n1;Bags\n2;Hats, Caps & Gloves > Caps|Bags\n3;\n")
    rows = [(1, "Shoes > Boots"), (1, "Bags"), (2.0, ["Hats, Caps & Gloves > Caps", "Bags"]), ("3", None)]
    lines.write_text("".join(json.dumps({"product_id": p, "category": c}) + "\n" for p, c in rows))
    for file in (table, lines):
        assert read_assignments(str(file), TAXONOMY) == {"1": (BOOTS, BAGS), "2": (CAPS, BAGS)}
    table.write_text("product_id,category\n1,Shoes > Boot\n")
    with pytest.raises(InputError, match="old.csv:2.*did you mean 'Shoes > Boots'"):
        read_assignments(str(table), TAXONOMY)
    with pytest.raises(InputError, match="cannot be read"):
        read_assignments(str(tmp_path / "none.csv"), TAXONOMY)
