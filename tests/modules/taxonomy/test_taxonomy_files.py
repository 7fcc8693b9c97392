"""Mistakes in taxonomy files: all at once, each with its line."""

from __future__ import annotations

import json
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.category_text import names_of, unseen
from modules.errors import InputError, Problem
from modules.taxonomy import Taxonomy


def problems(tmp_path, text: str | bytes, name: str = "taxonomy.yaml") -> list[Problem]:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InputError) as caught:
        Taxonomy.load(path)
    assert all(problem.file == str(path) or problem.more for problem in caught.value.problems)
    return list(caught.value.problems)


def test_all_mistakes_at_once(tmp_path):
    found = problems(
        tmp_path,
        """\
categories:
  - path: Shoes
    exclusiv: 2
  - path: Shoe > Boots
    exclusive: maybe
  - path: Shoes
  - {id: a, name: A, parent: b}
  - {id: b, name: B, parent: a}
  - {id: c, name: C, parent: a}
  - {id: d, name: D, parent: shoess}
  - {id: e, name: E}
  - {id: e, name: F}
  - 5
  - path: ''
  - id: z
  - {path: X, parent: Shoes}
""",
    )
    assert [(p.line, p.key) for p in found] == [
        (3, "categories.exclusiv"),
        (5, "exclusive"),
        (6, "path"),
        (7, "parent"),
        (12, "id"),
        (13, "categories"),
        (14, "path"),
        (15, "categories"),
        (16, "parent"),
    ]
    assert "did you mean 'exclusive'?" in found[0].hint
    assert "line 2" in found[2].hint
    assert "a > b > a" in found[3].expected


def test_orphans_are_told_with_what_to_add(tmp_path):
    (found,) = problems(tmp_path, "- path: Shoes\n- path: Shoe > Boots\n")
    assert found.line == 2 and "'Shoe' is not in the file" in found.expected
    assert "- path: Shoe" in found.hint and "did you mean 'Shoes'?" in found.hint
    (found,) = problems(tmp_path, "- path: Shoes\n- {name: Boots, parent: shoez}\n")
    assert (found.line, found.value) == (2, "shoez") and "did you mean 'Shoes'?" in found.hint


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_cycles_of_any_length(tmp_path, size):
    rows = [f"- {{id: n{i}, name: N{i}, parent: n{(i + 1) % size}}}" for i in range(size)]
    rows += ["- {id: below, name: B, parent: n0}"]
    (found,) = problems(tmp_path, "\n".join(rows))
    assert "cannot be above itself" in found.expected


