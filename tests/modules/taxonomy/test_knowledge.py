"""Descriptions and synonyms of categories: every format reads and writes them, and says what is wrong with one."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.errors import InputError, Problem
from modules.taxonomy import Category, Taxonomy
from modules.taxonomy.knowledge import MAX_DESCRIPTION, MAX_NAME, MAX_SYNONYMS

SUFFIXES = ("yaml", "json", "jsonl", "csv")
DESCRIPTION = "Cover the ankle, or more;\n  no sandals: \u201copen\u201d | closed"
SYNONYMS = ["Wellies", " Gum  boots ", "Stiefel", "Wellies", ""]


def written(rows: list[dict[str, Any]], suffix: str) -> str:
    """The rows as another program would write them."""
    if suffix == "yaml":
        return yaml.safe_dump({"categories": rows}, allow_unicode=True)
    if suffix == "json":
        return json.dumps(rows)
    if suffix == "jsonl":
        return "\n".join(map(json.dumps, rows))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, ["path", "exclusive", "description", "synonyms"])
    writer.writeheader()
    for row in rows:
        given_synonyms = row.get("synonyms", "")
        text = given_synonyms if isinstance(given_synonyms, str) else "|".join(given_synonyms)
        writer.writerow({**row, "synonyms": text})
    return stream.getvalue()


def load(folder: Path, rows: list[dict[str, Any]], suffix: str) -> Taxonomy:
    file = folder / f"taxonomy.{suffix}"
    file.write_text(written(rows, suffix), "utf-8")
    return Taxonomy.load(file)


def problems(folder: Path, row: dict[str, Any], suffix: str = "json") -> list[Problem]:
    with pytest.raises(InputError) as caught:
        load(folder, [{"path": "Bags"}, {"path": "Hats", **row}], suffix)
    return list(caught.value.problems)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_reads_both_and_tidies_them(tmp_path: Path, suffix: str) -> None:
    boots = {"path": "Shoes > Boots", "exclusive": "true", "description": DESCRIPTION, "synonyms": SYNONYMS}
    taxonomy = load(tmp_path, [{"path": "Shoes"}, boots], suffix)
    plain, told = taxonomy
    assert (plain.description, plain.synonyms, plain.texts, plain.explanation) == ("", (), ("Shoes",), "")
    assert told.description == "Cover the ankle, or more; no sandals: \u201copen\u201d | closed"
    assert told.synonyms == ("Wellies", "Gum boots", "Stiefel")
    assert told.texts == (
        "Shoes > Boots", "Shoes > Wellies", "Shoes > Gum boots", "Shoes > Stiefel", f"Boots: {told.description}"
    )  # fmt: skip
    # Who writes one text puts the mark between synonyms in any format.
    assert load(tmp_path, [{"path": "Shoes"}, {**boots, "synonyms": "|".join(SYNONYMS)}], suffix) == taxonomy


def test_a_root_has_synonyms_of_its_own_and_a_name_of_its_own_says_nothing_twice(tmp_path: Path) -> None:
    (hats,) = load(tmp_path, [{"path": "Hats", "synonyms": ["Caps", "Hats"]}], "json")
    assert hats.texts == ("Hats", "Caps")


@pytest.mark.parametrize("blank", [None, "", " \n ", [], ["", " "], "| |"])
def test_blank_ones_are_none(tmp_path: Path, blank: Any) -> None:
    row = {"path": "Hats", "synonyms": blank, "description": blank if not isinstance(blank, list) else ""}
    (hats,) = load(tmp_path, [row if blank != "| |" else {**row, "description": ""}], "json")
    assert hats == Category(hats.id, ("Hats",), "Hats", False, None, 0)


CASES: dict[str, tuple[str, Any, str]] = {
    "a long description": ("description", "x" * (MAX_DESCRIPTION + 1), "at most 1,000 characters, not 1,001"),
    "a very long description": ("description", "word " * 20_000, "not 99,999"),
    "a list for a description": ("description", ["a", "b"], "expected text"),
    "a mapping for a description": ("description", {"en": "a"}, "expected text"),
    "a description that turns lines around": ("description", "a \u202eb", "do not show"),
    "a description with a NUL": ("description", "a\0b", "do not show"),
    "a description with an escape sequence": ("description", "a \x1b[31m", "do not show"),
    "half a surrogate": ("description", "a \ud800", "do not show"),
    "a mapping for synonyms": ("synonyms", {"de": "a"}, "a list of names"),
    "a list of lists": ("synonyms", [["a"]], "a list of names"),
    "a null among synonyms": ("synonyms", ["a", None], "a list of names"),
    "a long synonym": ("synonyms", ["a", "x" * (MAX_NAME + 1)], "at most 200 characters, not 201"),
    "a sentence too long for a synonym": ("synonyms", "a|" + "word " * 50, "at most 200 characters, not 249"),
    "many synonyms": ("synonyms", [f"s{i}" for i in range(MAX_SYNONYMS + 1)], "at most 50 synonyms, not 51"),
    "a synonym with a zero-width space": ("synonyms", ["a", "b\u200bc"], "do not show"),
    "a synonym with a bell": ("synonyms", "a|b\x07c", "do not show"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_told_with_its_line_and_how_to_mend_it(tmp_path: Path, case: str) -> None:
    key, value, says = CASES[case]
    (problem,) = problems(tmp_path, {key: value}, "jsonl")
    assert says in problem.expected and (problem.key, problem.line) == (key, 2)
    assert str(problem).isprintable() and len(str(problem)) < 1500


@pytest.mark.parametrize(
    "case",
    [name for name in CASES if "\ud800" not in (text := CASES[name][1]) and "\0" not in text and isinstance(text, str)],
)
def test_a_table_is_told_the_same(tmp_path: Path, case: str) -> None:
    key, value, says = CASES[case]
    assert says in problems(tmp_path, {key: value}, "csv")[0].expected


def test_all_mistakes_at_once_and_an_unknown_key_knows_the_near_one(tmp_path: Path) -> None:
    complained = problems(tmp_path, {"description": [], "synonyms": {}, "synonym": "a"}, "jsonl")
    assert {problem.key for problem in complained} == {"description", "synonyms", "categories.synonym"}
    assert any("did you mean 'synonyms'?" in problem.hint for problem in complained)


def test_cells_that_look_like_lists(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(
        "path,name,exclusive,description,synonyms\n"
        'Hats,"[""x""]",yes,"[""a"", ""b""]","[""a|b"", ""c""]"\nBags,,,"[",[x|y]\n'
    )
    hats, bags = Taxonomy.load(file)
    assert (hats.name, hats.description, hats.synonyms) == ('["x"]', '["a", "b"]', ("a|b", "c"))
    assert (bags.description, bags.synonyms) == ("[", ("[x", "y]"))
    file.write_text("path,description\nHats," + "[" * 900 + "\n")
    assert next(iter(Taxonomy.load(file))).description == "[" * 900


def test_a_file_that_begins_with_one_is_of_this_projects_form(tmp_path: Path) -> None:
    file = tmp_path / "taxonomy.txt"
    file.write_text("- description: For heads\n  path: Hats\n- synonyms: [Sacks]\n  path: Bags\n")
    assert [category.texts for category in Taxonomy.load(file)] == [("Hats", "Hats: For heads"), ("Bags", "Sacks")]


shown = st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp"))
words = st.text(shown, min_size=1, max_size=30) | st.sampled_from(
    [
        "null",
        "No",
        "501",
        "~",
        '["x"]',
        "[x]",
        "[",
        "- a",
        "# c",
        "a: b",
        "'",
        '"',
        "a|b",
        "|",
        "\\",
        "\\|",
        "=1+1",
        "<b>",
    ]
)
tidied = words.map(lambda text: unicodedata.normalize("NFC", " ".join(text.split()))).filter(bool)


@settings(max_examples=80, deadline=None)
@given(
    told=st.lists(
        st.tuples(st.just("") | tidied, st.lists(tidied, max_size=4, unique=True).map(tuple)), min_size=1, max_size=5
    )
)
def test_every_format_reads_back_as_written(tmp_path_factory: pytest.TempPathFactory, told: list[Any]) -> None:
    plain = Taxonomy.from_paths([f"Shop > Shelf {i}" for i in range(len(told))])
    taxonomy = Taxonomy(
        replace(category, description=description, synonyms=synonyms)
        for category, (description, synonyms) in zip(plain, [*told, ("", ())], strict=True)
    )
    folder = tmp_path_factory.mktemp("t")
    for suffix in SUFFIXES:
        taxonomy.write(folder / f"taxonomy.{suffix}")
        assert Taxonomy.load(folder / f"taxonomy.{suffix}") == taxonomy, suffix
    assert Taxonomy.from_json(taxonomy.to_json()) == taxonomy
    assert plain.described_as(taxonomy) == taxonomy and taxonomy.described_as(plain) == plain
    assert Taxonomy.from_paths(["Elsewhere"]).described_as(taxonomy) == Taxonomy.from_paths(["Elsewhere"])
    differ = any(description or synonyms for description, synonyms in told)
    assert (taxonomy.fingerprint() != plain.fingerprint()) == differ


def test_the_fingerprint_changes_with_a_text_and_ids_and_classes_do_not(tmp_path: Path) -> None:
    plain = [{"path": "Shoes"}, {"path": "Shoes > Boots", "exclusive": "yes"}, {"path": "Bags", "exclusive": "yes"}]
    told = [
        plain,
        [plain[0], {**plain[1], "description": "Tall"}, plain[2]],
        [plain[0], {**plain[1], "description": "Taller"}, plain[2]],
        [plain[0], {**plain[1], "synonyms": "Tall"}, plain[2]],
        [plain[0], {**plain[1], "synonyms": "Tall|Wellies"}, plain[2]],
        [plain[0], plain[1], {**plain[2], "description": "Tall"}],
    ]
    trees = [load(tmp_path, rows, "jsonl") for rows in told]
    assert len({tree.fingerprint() for tree in trees}) == len(told)
    assert len({tuple(category.id for category in tree.exclusive) for tree in trees}) == 1


def test_what_was_stored_before_there_were_texts_is_read_and_keeps_its_fingerprint() -> None:
    stored = '[["a",["A"],"A",false,null],["b",["A","B"],"Bee",true,"a"]]'
    taxonomy = Taxonomy.from_json(stored)
    assert list(taxonomy) == [
        Category("a", ("A",), "A", False, None, 0),
        Category("b", ("A", "B"), "Bee", True, "a", 1),
    ]
    assert taxonomy.to_json() == stored
