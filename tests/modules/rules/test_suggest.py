"""Rules from names: what a title must say to be put into a category."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.rules import RuleSet, load_rules, write_rules
from modules.rules.engine import RuleEngine
from modules.rules.english import forms, plural, singular
from modules.rules.logic import can_fire
from modules.rules.suggest import suggest_rules
from modules.rules.text import words
from modules.taxonomy import Taxonomy

SHOP = Taxonomy.from_paths(
    [
        "Clothing > Women's Clothing > Shorts",
        "Clothing > Men's Clothing > Shorts",
        "Clothing > Men's Clothing > Casual & Party Wear Shirts",
        "Clothing > Men's Clothing > T-Shirts",
        "Clothing > Kids > Girls > Shorts",
        "Clothing > Kids > Boys > Shorts",
        "Bags & Wallets > Cases",
        "Electronics > Phone Cases",
        "Electronics > Accessories",
        "Footwear > For Girls",
        "Footwear > Boots > Boots",
        "Kitchen > Knives",
        "Kitchen > Baskets, Boxes and Jars",
    ]
)


def placed(taxonomy: Taxonomy, title: str) -> list[str]:
    """The deepest categories that the suggested rules put a title into."""
    rules = RuleSet(tuple(suggest_rules(taxonomy)), taxonomy)
    found = {taxonomy[rule.category] for rule in RuleEngine(rules).fire({"title": title})}
    return sorted(c.text for c in found if not any(o != c and o.path[: c.level] == c.path for o in found))


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Chef's knife, 20 cm", ["Kitchen > Knives"]),
        ("3 Kitchen KNIVES", ["Kitchen > Knives"]),
        ("A box of matches", ["Kitchen > Baskets, Boxes and Jars"]),
        ("basket", ["Kitchen > Baskets, Boxes and Jars"]),
        ("Jar", ["Kitchen > Baskets, Boxes and Jars"]),
        # The same name in several branches: the branch's own word decides, else what they share.
        ("Blue shorts", ["Clothing"]),
        ("Women's blue shorts", ["Clothing > Women's Clothing > Shorts"]),
        ("Shorts for woman", ["Clothing > Women's Clothing > Shorts"]),
        ("Mens shorts", ["Clothing > Men's Clothing > Shorts"]),
        ("Girl's shorts", ["Clothing > Kids > Girls > Shorts"]),
        ("Kids shorts", ["Clothing > Kids"]),
        ("Short sleeve", []),
        # The longer name of another branch goes first.
        ("Leather case", ["Bags & Wallets > Cases"]),
        ("Case for your phone", ["Electronics > Phone Cases"]),
        # Two adjectives with one noun; hyphens.
        ("Shirt, casual", ["Clothing > Men's Clothing > Casual & Party Wear Shirts"]),
        ("Casual boots", ["Footwear > Boots"]),
        ("Casual T-Shirt", ["Clothing > Men's Clothing > T-Shirts"]),
        ("tshirts", ["Clothing > Men's Clothing > T-Shirts"]),
        ("Size T, no shirt", []),
        # Names that say nothing about the product.
        ("Accessories for girls", []),
    ],
)
def test_titles(title, expected):
    assert placed(SHOP, title) == expected


@pytest.mark.parametrize(
    ("many", "one"),
    [
        ("boots", "boot"),
        ("shoes", "shoe"),
        ("watches", "watch"),
        ("dresses", "dress"),
        ("boxes", "box"),
        ("accessories", "accessory"),
        ("ties", "tie"),
        ("knives", "knife"),
        ("women", "woman"),
        ("houses", "house"),
        ("potatoes", "potato"),
        ("toys", "toy"),
        ("lenses", "lens"),
    ],
)
def test_singular_and_plural(many, one):
    assert singular(many) == one and plural(one) == many
    assert {many, one} <= set(forms(many)) and {many, one} <= set(forms(one))


@pytest.mark.parametrize("word", ["shorts", "jeans", "glasses", "dress", "canvas", "lens", "bus", "tennis", "4k", "tv"])
def test_words_that_have_no_singular(word):
    assert singular(word) == word


def values_of(condition) -> set[str]:
    parts = getattr(condition, "conditions", None) or [c for c in [getattr(condition, "condition", None)] if c]
    return set(getattr(condition, "values", ())) | {value for part in parts for value in values_of(part)}


@pytest.mark.parametrize(
    "paths",
    [
        [
            "Schuhe > Stiefel",
            "Schuhe > Hausschuhe",
            "Möbel > Tische",
            "Möbel > Stühle und Hocker",
            "Kleid > Damenkleider",
        ],
        ["Обувь > Ботинки", "Обувь > Сандалии"],
        ["Buty > Kozaki", "Buty > Trampki", "Dom > Lampy", "Dom > Krzesla"],
        ["Scarpe > Stivali per bambini", "Scarpe > Sandali da donna", "Casa > Tazze"],
    ],
)
def test_words_of_other_languages_get_no_english_forms_but_rules(paths):
    rules = suggest_rules(Taxonomy.from_paths(paths))
    said = {word for path in paths for word in words(path)}
    assert len(rules) >= len(paths)
    assert set().union(*(values_of(rule.when) for rule in rules)) <= said


def test_english_names_get_both_forms():
    rules = suggest_rules(Taxonomy.from_paths(["Shoes", "Shoes > Décor", "Hats and Caps", "Lamps"]))
    assert set().union(*(values_of(rule.when) for rule in rules)) >= {"shoe", "shoes", "hat", "hats", "lamp", "caps"}


names = st.lists(
    st.sampled_from(
        ["Boots", "Men's", "Women's Shoes", "T-Shirts", "A & B", "&", "Other", "Kids / Baby", "靴", "2", "s"]
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=80, deadline=None)
@given(paths=st.lists(names, min_size=1, max_size=10))
def test_suggestions_are_rules_that_load(tmp_path_factory, paths):
    taxonomy = Taxonomy.from_paths(paths)
    rules = suggest_rules(taxonomy)
    assert all(can_fire(rule.when) for rule in rules)
    file = tmp_path_factory.mktemp("suggest") / "rules.yaml"
    write_rules(rules, file, taxonomy)
    assert load_rules(file, taxonomy, fields=["title"]) == RuleSet(tuple(rules), taxonomy)


def test_1300_categories_take_a_moment():
    import time

    taxonomy = Taxonomy.from_paths([f"Top{i % 20} > Mid{i % 130} things > Blue thing{i} holders" for i in range(1300)])
    start = time.process_time()
    assert len(suggest_rules(taxonomy)) >= 1300
    assert time.process_time() - start < 5
