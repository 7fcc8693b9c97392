"""What became of each category, by hand-made trees, and the mapping file that says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.errors import InputError
from modules.taxonomy import Category, Taxonomy
from modules.taxonomy.category import default_id
from modules.taxonomy.changes import Comparison, compare
from modules.taxonomy.mapping import Moves, read_mapping, write_mapping
from modules.taxonomy.reading import assemble

OLD = ("Shoes > Boots", "Shoes > Sandals", "Bags > Wallets", "Bags > Totes")


def tree(*paths: str) -> Taxonomy:
    return Taxonomy.from_paths(paths)


def named(rows: dict[str, tuple[str, bool]]) -> Taxonomy:
    """Path to id and whether it is exclusive."""
    return Taxonomy(assemble([{"path": tuple(p.split(" > ")), "id": i, "exclusive": e} for p, (i, e) in rows.items()]))


def changes(old: Taxonomy, new: Taxonomy) -> dict[str, tuple[str, str, list[str]]]:
    """Of each changed category of the old tree: kind, state, new paths."""
    return {
        change.old.text: (change.kind, change.state, [category.text for category in change.new])
        for change in compare(old, new).changes
        if change.old is not None
    }


def declared(tmp_path: Path, old: Taxonomy, new: Taxonomy, lines: str) -> Moves:
    file = tmp_path / "mapping.yaml"
    file.write_text(f"changes:\n{lines}\n", "utf-8")
    return read_mapping(file, compare(old, new), old, new)


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ((*OLD, "Toys"), {}),
        (
            ("Shoes > BOOTS", *OLD[1:]),
            {"Shoes > Boots": ("renamed", "certain", ["Shoes > BOOTS"])},
        ),
        (
            ("Footwear > Boots", "Footwear > Sandals", *OLD[2:]),
            {
                "Shoes": ("renamed", "guess", ["Footwear"]),
                "Shoes > Boots": ("moved", "guess", ["Footwear > Boots"]),
                "Shoes > Sandals": ("moved", "guess", ["Footwear > Sandals"]),
            },
        ),
        (
            (*OLD[:3], "Shoes > Totes"),
            {"Bags > Totes": ("moved", "guess", ["Shoes > Totes"])},
        ),
        (
            (*OLD[:3], "Bags > Tote bags"),
            {"Bags > Totes": ("merged", "guess", ["Bags > Tote bags"])},
        ),
        (
            ("Shoes > Work boots", "Shoes > Riding boots", *OLD[1:]),
            {"Shoes > Boots": ("split", "guess", ["Shoes > Riding boots", "Shoes > Work boots"])},
        ),
        (
            ("Shoes > Boots and sandals", *OLD[2:]),
            {
                "Shoes > Boots": ("merged", "guess", ["Shoes > Boots and sandals"]),
                "Shoes > Sandals": ("merged", "guess", ["Shoes > Boots and sandals"]),
            },
        ),
        (OLD[:3], {"Bags > Totes": ("gone", "open", [])}),
        (
            (*OLD, "Bags > Totes > Small", "Bags > Totes > Large"),
            {"Bags > Totes": ("not exclusive", "certain", ["Bags > Totes"])},
        ),
    ],
    ids=["added", "case", "renamed parent", "moved", "longer name", "split", "merged", "dropped", "more exact"],
)  # fmt: skip
def test_every_kind_of_change(new: tuple[str, ...], expected: dict[str, tuple[str, str, list[str]]]) -> None:
    assert changes(tree(*OLD), tree(*new)) == expected


def test_ids_say_more_than_paths() -> None:
    old = named({"Shoes": ("1", False), "Shoes > Boots": ("2", True), "Shoes > Sandals": ("3", True)})
    new = named({"Shoes": ("1", False), "Shoes > Sandals": ("2", True), "Shoes > Boots": ("3", True)})
    assert changes(old, new) == {
        "Shoes > Boots": ("renamed", "certain", ["Shoes > Sandals"]),
        "Shoes > Sandals": ("renamed", "certain", ["Shoes > Boots"]),
    }


def test_an_id_that_another_path_gives_is_no_match(tmp_path: Path) -> None:
    old, middle = tree("Shoes > Boots"), tree("Footwear > Boots", "Shoes > Polish")
    lines = "- {old: Shoes, new: [Footwear]}\n- {old: Shoes > Boots, new: [Footwear > Boots]}"
    moves = declared(tmp_path, old, middle, lines)
    shoes = default_id(["Shoes"])
    assert moves.new.find("Footwear").id == shoes
    assert moves.new.find("Shoes").id == f"{shoes}-2"
    # The shop sends its tree again, which knows nothing of the ids that were kept.
    assert compare(moves.new, middle).changes == ()


def test_a_given_id_is_taken_over(tmp_path: Path) -> None:
    old, new = tree("Boots"), named({"Boots": ("4711", True)})
    moves = declared(tmp_path, old, new, "")
    assert moves.targets == {default_id(["Boots"]): ("4711",)}


def test_the_mapping_is_read_as_it_was_written(tmp_path: Path) -> None:
    old, new = tree(*OLD), tree("Shoes > Work boots", "Shoes > Riding boots", "Shoes > Sandal", "Bags > Totes")
    comparison = compare(old, new)
    file = tmp_path / "mapping.yaml"
    write_mapping(comparison, file)
    with pytest.raises(InputError) as raised:
        read_mapping(file, comparison, old, new)
    assert [(p.value, p.expected) for p in raised.value.problems] == [("Bags > Wallets", "this change is open")]
    file.write_text(file.read_text("utf-8").replace('"?"', "[]"), "utf-8")
    moves = read_mapping(file, comparison, old, new)
    texts = {
        old[source].text: {moves.new[target].text for target in targets} for source, targets in moves.targets.items()
    }
    assert texts == {
        "Bags": {"Bags"}, "Bags > Totes": {"Bags > Totes"}, "Bags > Wallets": set(), "Shoes": {"Shoes"},
        "Shoes > Boots": {"Shoes > Work boots", "Shoes > Riding boots"}, "Shoes > Sandals": {"Shoes > Sandal"},
    }  # fmt: skip
    assert moves.new.find("Shoes > Sandal").id == old.find("Shoes > Sandals").id
    assert Moves.from_json(moves.to_json()) == moves


@pytest.mark.parametrize(
    ("lines", "line", "expected"),
    [
        ("- {old: Bags, new: [Purses]}", 2, "not in the new taxonomy"),
        ("- {old: Purses, new: [Bags]}", 2, "not in the old taxonomy"),
        ("- {old: Bags, new: []}\n- {old: Bags, new: []}", 3, "given twice"),
        ("- {old: Bags}", 2, "expected '{old: CATEGORY, new: [CATEGORY, ...]}'"),
        ("- {old: Bags, new: {a: 1}}", 2, "expected a category's path or id"),
        ("- {old: Bags, new: null}", 2, "expected a list of categories, [] for none"),
        ("- {old: Bags, new: [], why: because}", 2, "unknown key"),
    ],
)
def test_mistakes_in_the_mapping(tmp_path: Path, lines: str, line: int, expected: str) -> None:
    with pytest.raises(InputError) as raised:
        declared(tmp_path, tree("Bags"), tree("Bags"), lines)
    assert (raised.value.problems[0].line, raised.value.problems[0].expected) == (line, expected)


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp", "Co", "Cn")), min_size=1, max_size=8)
PATHS = st.lists(st.lists(NAMES.map(lambda n: " ".join(n.split())).filter(bool), min_size=1, max_size=3), min_size=1)


def built(paths: list[list[str]]) -> Taxonomy | None:
    try:
        return Taxonomy.from_paths([tuple(path) for path in paths])
    except InputError:
        return None


@given(PATHS)
def test_a_tree_is_the_same_as_itself(paths: list[list[str]]) -> None:
    taxonomy = built(paths)
    if taxonomy is not None:
        comparison = compare(taxonomy, taxonomy)
        assert comparison == Comparison((), {category.id: category.id for category in taxonomy})
        moves = read_mapping(None, comparison, taxonomy, taxonomy)
        assert moves.new == taxonomy
        assert all(moves.unchanged(category.id) for category in taxonomy)


@given(PATHS, PATHS)
def test_any_mapping_names_every_change_once(
    tmp_path_factory: pytest.TempPathFactory, first: list[list[str]], second: list[list[str]]
) -> None:
    old, new = built(first), built(second)
    if old is None or new is None:
        return
    comparison = compare(old, new)
    olds = [*comparison.same, *(change.old.id for change in comparison.changes if change.old is not None)]
    assert sorted(olds) == sorted(category.id for category in old)
    file = tmp_path_factory.mktemp("mapping") / "mapping.yaml"
    write_mapping(comparison, file)
    file.write_text(file.read_text("utf-8").replace('new: "?"}  # open', "new: []}  # open"), "utf-8")
    moves = read_mapping(file, comparison, old, new)
    ids = [category.id for category in moves.new]
    assert len(set(ids)) == len(ids)
    assert [category.path for category in moves.new] == [category.path for category in new]
    wanted = {c.old.id: {n.path for n in c.new} for c in comparison.changes if c.old is not None}
    for category in old:
        paths = {_of(moves, target).path for target in moves.targets[category.id]}
        assert paths == wanted.get(
            category.id, {new[comparison.same[category.id]].path} if category.id in comparison.same else set()
        )


def _of(moves: Moves, target: str) -> Category:
    return moves.new[target]
