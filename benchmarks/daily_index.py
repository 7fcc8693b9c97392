"""Seconds that a day's layer over the similarity index takes, beside an index of the same products that is built anew.

    python -m benchmarks.daily_index --products 100000 --write      # some minutes

The products are random vectors around centres, in the files and the database of `shelfmark predict`; no model is asked.
Of them 1% change. Measured are the layer, as the command writes it, the opening of the version by a server, and
searches by 1,000 products, changed ones first, for 10 neighbours. Bar: the layer in a tenth of the time of an index
built anew. Results are kept in benchmarks/results/daily_index.md (--write).
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from modules.arrays import Float32Array
from modules.predictions.daily.files import DailyFiles
from modules.predictions.daily.state import DAILY, DailyState, Row
from modules.predictions.table import TableWriter
from modules.settings.similarity import IndexSettings, SimilaritySettings
from modules.settings.workflow import Workflow
from modules.similarity.catalogue import Catalogue
from modules.similarity.changes import unit
from modules.similarity.daily import DailyVersion
from modules.similarity.make import make_index
from modules.taxonomy import Taxonomy
from pipeline.daily_index import renew_over

RESULTS = Path(__file__).parent / "results" / "daily_index.md"
DIMENSION, CENTRES, CHANGED, K, QUERIES = 128, 200, 100, 10, 1000
SHARD = 8192
TREE = Taxonomy.from_paths([f"Shop > Shelf {number}" for number in range(10)])
LEAVES = [TREE.find(f"Shop > Shelf {number}").id for number in range(10)]
MODEL = "benchmark"


def vectors_of(products: int, seed: int, centres: Float32Array) -> Float32Array:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(products, DIMENSION)).astype(np.float32)
    return unit(centres[rng.integers(CENTRES, size=products)] + noise)


def predicted(ids: list[str], vectors: Float32Array) -> pa.RecordBatch:
    """As a model's table of predictions."""
    category = [LEAVES[int(name[1:]) % len(LEAVES)] for name in ids]
    values = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), DIMENSION)
    columns = {
        "id": pa.array(ids), "title": pa.array(ids), "retailer": pa.array(["acme"] * len(ids)),
        "availability": pa.array(["in stock"] * len(ids)), "price": pa.array(np.ones(len(ids))),
        "exclusive/category_id": pa.array(category), "exclusive/label": pa.array(category), "embedding": values,
    }  # fmt: skip
    return pa.RecordBatch.from_pydict(columns)


def a_day(state: DailyState, products: int, chosen: np.ndarray, vectors: Float32Array, digest: bytes) -> None:
    """A pass over a feed with all products, of which the chosen ones are new or have changed."""
    shown = '["{}","in stock",1.0]'
    state.see(Row(f"p{number}", 0, number, b"", "acme", shown.format(f"p{number}")) for number in range(products))
    state.begin("run-1", MODEL)
    for shard, start in enumerate(range(0, len(chosen), SHARD)):
        ids = [f"p{number}" for number in chosen[start : start + SHARD].tolist()]
        state.spooled(shard, [(name, True) for name in ids])
        number, path = state.new_part()
        batch = predicted(ids, vectors[start : start + SHARD])
        with TableWriter(str(path), batch.schema) as writer:
            writer.add(batch)
        state.take(shard, number, MODEL, [digest] * len(ids))
    state.end("run-1", MODEL)


def timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def recall(catalogue: Catalogue, vectors: Float32Array, asked: np.ndarray) -> float:
    """The share of the exact neighbours that are returned."""
    returned = catalogue.search("joint", [catalogue.asked(f"p{number}", "joint") for number in asked.tolist()], K)
    scores = vectors[asked] @ vectors.T
    scores[np.arange(len(asked)), asked] = -np.inf
    best = np.argpartition(-scores, K, axis=1)[:, :K]
    hits = [len({f"p{n}" for n in own} & {s.product.id for s in its}) for own, its in zip(best, returned, strict=True)]
    return sum(hits) / (K * len(asked))


def measure(products: int, folder: Path) -> Iterator[tuple[str, str]]:
    """What was measured, and its value."""
    centres = np.random.default_rng(0).normal(size=(CENTRES, DIMENSION)).astype(np.float32)
    vectors = vectors_of(products, 1, centres)
    settings = IndexSettings(neighbours=0, partition_level=0, k=K)
    workflow = Workflow.model_construct(seed=1, similarity=SimilaritySettings(indexes={"joint": settings}))
    base = folder / "indexes" / "1"
    base.mkdir(parents=True)
    TREE.write(base / "taxonomy.json")
    daily = DailyVersion("run-1", MODEL, "1")
    with DailyState(folder / DAILY) as state:
        a_day(state, products, np.arange(products), vectors, b"1")
        make_index(DailyFiles(state.place, is_held=True), TREE, settings, MODEL, 1, base, "joint")
        yield (
            "a new run's index compared with all products, once",
            _seconds(lambda: renew_over(base, state, daily, workflow)),
        )
    changed = np.arange(0, products, CHANGED)
    vectors[changed] = vectors_of(len(changed), 2, centres)
    with DailyState(folder / DAILY) as state:
        a_day(state, products, changed, vectors[changed], b"2")
        yield (
            f"layer with {len(changed):,} changed products",
            _seconds(lambda: renew_over(base, state, daily, workflow)),
        )
        yield "the same day again", _seconds(lambda: renew_over(base, state, daily, workflow))
        files, anew = DailyFiles(state.place, is_held=True), folder / "anew"
        yield "index built anew", _seconds(lambda: make_index(files, TREE, settings, MODEL, 1, anew, "joint"))
    version = max(base.parent.iterdir(), key=lambda path: int(path.name))
    size = sum(path.stat().st_size for path in version.rglob("*") if path.is_file())
    whole = sum(path.stat().st_size for path in base.rglob("*") if path.is_file())
    yield "bytes of the layer, and of its base", f"{size / 1e6:.1f} MB, {whole / 1e6:.1f} MB"
    asked = np.concatenate([changed, np.arange(1, products, 7)])[:QUERIES]
    for name, place in (("base and layer", version), ("index built anew", anew)):
        yield f"{name}: opened in", _seconds(partial(_open, place))
        catalogue = Catalogue.open(place, TREE)
        yield f"{name}: recall at {K}", f"{recall(catalogue, vectors, asked):.4f}"
        queries = [catalogue.asked(f"p{number}", "joint") for number in asked.tolist()]
        spent = timed(partial(catalogue.search, "joint", queries, K))
        yield f"{name}: milliseconds a query, in one batch of {len(queries):,}", f"{1000 * spent / len(queries):.3f}"
    yield "memory at its highest", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB"


def _open(place: Path) -> None:
    Catalogue.open(place, TREE).prepare()


def _seconds(action: Callable[[], object]) -> str:
    return f"{timed(action):.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=20_000)
    parser.add_argument("--write", action="store_true", help="keep the results in benchmarks/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = list(measure(options.products, Path(folder)))
    lines = [
        "# A day's layer over the similarity index",
        "",
        f"{options.products:,} products of {DIMENSION} numbers, Python {platform.python_version()}, "
        f"{platform.machine()}, {os.cpu_count()} cores. "
        f"`python -m benchmarks.daily_index --products {options.products}`.",
        "",
        "| what | measured |",
        "| --- | --- |",
        *(f"| {what} | {value} |" for what, value in rows),
    ]
    print("\n".join(lines))
    if options.write:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
