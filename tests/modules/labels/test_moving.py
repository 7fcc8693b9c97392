"""What answers say in a new taxonomy, beside all worlds in which they could have been given."""

from __future__ import annotations

from itertools import chain, combinations, product

from hypothesis import given
from hypothesis import strategies as st

from modules.labels.moving import Reading, Said, readings
from modules.taxonomy import Taxonomy
from modules.taxonomy.mapping import Moves
from modules.taxonomy.reading import assemble

OLD, NEW = ("a", "b", "c"), ("c", "x", "y")


def flat(ids: tuple[str, ...]) -> Taxonomy:
    return Taxonomy(assemble([{"path": (f"name of {i}",), "id": i, "exclusive": True} for i in ids]))


MOVES = st.fixed_dictionaries({old: st.sets(st.sampled_from(NEW)).map(sorted).map(tuple) for old in OLD}).map(
    lambda targets: Moves(flat(OLD), flat(NEW), targets)
)
ANSWERS = st.lists(
    st.builds(Said, st.sampled_from(("yes", "no", "skip", "retracted")), st.sampled_from(OLD)), max_size=5
)


def worlds(moves: Moves, single_label: bool) -> list[tuple[set[str], set[str]]]:
    """Every way in which a product can lie in the old and in the new categories."""
    everything = []
    members = [set(some) for n in range(len(OLD) + 1) for some in combinations(OLD, n)]
    for old in members:
        if single_label and len(old) > 1:
            continue
        choices = []
        for category in old:
            targets = moves.targets[category]
            sizes = range(1, 2 if single_label else len(targets) + 1)
            choices.append([set(some) for n in sizes for some in combinations(targets, n)] or [set()])
        everything += [(old, set(chain.from_iterable(chosen))) for chosen in product(*choices)]
    return everything


def entailed(moves: Moves, standing: dict[str, str], single_label: bool) -> tuple[set[str], set[str]]:
    """The new categories that a product is in, and is not in, in all worlds that the answers leave."""
    left = [
        new
        for old, new in worlds(moves, single_label)
        if all((category in old) == (value == "yes") for category, value in standing.items())
    ]
    sourced = {target for target in NEW if moves.sources[target]}
    return {t for t in sourced if all(t in new for new in left)}, {
        t for t in sourced if all(t not in new for new in left)
    }


def last(answers: list[Said]) -> dict[str, str]:
    """Category to its newest answer, where that is a yes or no."""
    return {c: v for c, v in {c: v for v, c in answers if c is not None}.items() if v in ("yes", "no")}


@given(MOVES, ANSWERS)
def test_several_categories_per_product(moves: Moves, answers: list[Said]) -> None:
    read = readings(answers, moves, single_label=False)
    now = last([said for reading in read for said in reading.said])
    yes, no = entailed(moves, last(answers), single_label=False)
    assert {category for category, value in now.items() if value == "yes"} == yes
    assert {category for category, value in now.items() if value == "no"} == no
    still_open = {c for c, v in last(answers).items() if v == "yes" and len(moves.targets[c]) > 1}
    assert {a.category for a, r in zip(answers, read, strict=True) if r.state == "open"} == still_open


@given(MOVES, ANSWERS)
def test_one_category_per_product(moves: Moves, answers: list[Said]) -> None:
    read = readings(answers, moves, single_label=True)
    assert len(read) == len(answers)
    for answer, reading in zip(answers, read, strict=True):
        (said,) = reading.said
        if answer.value not in ("yes", "no"):
            assert said.value == answer.value
            continue
        yes, no = entailed(moves, {str(answer.category): answer.value}, single_label=True)
        if said.value == "yes":
            assert yes == {said.category}
        elif said.value == "no":
            assert said.category in no
        else:
            # Withdrawn, so that an older answer does not stand again.
            assert said == Said("retracted", None)
            assert not (answer.value == "yes" and yes)
        assert (reading.state == "open") == (answer.value == "yes" and len(moves.targets[str(answer.category)]) > 1)


@given(ANSWERS, st.booleans())
def test_the_same_tree_changes_nothing(answers: list[Said], single_label: bool) -> None:
    moves = Moves(flat(OLD), flat(OLD), {old: (old,) for old in OLD})
    assert readings(answers, moves, single_label) == [Reading("same", (answer,)) for answer in answers]


@given(ANSWERS, st.booleans())
def test_other_ids_and_back(answers: list[Said], single_label: bool) -> None:
    other = tuple(f"new {old}" for old in OLD)
    there = Moves(flat(OLD), flat(other), {old: (new,) for old, new in zip(OLD, other, strict=True)})
    back = Moves(flat(other), flat(OLD), {new: (old,) for old, new in zip(OLD, other, strict=True)})
    moved = [said for reading in readings(answers, there, single_label) for said in reading.said]
    assert [said for reading in readings(moved, back, single_label) for said in reading.said] == answers


def test_a_category_that_is_no_answer_any_more_is_asked_about() -> None:
    old, new = Taxonomy.from_paths(["Boots", "Bags"]), Taxonomy.from_paths(["Boots > Work", "Boots > Riding", "Bags"])
    moves = Moves(old, new, {category.id: (category.id,) for category in old})
    boots = old.find("Boots").id
    (single,) = readings([Said("yes", boots)], moves, single_label=True)
    assert (single.state, single.said) == ("open", (Said("retracted", None),))
    assert {new[choice].text for choice in single.choices} == {"Boots > Work", "Boots > Riding"}
    assert readings([Said("yes", boots)], moves, single_label=False) == [Reading("same", (Said("yes", boots),))]


def test_of_a_split_category_the_part_above_all_parts_is_certain() -> None:
    old, new = Taxonomy.from_paths(["Boots"]), Taxonomy.from_paths(["Shoes > Work boots", "Shoes > Riding boots"])
    parts = tuple(new.find(text).id for text in ("Shoes > Work boots", "Shoes > Riding boots"))
    (boots,) = (category.id for category in old)
    moves = Moves(old, new, {boots: parts})
    (reading,) = readings([Said("yes", boots)], moves, single_label=False)
    assert reading == Reading("open", (Said("yes", new.find("Shoes").id),), parts)
    (ruled,) = readings([Said("yes", boots)], moves, False, {boots: parts[1]})
    assert ruled == Reading("moved", (Said("yes", parts[1]),))
