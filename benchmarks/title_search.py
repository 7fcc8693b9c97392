"""Titles that are looked for by other words: by an encoder's vectors, by SVD, by full text, and by several at once.

    python -m benchmarks.embedding_quality CATALOGUES SCRATCH pricerunner --encoder bge-small
    python -m benchmarks.title_search SCRATCH --encoder bge-small

The first command trains the models and embeds the 7,192 test products, whose clusters no model has learnt from.
Queries:

- ``half``: a drawn half of the words of a product's title, in their order, as somebody types what they remember; any
  product of the cluster counts, the asked one too.
- ``other shop``: the whole title of another shop, which is not among what is searched.

Recall at 1 and at 10: the share of the queries with a product of their cluster among so many. Full text is BM25 over
the words of titles, as ``shelfmark similar`` has it (``by: title``, ``rank: engine``). Fused: reciprocal rank fusion
(Cormack et al. 2009) of the first 100 by either, sum of 1 / (60 + rank).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.embedding_catalogues import lines_of
from benchmarks.embedding_quality import Work
from modules.similarity.full_text.engine import FullTextIndex, FullTextSettings
from modules.similarity.items import Items
from modules.similarity.protocol import Queries
from modules.similarity_quality.embeddings import read_embeddings

COUNT, DEPTH, FUSION = 2000, 100, 60
Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


def half_of(title: str, rng: np.random.Generator) -> str:
    """Half of the words, two at least."""
    words = title.split()
    kept = np.sort(rng.choice(len(words), min(len(words), max(2, len(words) // 2)), replace=False))
    return " ".join(words[place] for place in kept)


def best(scores: Floats, but: Rows | None) -> Rows:
    """(q, 100) the best rows of each query, without its own."""
    if but is not None:
        scores = scores.copy()
        scores[np.arange(len(scores)), but] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH]


def fused(rankings: Sequence[Rows], products: int) -> Rows:
    """By reciprocal rank."""
    scores = np.zeros((len(rankings[0]), products), np.float32)
    for ranking in rankings:
        for rank in range(ranking.shape[1]):
            there = np.flatnonzero(ranking[:, rank] >= 0)
            scores[there, ranking[there, rank]] += 1.0 / (FUSION + 1 + rank)
    return best(scores, None)


def full_text(index: FullTextIndex, titles: Sequence[str], but: Rows | None) -> Rows:
    """(q, 100) rows by BM25, -1 where there are fewer."""
    rows = index.search(Queries(None, titles), DEPTH + 1).rows
    if but is None:
        return rows[:, :DEPTH]
    return np.stack([np.append(row[row != own], -1)[:DEPTH] for row, own in zip(rows, but, strict=True)])


def embedded(model: Path, titles: Sequence[str]) -> Floats:
    """By the exported model, as ``shelfmark similar`` asks it."""
    from api.similarity.embedder import Embedder, Raw

    embedder = Embedder(model)
    parts = [embedder([Raw(t) for t in titles[i : i + 256]])["embedding"] for i in range(0, len(titles), 256)]
    return np.concatenate(parts)


def rankings(words: Floats, meaning: Floats, text: Rows, but: Rows | None) -> dict[str, Rows]:
    """Ways of searching to the best rows of each query, (q, 100).

    ``words`` and ``meaning`` are the cosines with all products by SVD and by the encoder, (q, products).
    """
    by_meaning, both = best(meaning, but), best(words + meaning, but)
    return {
        "encoder": by_meaning,
        "TF-IDF and SVD": best(words, but),
        # Side by side with lengths 1 and s the cosine is (words + s^2 meaning) / (1 + s^2).
        "both, 1:1": both,
        "both, 1:0.5": best(words + 0.25 * meaning, but),
        "full text": text,
        "full text and encoder, fused": fused([text, by_meaning], words.shape[1]),
        "full text and both, fused": fused([text, both], words.shape[1]),
    }


def recall(rows: Rows, asked: npt.NDArray[np.str_], clusters: npt.NDArray[np.str_], k: int) -> float:
    right = (clusters[rows[:, :k]] == asked[:, None]) & (rows[:, :k] >= 0)
    return float(right.any(axis=1).mean())


def measured(work: Work, encoder: str) -> str:
    """The table, as Markdown."""
    products = {str(product["id"]): product for product in lines_of(work.folder / "feed" / "products.jsonl.gz")}
    vectors: dict[str, Floats] = {}
    for variant in ("TF-IDF and SVD", encoder):
        (own,) = read_embeddings(work.of(variant) / "predictions", variant, ("embedding",))
        ids = own.ids.to_pylist()
        vectors[variant] = own.vectors[np.argsort(ids)]
    here = [products[name.rpartition(":")[2]] for name in sorted(ids)]
    titles = [product["title"] for product in here]
    clusters = np.array([str(product["extra"]["cluster_id"]) for product in here])
    index = FullTextIndex.build(
        Items.of([str(i) for i in range(len(titles))], vectors[encoder], titles=titles),
        FullTextSettings(by="title", rank="engine"),
    )
    rng = np.random.default_rng(0)
    values, counts = np.unique(clusters, return_counts=True)
    several = np.flatnonzero(np.isin(clusters, values[counts > 1]))
    drawn = {"half": rng.choice(len(titles), COUNT, replace=False), "other shop": rng.choice(several, COUNT, False)}
    halves = [half_of(titles[row], rng) for row in drawn["half"]]
    of_query: dict[str, Callable[[str], Floats]] = {
        "half": lambda variant: embedded(work.of(variant) / "model", halves),
        "other shop": lambda variant: vectors[variant][drawn["other shop"]],
    }
    figures: dict[str, list[str]] = {}
    for kind, rows in drawn.items():
        but = rows if kind == "other shop" else None
        words, meaning = (of_query[kind](variant) @ own.T for variant, own in vectors.items())
        text = full_text(index, halves if but is None else [titles[row] for row in rows], but)
        for way, ranking in rankings(words, meaning, text, but).items():
            cells = figures.setdefault(way, [])
            cells += [f"{recall(ranking, clusters[rows], clusters, k):.3f}" for k in (1, 10)]
    heads = ["searched by", *(f"{kind}: recall at {k}" for kind in drawn for k in (1, 10))]
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    lines += [f"| {way} | {' | '.join(cells)} |" for way, cells in figures.items()]
    return "\n".join([f"{len(titles):,} products, {COUNT:,} queries of each kind.", "", *lines, ""])


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scratch", type=Path, metavar="SCRATCH")
    parser.add_argument("--encoder", metavar="NAME", default="bge-small")
    given = parser.parse_args(arguments)
    work = Work("pricerunner", Path(), given.scratch / "whole", False, given.encoder)
    missing = [variant for variant in ("TF-IDF and SVD", given.encoder) if not (work.of(variant) / "model").exists()]
    if missing:
        parser.error(f"{work.folder} has no model of {missing[0]}: run benchmarks.embedding_quality first")
    print(measured(work, given.encoder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
