"""The ways to similar products beside each other: exact, approximate, by full text of tokens, of titles, or of both.

    python -m benchmarks.similarity_ways FOLDER_OF_CATALOGUES      # some 7 minutes on 2 cores
``FOLDER_OF_CATALOGUES`` holds ``fashion_product_images_small/`` and ``pricerunner/``, JSON Lines with title,
category_path and extra.cluster_id. Writes ``results/similarity_ways.md``.

Embeddings: TF-IDF of words (1-2) and SVD to 128 dimensions of the titles, fitted without the queries, products that
were drawn and taken out. Two threads.

Recall counts found products whose cosine reaches that of the k-th exact neighbour: catalogues are full of equal titles,
and which of equals is found does not matter. "Labels" is what the neighbours are worth by the catalogue's own labels:
on the fashion products the share of the first 10 in the query's leaf category, on pricerunner the share of the query's
cluster (the same product at other merchants, as many as 10) among the first 10.

Unless a line says otherwise, queries look for the tokens of their 20 largest values, and 1,000 candidates are put into
the order of their cosine. CPU time is that of all threads; it depends less than queries/s on what else the machine
does.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from modules.similarity.changes import unit
from modules.similarity.exact import ExactIndex, ExactSettings, brute_force
from modules.similarity.full_text.encoding import Encoding
from modules.similarity.full_text.engine import FullTextIndex, FullTextSettings
from modules.similarity.items import Items
from modules.similarity.protocol import Index, Queries, SearchResult
from modules.similarity.scann_index.index import ScannIndex
from modules.similarity.scann_index.settings import ScannSettings

RESULTS = Path(__file__).parent / "results" / "similarity_ways.md"
QUERIES, DIMENSIONS, K, REPEATS = 1000, 128, 100, 2
CATALOGUES = {"fashion_product_images_small": "leaf", "pricerunner": "cluster"}
ENCODINGS = {
    "intervals 0.2 (default)": Encoding(),
    "intervals 0.1": Encoding(intervals=(0.1,)),
    "intervals 0.2, values of 0.1 and more": Encoding(trim=0.1),
    "1 precision": Encoding(decimals=(1,), intervals=()),
    "2 precisions": Encoding(decimals=(1, 2), intervals=()),
    "1 precision + intervals 0.2": Encoding(decimals=(1,)),
}


@dataclass(frozen=True)
class Catalogue:
    """Products to search, queries, and the label of both (int64)."""

    name: str
    items: Items
    queries: Queries
    labels: npt.NDArray[np.int64]
    query_labels: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Way:
    """A line of the table."""

    name: str
    kind: type[Any]
    settings: Any


def ways() -> list[Way]:
    """What is compared."""

    def text(name: str, **settings: Any) -> Way:
        return Way(name, FullTextIndex, FullTextSettings(threads=2, **settings))

    found = [Way("exact", ExactIndex, ExactSettings()), Way("approximate: ScaNN", ScannIndex, ScannSettings())]
    for label, encoding in ENCODINGS.items():
        found.append(text(f"tokens: {label}", encoding=encoding))
    for best in (10, None):
        shown = f"{best} largest values looked for" if best else "all values looked for"
        found.append(text(f"tokens, {shown}", query_best=best))
    for candidates in (300, 3000):
        found.append(text(f"tokens, {candidates:,} candidates", candidates=candidates))
    found.append(text("tokens, not re-ranked", rank="engine"))
    found.append(text("tokens + title", by="tokens_and_title"))
    found.append(text("tokens + title, not re-ranked", by="tokens_and_title", rank="engine"))
    found.append(text("title", by="title"))
    found.append(text("title, not re-ranked (plain BM25)", by="title", rank="engine"))
    return found


def records(folder: Path) -> Iterator[dict[str, Any]]:
    """All products of a catalogue that have a title."""
    for file in sorted(folder.glob("products*.jsonl*")):
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
            yield from (record for line in lines if (record := orjson.loads(line))["title"])


def catalogue(folder: Path, label: str, seed: int = 0, queries: int = QUERIES) -> Catalogue:
    """Reads and embeds it."""
    found = list(records(folder))
    rng = np.random.default_rng(seed)
    drawn = np.zeros(len(found), bool)
    drawn[rng.choice(len(found), queries, replace=False)] = True
    titles = np.array([record["title"] for record in found], object)
    texts = [
        " > ".join(record["category_path"]) if label == "leaf" else record["extra"]["cluster_id"] for record in found
    ]
    labels = np.unique(texts, return_inverse=True)[1].astype(np.int64)
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, dtype=np.float32)
    svd = TruncatedSVD(DIMENSIONS, random_state=0)
    vectors = unit(svd.fit_transform(words.fit_transform(titles[~drawn])))
    asked = unit(svd.transform(words.transform(titles[drawn])))
    items = Items.of([record["id"] for record, out in zip(found, drawn, strict=True) if not out], vectors,
                     titles=titles[~drawn].tolist())  # fmt: skip
    return Catalogue(folder.name, items, Queries(asked, titles[drawn].tolist()), labels[~drawn], labels[drawn])


def recall(
    vectors: npt.NDArray[Any], queries: npt.NDArray[Any], found: SearchResult, exact: SearchResult, k: int
) -> float:
    """Share of the first ``k`` found whose cosine reaches the k-th exact one's."""
    rows = found.rows[:, :k]
    scores = np.einsum("qd,qkd->qk", queries, vectors[np.maximum(rows, 0)])
    good = (rows >= 0) & (scores >= exact.scores[:, k - 1 : k] - 1e-5)
    return float(good.mean())


