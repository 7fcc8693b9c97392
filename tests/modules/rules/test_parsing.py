"""Rules files: what is read, and every mistake at once with line, key and the nearest right thing."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings

from modules.errors import InputError, Problem
from modules.rules import All, AnyOf, Leaf, Not, Rule, RuleSet, load_rules, write_rules
from modules.rules.engine import RuleEngine
from modules.rules.logic import can_fire
from modules.taxonomy import Taxonomy
from tests.modules.rules.test_engine import TAXONOMY, conditions

FIELDS = ["title", "raw_category", "gender"]


def load(tmp_path, taxonomy, text: str, name: str = "rules.yaml") -> RuleSet:
    path = tmp_path / name
    path.write_text(text)
    return load_rules(path, taxonomy, fields=FIELDS)


def problems(tmp_path, taxonomy, text: str) -> list[Problem]:
    with pytest.raises(InputError) as caught:
        load(tmp_path, taxonomy, text)
    return list(caught.value.problems)


def test_load(tmp_path, taxonomy):
    rules = load(
        tmp_path,
        taxonomy,
        """\
rules:
  - id: boots-title
    category: Shoes > Boots
    when:
      all:
        - {field: title, word: boots}
        - not: {field: title, phrase: boot cut}
        - any: [{field: raw_category, regex: "(?i)boots?"}, {field: gender, equals: [women, no]}]
  - id: 501
    category: [Shoes, Sandals]
    when: {field: title, word: 501}
""",
    )
    boots, levis = rules
    assert boots.category == taxonomy.find("Shoes > Boots").id and boots.line == 2
    assert boots.when == All(
        (
            Leaf("title", "word", ("boots",)),
            Not(Leaf("title", "phrase", ("boot cut",))),
            AnyOf((Leaf("raw_category", "regex", ("(?i)boots?",)), Leaf("gender", "equals", ("women", "no")))),
        )
    )
    assert levis == Rule("501", taxonomy.find("Shoes > Sandals").id, Leaf("title", "word", ("501",)))
    assert rules["501"] is levis and rules.fields == ("gender", "raw_category", "title")
    with pytest.raises(KeyError):
        rules["none"]


def test_all_mistakes_at_once(tmp_path, taxonomy):
    found = problems(
        tmp_path,
        taxonomy,
        """\
rules:
  - id: a
    category: Shoe > Boots
    when: {field: titel, word: boots}
  - id: a
    category: Shoes
    when: {field: title, regex: "(a"}
  - id: c
    category: Shoes
    wen: 1
    when: {all: []}
  - id: d
    category: Shoes
    when: {all: [{field: title, phrase: boot cut}, {not: {field: title, word: boot}}]}
  - id: e
    category: Shoes
    when: {field: title, word: boot cut}
  - id: f
    category: Shoes
    when: [{field: title, word: x}]
  - category: Shoes
    when: {any: [{field: title, word: x}], not: {field: title, word: y}}
  - id: g
    when: {field: title}
  - id: h
    category: Shoes
    when: {field: title, word: x, phrase: y}
  - id: i
    category: Shoes
    when: {all: [{any: [{not: 3}]}, {field: title, equals: " "}, {field: title, wrod: x}]}
  - 7