def test_parents_may_stand_anywhere(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text(
        "- {id: c, name: C, parent: b}\n- {id: b, name: B, parent: A}\n- path: A\n- {name: D, parent: A > B}\n"
    )
    assert [c.text for c in Taxonomy.load(path)] == ["A > B > C", "A > B", "A", "A > B > D"]


def test_duplicates_that_only_normalisation_shows(tmp_path):
    (found,) = problems(tmp_path, "- path: Caf\u00e9\n- path: 'Cafe\u0301 '\n")
    assert (found.line, found.expected) == (2, "given twice")


def test_texts_that_could_mean_two_categories_are_refused(tmp_path):
    (found,) = problems(tmp_path, "- path: A\n- path: [A > B]\n- path: A > B\n")
    assert "read the same" in found.expected
    (found,) = problems(tmp_path, "- path: A\n- {path: B, id: A}\n")
    assert (found.line, found.key) == (2, "id")


def test_words_that_yaml_would_turn_into_something_else(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text("- path: No\n- path: 501\n- path: 2024-01-01\n- path: 1e3\n")
    assert [c.path for c in Taxonomy.load(path)] == [("No",), ("501",), ("2024-01-01",), ("1e3",)]


@pytest.mark.parametrize(
    ("name", "text", "line", "says"),
    [
        ("t.yaml", "categories:\n  - path: [A\n", 3, "not YAML"),
        ("t.yaml", "- path: A\n- path: &x B\n- path: *x\n", 3, "aliases"),
        ("t.yaml", "- path: !!python/name:os.system x\n", 1, "tags"),
        ("t.yaml", "- path: A\n  path: B\n", 2, "given twice"),
        ("t.yaml", "- path: A\n---\n- path: B\n", 2, "one YAML document"),
        ("t.yaml", "[" * 5000, 1, "nested deeper"),
        ("t.yaml", "- path: A\n- path: " + "[" * 40 + "]" * 40 + "\n", 2, "nested deeper"),
        ("t.yaml", "", 1, "list of categories"),
        ("t.yaml", "categories: []\n", 1, "list of categories"),
        ("t.yaml", "category: []\n", 1, "unknown key"),
        ("t.yaml", b"- path: A\n- path: \xff\n", 2, "not UTF-8"),
        ("t.yaml", "- path: 'A\x01B'\n", None, "not YAML"),
        ("t.json", '[{"path": "A"},\n {"path": }]', 2, "not JSON"),
        ("t.json", '{"categories": [{"path": "A"},\n\n {"path": "A"}]}', 3, "given twice"),
        ("t.json", "[" * 100_000, None, "nested deeper"),
        ("t.json", '[{"path": "\\ud800"}]', 1, "control characters"),
        ("t.jsonl", '{"path": "A"}\n\n{"path": "A"}\n', 3, "given twice"),
        ("t.jsonl", '{"path": "A"}\n{"path"\n', 2, "not JSON"),
        ("t.csv", "path,id\nA,1\nB,1\n", 3, "given twice"),
        ("t.csv", "path,id\nA,1\nB\n", 3, "columns"),
        ("t.csv", "path,path\nA,1\n", 1, "named twice"),
        ("t.csv", 'path\n"A\n', None, "not CSV"),
        ("t.csv", "pat\nA\n", 1, "a column of categories"),
        ("t.csv", "path,exclusive\nA,perhaps\n", 2, "true or false"),
    ],
)
def test_broken_files(tmp_path, name, text, line, says):
    found = problems(tmp_path, text, name)
    match = [p for p in found if says in p.expected or says in p.key]
    assert match, found
    assert line is None or match[0].line == line


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        Taxonomy.load(tmp_path / "none.yaml")


def test_an_alias_bomb_stays_small(tmp_path):
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    start = time.process_time()
    assert problems(tmp_path, "\n".join(rows))
    assert time.process_time() - start < 1


def test_csv_and_json_lines_say_what_yaml_says(tmp_path):
    (tmp_path / "t.csv").write_text('path,id,name,exclusive\nA,,,\n"[""A"", ""B > C""]",b,Bee,TRUE\n', "utf-8-sig")
    (tmp_path / "t.jsonl").write_text(
        '{"path": "A"}\n{"path": ["A", "B > C"], "id": "b", "name": "Bee", "exclusive": true}'
    )
    csv, jsonl = Taxonomy.load(tmp_path / "t.csv"), Taxonomy.load(tmp_path / "t.jsonl")
    assert csv == jsonl
    assert csv["b"].path == ("A", "B > C") and csv["b"].exclusive and csv["b"].name == "Bee"


def test_1300_categories_load_in_well_under_a_second(tmp_path):
    taxonomy = Taxonomy.from_paths([f"Top {i % 20} > Middle {i % 130} > Leaf number {i}" for i in range(1300)])
    taxonomy.write(tmp_path / "t.yaml")
    start = time.process_time()
    assert len(Taxonomy.load(tmp_path / "t.yaml")) == len(taxonomy) > 1300
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Shoes\nBoots", "U+000A"), ("Shoes\tBoots", "U+0009"), ("Sho\x00es", "U+0000"), ("Sho\x9bes", "U+009B"),
        ("Shoes \u202esrehto", "U+202E"), ("Shoes \u2066x\u2069", "U+2066"), ("Sho\u200bes", "U+200B"),
        ("Sho\xades", "U+00AD"), ("\ufeffShoes", "U+FEFF"), ("Shoes\u2028x", "U+2028"), ("Shoes \u200d x", "U+200D"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["path", "paths", "id", "name", "parent"])
def test_names_hold_nothing_that_does_not_show(tmp_path, key, name, shown):
    row = {"path": "Hats", key: name}
    if key == "paths":
        row = {"path": ["Hats", name]}
    elif key == "parent":
        row = {"name": "Hats", "parent": name}
    text = json.dumps({"categories": [{"path": "Bags"}, row]}, indent=1)
    found = problems(tmp_path, text, "t.json")
    wrong = [problem for problem in found if "do not show" in problem.expected]
    assert len(wrong) == 1 and shown in wrong[0].hint and wrong[0].line == text[: text.rindex("{")].count("\n") + 1
    assert str(wrong[0]).isprintable()


@pytest.mark.parametrize(
    "name", ["\u06a9\u0641\u0634\u200c\u0647\u0627", "\U0001f469\u200d\U0001f680 suits", "T\xa0Shirts ", "\n Shoes \n"]
)
def test_joiners_within_words_and_blanks_around_names_are_fine(tmp_path, name):
    path = tmp_path / "t.json"
    path.write_text(json.dumps([{"path": name}]))
    (category,) = Taxonomy.load(path)
    assert category.text == " ".join(name.split())
    # A feed's own text for it means the same category.
    assert names_of(name) == category.path


@given(st.lists(st.text(st.characters(codec=None), max_size=12), max_size=4))
def test_what_a_feed_brings_is_a_name_that_a_taxonomy_file_may_have(names):
    found = names_of(names, "\0")
    assert found == names_of(list(found), "\0")
    assert not any(unseen(name) for name in found)
    if found:
        assert list(Taxonomy.from_paths([found]))[-1].path == found


@pytest.mark.parametrize("rows", ["Missing {i} > Child {i}", "Missing > Child {i}", "A{i} > B > C"])
def test_a_file_without_parents_is_told_in_linear_time(tmp_path, rows):
    def steps(count: int) -> int:
        """Lines of Python that are run, of these modules."""
        total = 0

        def trace(frame, event, argument):
            nonlocal total
            total += event == "line"
            return trace if "/modules/" in frame.f_code.co_filename else None

        text = "path,exclusive\n" + "".join(rows.format(i=i) + ",\n" for i in range(count))
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            found = problems(tmp_path, text, "t.csv")
        finally:
            sys.settrace(before)
        assert len(found) == 101 and str(found[-1]) == f"and {count - 100:,} more"
        return total

    steps(200)
    # Whatever is looked up for suggestions is capped, too, and costs no line.
    assert steps(4000) < 2.5 * steps(2000)


def test_a_chain_and_a_cycle_of_many_parents_end(tmp_path):
    rows = [f"c{i},N{i},c{i + 1}" for i in range(20_000)]
    found = problems(tmp_path, "\n".join(["id,name,parent", *rows]), "t.csv")
    assert len(found) == 1 and "no such category" in found[0].expected
    rows[-1] = "c19999,N,c0"
    (found,) = problems(tmp_path, "\n".join(["id,name,parent", *rows]), "t.csv")
    assert "above itself" in found.expected and len(str(found)) < 2000


def test_a_json_mapping_of_many_keys_is_read_in_one_pass(tmp_path):
    text = json.dumps({f"key{i}": i for i in range(100_000)}, indent=0)
    assert str(problems(tmp_path, text, "t.json")[-1]).startswith("and ")