def label_share(catalogue: Catalogue, found: SearchResult, label: str) -> float:
    """Of the first 10, see the module's docstring."""
    rows = found.rows[:, :10]
    same = (rows >= 0) & (catalogue.labels[rows] == catalogue.query_labels[:, None])
    if label == "leaf":
        return float(same.mean())
    there = np.bincount(catalogue.labels, minlength=max(catalogue.query_labels.max() + 1, 1))[catalogue.query_labels]
    has = there > 0
    return float((same.sum(axis=1)[has] / np.minimum(there[has], 10)).mean())


def megabytes(folder: Path) -> float:
    """Of all files below."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def measure(way: Way, catalogue: Catalogue, exact: SearchResult, label: str) -> str:
    """One line."""
    items, queries = catalogue.items, catalogue.queries
    assert queries.vectors is not None
    started = time.perf_counter()
    index: Index = way.kind.build(items, way.settings, 0)
    built = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as name:
        index.save(Path(name) / "index")
        size = megabytes(Path(name) / "index")
        engine = Path(name) / "index" / "engine"
        own = megabytes(engine) if engine.exists() else 0.0
    best = cpu = np.inf
    for _ in range(REPEATS):
        started, worked = time.perf_counter(), time.process_time()
        found = index.search(queries, K)
        best, cpu = min(best, time.perf_counter() - started), min(cpu, time.process_time() - worked)
    shares = [recall(items.vectors, queries.vectors, found, exact, k) for k in (10, K)]
    return (
        f"| {way.name} | {shares[0]:.3f} | {shares[1]:.3f} | {label_share(catalogue, found, label):.3f} "
        f"| {len(queries) / best:,.0f} | {1000 * cpu / len(queries):.2f} | {built:.1f} | {size:.1f} | {own:.1f} |"
    )


def main(folder: Path, seed: int) -> None:
    """Runs everything and writes the table."""
    lines = ["# Ways to similar products", "", *(__doc__ or "").split("\n\n", 2)[2].strip().splitlines()]
    for name, label in CATALOGUES.items():
        one = catalogue(folder / name, label, seed)
        assert one.queries.vectors is not None
        exact = brute_force(one.queries.vectors, [one.items.vectors], K)
        lines += [
            "",
            f"## {name}: {len(one.items):,} products, {len(one.queries):,} queries",
            "",
            "| way | recall@10 | recall@100 | labels | queries/s | CPU ms each | built in s | MB | the engine's |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        ]
        print(lines[-4], flush=True)
        for way in ways():
            lines.append(measure(way, one, exact, label))
            print(lines[-1], flush=True)
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), 0)
