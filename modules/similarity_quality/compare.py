"""Embeddings beside each other on the same products, by every label that there is and by people's verdicts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modules.arrays import Float32Array, Int64Array
from modules.errors import InputError, Problem
from modules.metrics.intervals import Interval
from modules.similarity_quality.embeddings import Embedded
from modules.similarity_quality.precision import TOP, TripletQuality, triplet_quality
from modules.similarity_quality.proxies import Proxy, difference, linked, same_cluster, same_leaf
from modules.similarity_quality.ranking import nearest
from modules.similarity_quality.sampling import sample_triplets
from modules.similarity_quality.triplets import Question, Ranked

_SAMPLED_QUERIES = 2_000
_SAMPLED_NEIGHBOURS = 30


@dataclass(frozen=True)
class ReferenceLabels:
    """The reference labels that a feed has of its products; each is a text or null.

    Attributes:
      ids: of the products; of equal ones the first counts.
      leaves: the leaf category. clusters: which products are the same one. links: of a photo, the id of its product.
    """

    ids: pa.Array
    leaves: pa.Array
    clusters: pa.Array
    links: pa.Array


@dataclass(frozen=True)
class ProxyResults:
    """One proxy measure, computed for all embeddings.

    Attributes:
      title: ``same leaf``. proxies: one per embedding.
      differences: per embedding, figure to the mean difference from the first embedding over the same queries.
    """

    title: str
    proxies: Sequence[Proxy]
    differences: Sequence[dict[str, Interval]]


@dataclass(frozen=True)
class EmbeddingComparison:
    """The comparison of several embeddings.

    Attributes:
      embedded: the embeddings, all of the same products in the same order.
      products: how many each embedding had of its own.
      measured: a proxy each, where there are labels for it.
      triplets: a result per embedding; empty: there are none.
    """

    embedded: Sequence[Embedded]
    products: Sequence[int]
    measured: Sequence[ProxyResults] = ()
    triplets: Sequence[TripletQuality] = field(default_factory=tuple)

    def document(self) -> dict[str, Any]:
        """All figures as JSON values; null where nothing defines one."""
        names = [embedded.name for embedded in self.embedded]
        embeddings = [
            {
                "name": embedding.name,
                "source": embedding.source,
                "dimension": int(embedding.vectors.shape[1]),
                "products": products,
            }
            for embedding, products in zip(self.embedded, self.products, strict=True)
        ]
        proxies = [
            {
                "name": measured.title,
                "queries": measured.proxies[0].queries,
                "products": measured.proxies[0].products,
                "figures": {
                    name: {
                        title: {**_values(figure), "difference": _values(less[title])}
                        for title, figure in proxy.figures.items()
                    }
                    for name, proxy, less in zip(names, measured.proxies, measured.differences, strict=True)
                },
            }
            for measured in self.measured
        ]
        triplets = {
            name: {
                "triplets": quality.triplets, "unknown": quality.unknown, "precision": _values(quality.precision),
                "top": quality.top, "at_top": quality.at_top, "score": _values(quality.score),
            }
            for name, quality in zip(names, self.triplets, strict=False)
        }  # fmt: skip
        return {
            "products": len(self.embedded[0].ids), "embeddings": embeddings, "proxies": proxies, "triplets": triplets,
        }  # fmt: skip


def compare(
    embedded: Sequence[Embedded],
    labels: ReferenceLabels | None = None,
    triplets: Sequence[Ranked] = (),
    top: int = TOP,
    seed: int = 0,
) -> EmbeddingComparison:
    """Measures every embedding on the products that all of them have.

    Same leaf and same cluster are looked for among products that are no photos of another one, photos' products among
    those as well; triplets among all.

    Raises:
      InputError: no product has all the embeddings, or two embeddings have one name.
    """
    names = [embeddings.name for embeddings in embedded]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(Problem("", "names that differ", key="embedding", value=twice, hint="give one as NAME=PATH"))
    common = _common(embedded)
    measured = [] if labels is None else _measured(common, labels, seed)
    quality = (
        [triplet_quality(embeddings.ids, embeddings.vectors, triplets, top) for embeddings in common]
        if triplets
        else []
    )
    return EmbeddingComparison(common, [len(embeddings.ids) for embeddings in embedded], measured, quality)


def questions(comparison: EmbeddingComparison, count: int, seed: int) -> list[Question]:
    """Triplets for people to judge, where the embeddings propose different neighbours."""
    rng = np.random.default_rng(seed)
    ids = comparison.embedded[0].ids
    rows = np.sort(rng.choice(len(ids), min(_SAMPLED_QUERIES, len(ids)), replace=False))
    neighbours = {
        embeddings.name: nearest(embeddings.vectors[rows], embeddings.vectors, _SAMPLED_NEIGHBOURS, rows)
        for embeddings in comparison.embedded
    }
    return sample_triplets(ids, rows, neighbours, count, rng)


def _common(embedded: Sequence[Embedded]) -> list[Embedded]:
    """The embeddings of the products that have them all, in the first one's order."""
    first = embedded[0]
    places = [_places(first.ids, embeddings.ids) for embeddings in embedded]
    good = np.ones(len(first.ids), bool)
    for embeddings, rows in zip(embedded, places, strict=True):
        good &= rows >= 0
        good[good] = embeddings.vectors[rows[good]].any(axis=1)
    if not good.any():
        sources = ", ".join(embeddings.name for embeddings in embedded)
        raise InputError(Problem("", f"products that have all the embeddings: {sources}; there are none"))
    ids = first.ids.filter(pa.array(good))
    return [Embedded(o.name, o.source, ids, o.vectors[r[good]]) for o, r in zip(embedded, places, strict=True)]


