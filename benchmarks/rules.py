"""What rules cost: 1,300 rules beside 13, per product; what suggested rules reach on a real feed.

    python -m benchmarks.rules                                  # generated titles, half a minute
    python -m benchmarks.rules --feed PRODUCTS.jsonl.gz ...     # also on a catalogue with a category_path

Bar: 1,300 rules cost at most 3 times what 13 cost. Times are CPU seconds of this process, the best of several passes.
Results are kept in benchmarks/results/rules.md (--write).
"""

from __future__ import annotations

import argparse
import functools
import gzip
import json
import platform
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modules.rules import All, AnyOf, Condition, Leaf, Not, Rule, RuleSet
from modules.rules.engine import RuleEngine
from modules.rules.suggest import suggest_rules
from modules.taxonomy import Category, Taxonomy

RESULTS = Path(__file__).parent / "results" / "rules.md"
SIZES = (13, 130, 1300, 13_000)
SYLLABLES = [c + v for c in "bdklmnprstv" for v in "aeio"]


def make_titles(count: int, rng: random.Random) -> tuple[list[str], list[str]]:
    """A vocabulary of 5,000 words and titles of 4 to 12 of them, drawn as in real text (the n-th word 1/n as often)."""
    words = sorted({"".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) for _ in range(9000)})
    rng.shuffle(words)
    words = words[:5000]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    return words, [" ".join(rng.choices(words, weights, k=rng.randint(4, 12))).title() for _ in range(count)]


def make_rules(count: int, words: Sequence[str], taxonomy: Taxonomy, rng: random.Random) -> RuleSet:
    """Rules of the kinds that people write; one in ten has a regular expression, one in ten stands on a brand."""
    categories = list(taxonomy)

    def word(field: str = "title") -> Leaf:
        return Leaf(field, "word", (rng.choice(words),))

    def phrase() -> Leaf:
        return Leaf("title", "phrase", (f"{rng.choice(words)} {rng.choice(words)}",))

    def one(kind: int) -> Condition:
        if kind < 4:
            return word()
        if kind < 6:
            return All((word(), Not(phrase())))
        if kind < 7:
            return All((word(), AnyOf((Leaf("brand", "equals", (rng.choice(words),)), word()))))
        if kind < 8:
            return phrase()
        if kind < 9:
            return Leaf("title", "regex", (rf"(?i)\b{rng.choice(words)}s?\b.*{rng.choice(words)}",))
        return All((word("brand"), Not(word())))

    rules = (Rule(f"r{i}", categories[i % len(categories)].id, one(i % 10)) for i in range(count))
    return RuleSet(tuple(rules), taxonomy)


def best(work: Callable[[], Any], passes: int = 7) -> float:
    """CPU seconds of the fastest of several passes; the first warms the caches and does not count."""
    work()
    times = []
    for _ in range(passes):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def seconds_per_product(rules: RuleSet, products: Sequence[Mapping[str, str | None]]) -> float:
    engine = RuleEngine(rules)

    def run() -> None:
        for product in products:
            engine.fire(product)

    return best(run) / len(products)


def cost_table(words: Sequence[str], products: list[dict[str, str | None]]) -> list[str]:
    taxonomy = Taxonomy.from_paths([f"Top {i % 20} > Middle {i % 130} > Leaf {i}" for i in range(1300)])
    lines = [
        "| rules | compiled in | per product | of 13 rules' | rules fired per product |",
        "| --- | --- | --- | --- | --- |",
    ]
    base = 0.0
    for size in SIZES:
        rules = make_rules(size, words, taxonomy, random.Random(size))
        compiled = best(functools.partial(RuleEngine, rules), 1)
        engine = RuleEngine(rules)
        fired = sum(len(engine.fire(product)) for product in products) / len(products)

        seconds = seconds_per_product(rules, products)
        base = base or seconds
        lines.append(f"| {size:,} | {compiled:.2f} s | {seconds * 1e6:.1f} µs | {seconds / base:.2f} | {fired:.2f} |")
    return lines


def read_feed(path: Path) -> Iterable[dict[str, Any]]:
    with path.open("rb") as file:
        yield from map(json.loads, gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file)


def is_true(category: Category, path: Sequence[str]) -> bool:
    return category.path == tuple(path[: category.level])


def reach(feed: Sequence[Path]) -> str:
    """Suggested rules on titles, against the catalogue's own paths: one line of the table."""
    rows = [row for path in feed for row in read_feed(path) if row.get("category_path")]
    taxonomy = Taxonomy.from_paths((row["category_path"] for row in rows), "given")
    rules = RuleSet(tuple(suggest_rules(taxonomy)), taxonomy)
    engine = RuleEngine(rules)
    some = [{"title": row["title"]} for row in rows[:: max(1, len(rows) // 4000)]]
    few = RuleSet(tuple(random.Random(1).sample(rules.rules, min(13, len(rules)))), taxonomy)
    costs = [seconds_per_product(rule_set, some) * 1e6 for rule_set in (rules, few)]
    covered = pairs = right = single = single_right = 0
    for row in rows:
        found = {taxonomy[rule.category] for rule in engine.fire(row)}
        covered += bool(found)
        pairs += len(found)
        right += sum(is_true(category, row["category_path"]) for category in found)
        deepest = [c for c in found if not any(o != c and o.path[: c.level] == c.path for o in found)]
        if len(deepest) == 1:
            single += 1
            single_right += is_true(deepest[0], row["category_path"])
    name = feed[0].parent.name
    shares = (covered / len(rows), right / max(pairs, 1), single / len(rows), single_right / max(single, 1))
    figures = [f"{len(rows):,}", f"{len(taxonomy):,}", f"{len(rules):,}", *(f"{share:.3f}" for share in shares)]
    return f"| {name} | {' | '.join(figures)} | {costs[0]:.1f} µs | {costs[0] / costs[1]:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feed", nargs="+", type=Path, action="append", default=[], help="the files of one catalogue")
    parser.add_argument("--products", type=int, default=4000)
    parser.add_argument("--write", action="store_true", help="keep the results in benchmarks/results/rules.md")
    options = parser.parse_args()
    rng = random.Random(1)
    words, titles = make_titles(options.products, rng)
    products: list[dict[str, str | None]] = [{"title": title, "brand": rng.choice(words).title()} for title in titles]
    lines = [
        "# Rules",
        "",
        f"Python {platform.python_version()}, {platform.machine()}. `python -m benchmarks.rules`; CPU time, best of 7.",
        "",
        "## Cost",
        "Generated titles of 4 to 12 words and a brand. Of ten rules four look for a word, two for a word but not a",
        "phrase, one for a word and (a brand or a word), one for a phrase, one for a regular expression, one for a",
        "brand's word but not a title's. Bar: 1,300 rules at most 3 times 13.",
        "",
        *cost_table(words, products),
    ]
    if options.feed:
        lines += [
            "",
            "## Suggested rules",
            "From the names of the categories that the feed's products are in, on titles alone. *Precision*: share of",
            "(product, category) pairs that are right, an ancestor of the true category being right too. *One answer*:",
            "products whose rules all lie on one path, and how often its deepest category is *right*. *Of 13*: cost",
            "beside that of 13 of the rules.",
            "",
            "| catalogue | products | categories | rules | coverage | precision | one answer | right | cost | of 13 |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
            *(reach(feed) for feed in options.feed),
        ]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
