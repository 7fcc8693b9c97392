"""Products follow from the seed and their number, and are as noisy as feeds are."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.demo.categories import EXCLUSIVE
from modules.demo.products import BLOCK, COLUMNS, generate, mojibake
from modules.demo.words import COLORS, RETAILERS
from tests.modules.demo import oracle

Records = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def records(output: Path) -> Records:
    return oracle.read_feeds(output)[0]


@pytest.fixture(scope="module")
def truth(output: Path) -> dict[str, str]:
    return oracle.read_truth(output)


@settings(max_examples=15, deadline=None)
@given(st.integers(), st.integers(0, 2 * BLOCK), st.integers(0, BLOCK + 200))
def test_a_product_depends_on_the_seed_and_its_number_only(seed: int, start: int, count: int) -> None:
    whole = list(generate(seed, 0, start + count + 3))
    assert list(generate(seed, start, start + count)) == whole[start : start + count]


def test_seeds_give_other_products() -> None:
    one, two = ([p.record[COLUMNS.index("title")] for p in generate(seed, 0, 200)] for seed in (1, 2))
    assert len(set(one) & set(two)) < 5


def test_every_category_retailer_and_color_appears() -> None:
    products = list(generate(7, 0, 4000))
    assert {product.category for product in products} == set(range(len(EXCLUSIVE)))
    assert {product.color for product in products} == set(range(len(COLORS)))
    counts = Counter(product.retailer for product in products)
    for index, retailer in enumerate(RETAILERS):
        assert counts[index] / 4000 == pytest.approx(retailer.share, abs=0.03)


def test_retailers_have_their_own_separators_and_depth(records: Records) -> None:
    patterns = {
        "shelfquib": r" > ",
        "aislewump": r" // ",
        "basketzig": r"(?<! )\|(?! )",
        "tillplonk": r"(?<! )/(?! )",
        "cratefloof": r" (?:»|Â») ",
        "trolleymuff": r" > ",
    }
    depths: dict[str, set[int]] = {}
    for record in records.values():
        pattern = patterns.get(record["retailer"], " > ")
        depth = len(re.split(pattern, record["raw_category"])) if "raw_category" in record else 0
        depths.setdefault(record["retailer"], set()).add(depth)
    assert {retailer: max(found) for retailer, found in depths.items()} == {
        "shelfquib": 4, "aislewump": 3, "basketzig": 2, "tillplonk": 2, "cratefloof": 4, "parcelnoz": 1,
        "trolleymuff": 3,
    }  # fmt: skip
    words = {
        r: {x["raw_category"] for x in records.values() if x["retailer"] == r and "raw_category" in x} for r in depths
    }
    assert "Footwear|Trainers" in words["basketzig"]
    assert "SHOES/SNEAKERS" in words["tillplonk"]
    assert "Schuhe > Turnschuhe" in words["trolleymuff"]


@pytest.mark.parametrize("field", ["description", "brand", "price", "raw_category", "gender", "size", "color"])
def test_fields_are_missing_now_and_then(records: Records, field: str) -> None:
    share = sum(field not in record for record in records.values()) / len(records)
    assert 0.01 < share < 0.6


def test_feeds_are_noisy(records: Records) -> None:
    texts = [" ".join((r["title"], r.get("description", ""), r.get("raw_category", ""))) for r in records.values()]
    total = len(texts)
    shares = {
        "html": sum("<p>" in text for text in texts) / total,
        "entities": sum("&amp;" in text or "&nbsp;" in text for text in texts) / total,
        "mojibake": sum(bool(re.search("â€|Ã.|Â", text)) for text in texts) / total,
        "white space": sum(r["title"] != " ".join(r["title"].split()) for r in records.values()) / total,
        "control characters": sum("\x07" in r["title"] for r in records.values()) / total,
    }
    assert all(0.005 < share < 0.3 for share in shares.values()), shares
    prices = [float(r["price"]) for r in records.values() if "price" in r]
    assert 0.0005 < sum(price >= 99_999 for price in prices) / total < 0.01
    assert min(prices) > 0
    assert all(re.fullmatch(r"\d+\.\d\d", r["price"]) for r in records.values() if "price" in r)


def test_wrong_columns(records: Records) -> None:
    brands = {r["brand"] for r in records.values() if " " not in r.get("brand", " ")}
    colors = {name for name, _ in COLORS}
    assert 5 < sum(r["title"].strip() in brands for r in records.values()) < 100
    assert 5 < sum(r.get("size") in colors for r in records.values()) < 150


def test_titles_are_misspelled_now_and_then(records: Records) -> None:
    """Words that appear once or twice, one letter away from common ones."""
    words = Counter(word for r in records.values() for word in oracle.tokens(r["title"]) if word.isascii())
    common = {word for word, count in words.items() if count > 30 and len(word) > 4}
    dropped = {word[:k] + word[k + 1 :] for word in common for k in range(1, len(word) - 1)}
    assert len({word for word, count in words.items() if count < 10} & dropped) > 20


def test_variants_share_titles(records: Records, truth: dict[str, str]) -> None:
    groups: dict[tuple[str, ...], list[str]] = {}
    for key, record in records.items():
        groups.setdefault(tuple(oracle.tokens(record["title"])), []).append(key)
    variants = [group for group in groups.values() if len(group) > 1 and len(next(iter(group))) > 1]
    share = sum(map(len, variants)) / len(records)
    assert 0.1 < share < 0.5
    # They are the same thing in other colours and sizes, at one retailer or at several.
    same = sum(len({truth[key] for key in group}) == 1 for group in variants)
    assert same / len(variants) > 0.95
    assert any(len({records[key].get("color") for key in group}) > 1 for group in variants)
    assert any(len({records[key].get("size") for key in group}) > 1 for group in variants)


def test_records_have_the_canonical_columns_and_no_more(records: Records) -> None:
    assert {key for record in records.values() for key in record} <= set(COLUMNS)
    for key, record in records.items():
        assert record["url"] == f"https://shop-{key[1]}.example/p/{key}"
        assert record["availability"] in ("in stock", "out of stock", "preorder")


def test_the_record_does_not_give_away_the_truth(records: Records, truth: dict[str, str]) -> None:
    """Only one retailer knows our category paths, and it is wrong or coarser now and then."""
    known: Counter[str] = Counter()
    for key, record in records.items():
        if truth[key] in "\n".join(record.values()):
            known[record["retailer"]] += 1
    sizes = Counter(record["retailer"] for record in records.values())
    assert 0.5 < known["shelfquib"] / sizes["shelfquib"] < 0.85
    assert sum(known.values()) - known["shelfquib"] == 0


def test_mojibake_is_what_browsers_show() -> None:
    assert mojibake("café – it’s") == "cafÃ© â€“ itâ€™s"
    assert mojibake("plain") == "plain"


def test_import_is_light() -> None:
    code = "import sys, modules.demo; print([m for m in ('numpy', 'tensorflow', 'pyarrow', 'PIL') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