def _measured(embedded: Sequence[Embedded], labels: ReferenceLabels, seed: int) -> list[ProxyResults]:
    ids = embedded[0].ids
    at = _places(ids, labels.ids)
    leaves, clusters = _codes(labels.leaves, at), _codes(labels.clusters, at)
    links = _taken(labels.links, at)
    truth = _places(links, ids)
    photo = links.is_valid().to_numpy(zero_copy_only=False)
    leaves[photo], clusters[photo] = -1, -1
    # A photo's product must be one that can be found.
    catalogue = np.flatnonzero(~photo)
    row = np.full(len(ids), -1, np.int64)
    row[catalogue] = np.arange(len(catalogue))
    truth = np.where(truth >= 0, row[truth], -1)
    asked = np.flatnonzero(photo & (truth >= 0))

    def photos(vectors: Float32Array) -> Proxy:
        return linked(vectors[asked], vectors[catalogue], truth[asked], seed=seed)

    ways: list[tuple[str, bool, Callable[[Float32Array], Proxy]]] = [
        ("same leaf", _repeats(leaves), lambda vectors: same_leaf(vectors, leaves, seed=seed)),
        ("same cluster", _repeats(clusters), lambda vectors: same_cluster(vectors, clusters, seed=seed)),
        ("photo to product", len(asked) > 0, photos),
    ]
    comparisons = []
    for title, there, way in ways:
        if there:
            proxies = [way(embeddings.vectors) for embeddings in embedded]
            base = proxies[0].values
            less = [{name: difference(v, base[name]) for name, v in proxy.values.items()} for proxy in proxies]
            comparisons.append(ProxyResults(title, proxies, less))
    return comparisons


def _places(wanted: pa.Array, of: pa.Array) -> Int64Array:
    """Where ``of``, without nulls, has each id, the first time; -1 for null and what it has not."""
    positions = pc.index_in(wanted, value_set=of)
    return positions.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


def _taken(values: pa.Array, at: Int64Array) -> pa.Array:
    return values.take(pa.array(at, mask=at < 0))


def _codes(values: pa.Array, at: Int64Array) -> Int64Array:
    """A number per text, -1 for null."""
    coded = _taken(values, at).dictionary_encode()
    return coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


def _repeats(codes: Int64Array) -> bool:
    return bool((np.bincount(codes[codes >= 0]) > 1).any()) if (codes >= 0).any() else False


def _values(interval: Interval) -> dict[str, float | None]:
    names = ("value", "lower", "upper")
    return {name: value if math.isfinite(value := getattr(interval, name)) else None for name in names}
