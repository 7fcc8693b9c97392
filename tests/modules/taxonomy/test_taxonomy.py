"""The tree: what it answers, and that every format reads back as it was written."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.errors import InputError
from modules.taxonomy import Category, Taxonomy, UnknownCategory
from modules.taxonomy.category import default_id

SHOP = """\
categories:
  - path: Shoes
  - path: Shoes > Boots
    id: shoes-boots
    exclusive: true
  - {id: x1, name: Chelsea, parent: shoes-boots, exclusive: yes}
  - path: [Toys, "A > B"]
    name: Building
  - path: Toys
  - path: Sale > Boots
  - path: Sale
"""


@pytest.fixture
def shop(tmp_path) -> Taxonomy:
    path = tmp_path / "taxonomy.yaml"
    path.write_text(SHOP)
    return Taxonomy.load(path)


def test_load_keeps_the_order_and_resolves_both_forms(shop):
    assert [category.path for category in shop] == [
        ("Shoes",),
        ("Shoes", "Boots"),
        ("Shoes", "Boots", "Chelsea"),
        ("Toys", "A > B"),
        ("Toys",),
        ("Sale", "Boots"),
        ("Sale",),
    ]
    assert [category.index for category in shop] == list(range(7))
    assert shop["x1"] == Category("x1", ("Shoes", "Boots", "Chelsea"), "Chelsea", True, "shoes-boots", 2)
    assert [category.name for category in shop][3] == "Building"
    assert [category.text for category in shop.exclusive] == ["Shoes > Boots", "Shoes > Boots > Chelsea"]


def test_questions_about_the_tree(shop):
    chelsea = shop["x1"]
    assert [c.text for c in shop.ancestors(chelsea)] == ["Shoes", "Shoes > Boots"]
    assert shop.ancestors(shop.find("Shoes")) == ()
    assert [c.text for c in shop.children("shoes-boots")] == ["Shoes > Boots > Chelsea"]
    assert [c.text for c in shop.children(None)] == ["Shoes", "Toys", "Sale"] == [c.text for c in shop.roots]
    assert [c.text for c in shop.descendants(shop.find("Shoes"))] == ["Shoes > Boots", "Shoes > Boots > Chelsea"]
    assert shop.top(chelsea).text == "Shoes"
    assert (shop.level(chelsea), shop.level(shop.find("Sale"))) == (3, 1)
    assert shop.path_text("x1") == "Shoes > Boots > Chelsea"
    assert {shop[i].text for i in shop.comparable} == {"Shoes", "Shoes > Boots", "Shoes > Boots > Chelsea"}


@pytest.mark.parametrize(
    "text", ["x1", "Shoes > Boots > Chelsea", " Shoes  > Boots > Chelsea ", ("Shoes", "Boots", "Chelsea")]
)
def test_find_takes_ids_and_paths(shop, text):
    assert shop.find(text).id == "x1"


def test_find_takes_names_that_hold_the_separator(shop):
    assert shop.find("Toys > A > B") is shop.find(["Toys", "A > B"])


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("Shoe > Boots", "Shoes > Boots"),
        ("chelsea", "Shoes > Boots > Chelsea"),
        (["Sale", "Bots"], "Sale > Boots"),
        ("shoes-bots", "Shoes > Boots"),
        ("qqqqqqqqqq", None),
        ("", None),
    ],
)
def test_an_unknown_category_carries_the_nearest(shop, text, nearest):
    with pytest.raises(UnknownCategory) as caught:
        shop.find(text)
    suggestion = caught.value.suggestion
    assert (suggestion and suggestion.text) == nearest
    assert nearest is None or f"did you mean {nearest!r}?" in str(caught.value)
    assert isinstance(caught.value, InputError)


name = st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp")), min_size=1, max_size=8).filter(
    lambda text: bool(text.split())
) | st.sampled_from(
    ["No", "null", "501", "a > b", ">", "> x", "x >", '["x"]', "[x]", "- a", "#", "'", "T-Shirts", "T Shirts"]
)
paths = st.lists(st.lists(name, min_size=1, max_size=4), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(paths=paths, exclusive=st.sampled_from(["leaves", "all", "given"]))
def test_every_format_reads_back_as_written(tmp_path_factory, paths, exclusive):
    try:
        taxonomy = Taxonomy.from_paths(paths, exclusive)
    except InputError as error:
        # ["a > b"] beside ["a", "b"]: refused, as no text could tell them apart.
        assert "read the same" in str(error) or "other category's path" in str(error)
        return
    folder = tmp_path_factory.mktemp("t")
    for suffix in ("yaml", "json", "jsonl", "csv"):
        file = folder / f"taxonomy.{suffix}"
        taxonomy.write(file)
        assert Taxonomy.load(file) == taxonomy, suffix
    assert Taxonomy.from_json(taxonomy.to_json()) == taxonomy
    for category in taxonomy:
        assert taxonomy.find(category.text) is category is taxonomy.find(category.path) is taxonomy.find(category.id)
        assert [c.path for c in taxonomy.ancestors(category)] == [category.path[:d] for d in range(1, category.level)]
        assert (category.parent is None) == (category.level == 1)


def test_from_paths_adds_ancestors_and_says_which_are_exclusive():
    given_paths = ["A > B > C", "A > B", "D"]
    everything = ["A", "A > B", "A > B > C", "D"]
    for exclusive, expected in {
        "leaves": ["A > B > C", "D"],
        "all": everything,
        "given": ["A > B", "A > B > C", "D"],
    }.items():
        taxonomy = Taxonomy.from_paths(given_paths, exclusive)
        assert [c.text for c in taxonomy] == everything
        assert [c.text for c in taxonomy.exclusive] == expected
    with pytest.raises(ValueError, match="leafs"):
        Taxonomy.from_paths(given_paths, "leafs")


def test_default_ids_depend_on_the_path_alone():
    alone = Taxonomy.from_paths(["Shoes > Boots"]).find("Shoes > Boots").id
    beside = Taxonomy.from_paths(["Hats", "Shoes > Boots", "Shoes > Clogs"]).find("Shoes > Boots").id
    # Written out: ids stand in label files and must never change between releases.
    assert alone == beside == "shoes-boots-0e2aa9dd74"
    ids = {default_id(path) for path in [("T-Shirts",), ("T Shirts",), ("T", "Shirts"), ("靴",), ("帽子",)]}
    assert len(ids) == 5
    assert all(i.isascii() for i in ids)
    assert len(default_id(("x" * 200,) * 5)) <= 60


def test_fingerprint_sees_every_change(tmp_path):
    def fingerprint(text: str) -> str:
        file = tmp_path / "t.yaml"
        file.write_text(text)
        return Taxonomy.load(file).fingerprint()

    base = "- path: A\n- path: B\n"
    assert fingerprint(base) == fingerprint("categories:\n  - path: A\n  - {path: B, exclusive: false}\n")
    changes = ["- path: B\n- path: A\n", base + "  exclusive: true\n", base + "  name: C\n", base + "  id: b\n"]
    assert len({fingerprint(text) for text in [base, *changes]}) == 5


def test_importing_needs_nothing_heavy():
    code = (
        "import sys, modules.taxonomy, modules.rules, modules.labels, modules.rules.suggest, modules.rules.report;"
        "heavy = {'tensorflow', 'tfx', 'apache_beam', 'pandas', 'numpy', 'yaml'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
