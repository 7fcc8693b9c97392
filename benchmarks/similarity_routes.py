"""Search among a part of the products: recall and cost of each route, and of the one that the index takes.

    python -m benchmarks.similarity_routes FOLDER_OF_CATALOGUES      # some 2 minutes on 2 cores

Titles of fashion_product_images_small (TF-IDF and SVD to 128 dimensions) and its three levels of categories; the
catalogue has neither shops nor prices, so those are drawn: 90 shops of equal size, prices from 0 to 1,000, 70% of the
products in stock. Partitions of level 2, trees from 2,000 products on, tuned to a recall@100 of 0.95; leaves of
vectors and of codes. 500 products that are in no index and are allowed by the restriction ask for 100 neighbours. A
product as near as the last exact neighbour counts as found. CPU time is of both threads, a query of a batch, the best
of three; milliseconds those of one query alone, by the route that the index takes (marked *). Then the same after
3,000 products came and 3,000 went, and searches for numbers of neighbours between those that efforts were measured for
(100, 400 and 1,600), by the effort that lies between. Writes ``results/similarity_routes.md``.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from benchmarks.similarity_data import title_vectors
from modules.similarity.items import Items, Restriction, below
from modules.similarity.protocol import Queries
from modules.similarity.scann_index.index import ScannIndex
from modules.similarity.scann_index.quality import tune_and_measure
from modules.similarity.scann_index.restricted import ROUTES, Restricted
from modules.similarity.scann_index.settings import ScannSettings
from modules.similarity.scann_index.tuning import Truth
from modules.taxonomy import Taxonomy

NAME = "fashion_product_images_small"
K, RECALL, HELD_OUT, ASKED, LEAST = 100, 0.95, 8_000, 500, 2_000
SHOPS, DEAREST = 90, 1000.0
CHANGED = 3_000
BETWEEN = (50, 100, 101, 150, 200, 283, 400, 566, 800, 1131, 1600)


def products(folder: Path) -> tuple[Items, Taxonomy]:
    """All products with title, in an order drawn at random."""
    titles, paths = [], []
    for path in sorted((folder / NAME).glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                one = json.loads(line)
                titles.append(one["title"] or "")
                paths.append(" > ".join(part.replace(">", "-") for part in one["category_path"]))
    rng = np.random.default_rng(0)
    tree = Taxonomy.from_paths(sorted(set(paths)))
    node = {path: tree.find(path).index for path in set(paths)}
    vectors, kept = title_vectors(titles)
    items = Items.of(
        [f"p{i:06d}" for i in range(len(kept))], vectors, titles=[titles[i] for i in kept],
        category=[node[paths[i]] for i in kept], retailer=[f"shop {i}" for i in rng.integers(0, SHOPS, len(kept))],
        price=rng.uniform(0, DEAREST, len(kept)),
        availability=np.where(rng.random(len(kept)) < 0.7, "in stock", "sold out").tolist(),
    )  # fmt: skip
    return items, tree


def largest(tree: Taxonomy, counts: np.ndarray, level: int, number: int) -> list[str]:
    """The categories of a level with the most products below them."""
    sizes = {one.id: sum(counts[i] for i in below(tree, [one.id])) for one in tree if one.level == level}
    return sorted(sizes, key=lambda name: -sizes[name])[:number]


def restrictions(tree: Taxonomy, counts: np.ndarray) -> Iterator[tuple[str, Restriction]]:
    """What is measured, by name."""
    for level in (1, 2, 3):
        name = largest(tree, counts, level, 1)
        yield f"{tree.find(name[0]).text} (level {level})", Restriction(categories=below(tree, name))
    second = largest(tree, counts, 2, 6)
    yield "six categories of level 2", Restriction(categories=below(tree, second))
    leaves = largest(tree, counts, 3, 12)[2::2]
    yield "five of level 3", Restriction(categories=below(tree, leaves))
    for share in (0.9, 0.5, 0.1, 0.01):
        yield f"price, {share:.0%} of the products", Restriction(price_to=share * DEAREST)
    yield "one of 90 shops", Restriction(retailers=frozenset({"shop 7"}))
    yield "in stock", Restriction(availability=frozenset({"in stock"}))
    yield (
        f"in stock, {tree.find(second[0]).text}",
        Restriction(categories=below(tree, second[:1]), availability=frozenset({"in stock"})),
    )
    yield (
        f"one of 90 shops, {tree.find(second[0]).text}",
        Restriction(categories=below(tree, second[:1]), retailers=frozenset({"shop 7"})),
    )
    yield (
        f"price, 10% of {tree.find(second[0]).text}",
        Restriction(categories=below(tree, second[:1]), price_to=0.1 * DEAREST),
    )


def built(items: Items, tree: Taxonomy, scoring: Literal["vectors", "codes"]) -> ScannIndex:
    """An index with partitions of level 2, tuned."""
    category = np.asarray(items.table.column("category").to_numpy())
    parts = [(one.id, below(tree, [one.id])) for one in tree if one.level == 2]
    part_of = np.full(len(tree), len(parts))
    for number, (_, nodes) in enumerate(parts):
        part_of[sorted(nodes)] = number
    own = part_of[category]
    sizes = np.bincount(own, minlength=len(parts) + 1)
    names = [name for name, _ in parts] + [""]
    partitions = [(name, int(size)) for name, size in zip(names, sizes, strict=True) if size]
    settings = ScannSettings(min_products=LEAST, scoring=scoring)
    index = ScannIndex.build(items.take(np.argsort(own, kind="stable")), settings, 1, partitions)
    tune_and_measure(index, k=K, recall=RECALL, queries=1000, seed=1)
    return index


def measured(index: ScannIndex, asked: np.ndarray, within: Restriction) -> dict[str, Any]:
    """Recall and CPU seconds of each route, milliseconds of a query alone, and the route taken."""
    mask = within.mask(index.rows.table) & index.rows.alive
    vectors = np.concatenate([index.rows.base.vectors, index.rows.added])
    truth = Truth.of(asked, vectors, K, mask)
    restricted = Restricted(index)
    wanted = restricted.wanted(within)
    assert wanted is not None
    found: dict[str, Any] = {"count": int(mask.sum()), "taken": restricted.cheapest(len(asked), K, wanted)}
    for route in ROUTES:
        seconds = []
        for _ in range(3):
            started = time.process_time()
            rows = index.search(Queries(asked), K, within, route).rows
            seconds.append(time.process_time() - started)
        found[route] = (float(truth.recall(rows).mean()), min(seconds) / len(asked))
    alone = []
    for one in range(40):
        started = time.perf_counter()
        index.search(Queries(asked[one : one + 1]), K, within)
        alone.append(time.perf_counter() - started)
    return {**found, "alone": float(np.median(alone))}


def changed(index: ScannIndex, added: Items) -> None:
    """Puts products into the index, and takes as many others out."""
    index.add(added)
    gone = np.random.default_rng(2).choice(len(index.rows.base), len(added), replace=False)
    index.remove(index.ids.take(pa.array(gone)).to_pylist())


def routes(index: ScannIndex, tree: Taxonomy, counts: np.ndarray, held: Items) -> Iterator[str]:
    """A table of all restrictions; ``held``: products that ask."""
    heads = " | ".join(f"{route}: recall, CPU µs" for route in ROUTES)
    yield f"| within | products | {heads} | alone, ms |"
    yield "| --- |" + " --- |" * (len(ROUTES) + 2)
    for name, within in restrictions(tree, counts):
        allowed = np.flatnonzero(within.mask(held.table))[:ASKED]
        found = measured(index, np.ascontiguousarray(held.vectors[allowed], np.float32), within)
        cells = [
            f"{found[route][0]:.3f}, {1e6 * found[route][1]:,.0f}{' *' if route == found['taken'] else ''}"
            for route in ROUTES
        ]
        yield f"| {name} | {found['count']:,} | {' | '.join(cells)} | {1e3 * found['alone']:.2f} |"


def between(index: ScannIndex, asked: np.ndarray) -> Iterator[str]:
    """A table of searches of the whole by the number of neighbours."""
    assert index.whole is not None
    truth = Truth.of(asked, np.asarray(index.rows.base.vectors), max(BETWEEN))
    yield "| neighbours | leaves | candidates | recall | CPU µs |"
    yield "| --- | --- | --- | --- | --- |"
    for k in BETWEEN:
        seconds = []
        for _ in range(3):
            started = time.process_time()
            rows = index.search(Queries(asked), k).rows
            seconds.append(time.process_time() - started)
        effort, value = index.whole.effort(k), float(truth.recall(rows).mean())
        cost = 1e6 * min(seconds) / len(asked)
        yield f"| {k:,} | {effort.leaves} | {effort.reorder:,} | {value:.3f} | {cost:,.0f} |"


def main(folder: Path) -> None:
    items, tree = products(folder)
    asking, new = items.take(np.arange(HELD_OUT - CHANGED)), items.take(np.arange(HELD_OUT - CHANGED, HELD_OUT))
    kept = items.take(np.arange(HELD_OUT, len(items)))
    counts = np.bincount(np.asarray(kept.table.column("category").to_numpy()), minlength=len(tree))
    lines = ["# Restricted search: the routes", "", *(__doc__ or "").split("\n\n", 2)[2].strip().splitlines()]

    def section(title: str, rows: Iterator[str]) -> None:
        lines.extend(["", f"## {title}", ""])
        for row in rows:
            lines.append(row)
            print(row, flush=True)

    for scoring in ("vectors", "codes"):
        index = built(kept, tree, scoring)
        section(f"Leaves of {scoring}: {len(kept):,} products", routes(index, tree, counts, asking))
        asked = np.ascontiguousarray(asking.vectors[: 2 * ASKED], np.float32)
        section(f"Leaves of {scoring}: numbers of neighbours", between(index, asked))
        changed(index, new)
        title = f"Leaves of {scoring}: after {len(new):,} products came and {len(new):,} went"
        section(title, routes(index, tree, counts, asking))
    (Path(__file__).parent / "results" / "similarity_routes.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