""",
    )
    assert [(p.line, p.key) for p in found] == [
        (3, "rules.a.category"),
        (4, "rules.a.when.field"),
        (5, "rules[1].id"),
        (7, "rules.a.when.regex"),
        (10, "rules.c.wen"),
        (11, "rules.c.when.all"),
        (14, "rules.d.when"),
        (17, "rules.e.when.word"),
        (20, "rules.f.when"),
        (21, "rules[6].id"),
        (22, "rules[6].when"),
        (23, "rules.g.category"),
        (24, "rules.g.when"),
        (27, "rules.h.when"),
        (30, "rules.i.when.all[0].any[0].not"),
        (30, "rules.i.when.all[1].equals"),
        (30, "rules.i.when.all[2].wrod"),
        (30, "rules.i.when.all[2]"),
        (31, "rules[10]"),
    ]
    by_key = {p.key: p for p in found}
    assert by_key["rules.a.category"].hint == "did you mean 'Shoes > Boots'?"
    assert by_key["rules.a.when.field"].hint == "did you mean 'title'?"
    assert by_key["rules[1].id"].hint == "first in line 2"
    assert "missing )" in by_key["rules.a.when.regex"].expected
    assert by_key["rules.i.when.all[2].wrod"].hint == "did you mean 'word'?"


@pytest.mark.parametrize(
    "pattern",
    [r"(a)\\1", "(?=a)", "x" * 1001, "((a{100}){100}){100}", r"[\\pL]{1000}[\\pN]{1000}", "a**"],
)
def test_regexes_that_re2_refuses(tmp_path, taxonomy, pattern):
    start = time.process_time()
    (found,) = problems(
        tmp_path, taxonomy, f'rules: [{{id: a, category: Shoes, when: {{field: title, regex: "{pattern}"}}}}]'
    )
    assert "RE2" in found.expected
    assert time.process_time() - start < 2


@pytest.mark.parametrize("text", ["", "rule: []", "rules: {a: 1}", "rules: 3", "- &a 1\n- *a"])
def test_files_that_hold_no_rules(tmp_path, taxonomy, text):
    assert problems(tmp_path, taxonomy, text)


def test_no_rules_are_fine(tmp_path, taxonomy):
    assert len(load(tmp_path, taxonomy, "rules: []")) == 0
    assert RuleEngine(load(tmp_path, taxonomy, "rules:")).fire({"title": "x"}) == []


def word(text: str) -> Leaf:
    return Leaf("title", "phrase" if " " in text else "word", (text,))


def equals(text: str) -> Leaf:
    return Leaf("title", "equals", (text,))


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (All((word("a"), Not(word("a")))), False),
        (All((word("A"), Not(word("a")))), False),
        (All((word("a b"), Not(word("b")))), False),
        (All((word("b"), Not(word("a b")))), True),
        (All((equals("a b"), word("c"))), False),
        (All((equals("a b"), word("B"))), True),
        (All((equals("a b"), equals("A  B"))), True),
        (All((equals("a"), equals("b"))), False),
        (All((Leaf("title", "equals", ("a", "b")), equals("b"))), True),
        (All((AnyOf((word("a"), word("b"))), Not(AnyOf((word("a"), word("b")))))), False),
        (Not(All((word("a"), Not(word("a"))))), True),
        (Not(AnyOf((word("a"), Not(word("a"))))), False),
        (All((word("a"), Not(Leaf("brand", "word", ("a",))))), True),
        (All((Leaf("title", "regex", ("x",)), Not(Leaf("title", "regex", ("x",))))), False),
        (word("&"), False),
    ],
)
def test_rules_that_can_never_fire(when, expected):
    assert can_fire(when) is expected


def test_the_search_for_contradictions_is_bounded():
    pairs = tuple(AnyOf((word(f"a{i}"), word(f"b{i}"))) for i in range(60))
    start = time.process_time()
    assert can_fire(All(pairs))
    assert time.process_time() - start < 1


@settings(max_examples=100, deadline=None)
@given(when=conditions)
def test_written_rules_read_back_the_same(tmp_path_factory, when):
    if not can_fire(when) or any(pattern in str(when) for pattern in ("('',)", "'', ", ", ''")):
        return
    folder = tmp_path_factory.mktemp("rules")
    whole = RuleSet(
        (Rule("a", TAXONOMY.find("Shoes > Boots").id, when), Rule("no", TAXONOMY.roots[0].id, when)), TAXONOMY
    )
    for name in ("r.yaml", "r.json"):
        write_rules(whole, folder / name)
        read = load_rules(folder / name, TAXONOMY)
        assert read == whole
    assert "Shoes > Boots" in (folder / "r.yaml").read_text()


def test_a_taxonomy_may_be_given_for_writing(tmp_path, taxonomy: Taxonomy):
    rule = Rule("a", taxonomy.find("Shoes").id, word("x"))
    write_rules([rule], tmp_path / "ids.yaml")
    write_rules([rule], tmp_path / "paths.yaml", taxonomy)
    assert rule.category in (tmp_path / "ids.yaml").read_text()
    assert "category: Shoes\n" in (tmp_path / "paths.yaml").read_text()
    assert load_rules(tmp_path / "ids.yaml", taxonomy) == load_rules(tmp_path / "paths.yaml", taxonomy)
