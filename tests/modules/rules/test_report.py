"""Coverage, precision and contradictions, counted by hand."""

from __future__ import annotations

import json

import pytest

from modules.labels import ResolvedLabel
from modules.rules import Leaf, Rule, RuleSet
from modules.rules.report import is_right, rules_report
from modules.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_paths(["Shoes > Boots > Chelsea", "Shoes > Sandals", "Hats", "Season > Summer"], "leaves")
BOOTS, CHELSEA, SANDALS, HATS, SHOES, SUMMER = (
    TAXONOMY.find(text)
    for text in ("Shoes > Boots", "Shoes > Boots > Chelsea", "Shoes > Sandals", "Hats", "Shoes", "Season > Summer")
)


def label(category=None, yes=(), no=()) -> ResolvedLabel:
    ids = tuple(c.id for c in yes), tuple(c.id for c in no)
    return ResolvedLabel(category.id if category else None, *ids, "random", 0.1, ("ann",), 1.0)


def rule(name: str, category) -> Rule:
    return Rule(name, category.id, Leaf("title", "word", (name,)))


RULES = RuleSet((rule("boot", BOOTS), rule("chelsea", CHELSEA), rule("sandal", SANDALS), rule("never", HATS)), TAXONOMY)


def test_figures():
    titles = {
        "1": "boot",
        "2": "chelsea boot",
        "3": "chelsea sandal",
        "4": "scarf",
        "5": "sandal",
        "6": "chelsea sandal",
    }
    labels = {"1": label(CHELSEA), "2": label(SANDALS), "3": label(CHELSEA), "5": label(None), "none": label(HATS)}
    products = iter([{"id": i, "title": title} for i, title in titles.items()] + [{"title": "boot"}])
    report = rules_report(RULES, products, labels)
    assert (report.products, report.covered, report.coverage) == (7, 6, 6 / 7)
    assert report.contradicted == 2
    figures = [(c.rule.id, c.products, c.alone, c.judged, c.right, c.precision) for c in report.rules]
    assert figures == [
        ("boot", 3, 2, 2, 1, 0.5),
        ("chelsea", 3, 0, 2, 1, 0.5),
        ("sandal", 3, 1, 2, 0, 0.0),
        ("never", 0, 0, 0, 0, None),
    ]
    assert (report.judged, report.right, report.precision) == (6, 2, 2 / 6)
    pairs = [(p.first.id, p.second.id, p.products, p.contradiction) for p in report.pairs]
    assert pairs == [("chelsea", "sandal", 2, True), ("boot", "chelsea", 1, False)]
    rows = json.loads(json.dumps([report.to_rows(), report.pair_rows(), report.totals()]))
    assert rows[0][0] == {
        "rule": "boot",
        "category": "Shoes > Boots",
        "products": 3,
        "coverage": 3 / 7,
        "alone": 2,
        "judged": 2,
        "right": 1,
        "precision": 0.5,
    }
    assert rows[1][0]["contradiction"] and rows[2]["rules_that_never_fire"] == 1


def test_nothing_to_count():
    report = rules_report(RULES, [])
    assert (report.coverage, report.precision, report.pairs) == (0.0, None, ())


def test_only_so_many_pairs_are_kept_and_contradictions_first():
    products = [{"title": "boot chelsea"}] * 3 + [{"title": "chelsea sandal"}]
    (pair,) = rules_report(RULES, products, max_pairs=1).pairs
    assert pair.contradiction


@pytest.mark.parametrize(
    ("category", "said", "expected"),
    [
        (SHOES, label(CHELSEA), True),
        (CHELSEA, label(CHELSEA), True),
        (CHELSEA, label(SANDALS), False),
        (BOOTS, label(SANDALS), False),
        (CHELSEA, label(None), False),
        (BOOTS, label(None), None),
        (SHOES, label(yes=[BOOTS]), True),
        (CHELSEA, label(yes=[BOOTS]), None),
        (CHELSEA, label(no=[BOOTS]), False),
        (SHOES, label(no=[BOOTS]), None),
        (SANDALS, label(yes=[BOOTS], no=[SANDALS]), False),
    ],
)
def test_when_a_rule_is_right(category, said, expected):
    assert is_right(category, said, TAXONOMY) is expected


def test_an_exclusive_label_says_nothing_about_categories_beside_the_exclusive_ones(tmp_path):
    file = tmp_path / "t.yaml"
    file.write_text("- {path: Boots, exclusive: true}\n- path: Summer\n")
    taxonomy = Taxonomy.load(file)
    boots = ResolvedLabel(taxonomy.find("Boots").id, (), (), "random", 0.1, ("ann",), 1.0)
    assert is_right(taxonomy.find("Summer"), boots, taxonomy) is None
