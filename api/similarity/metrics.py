"""What the endpoint tells Prometheus."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from modules.similarity.catalogue import Catalogue

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_JOBS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """In a registry of their own, so that several applications can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self.requests = Counter("shelfmark_requests", "Requests answered.", ("route", "status"), registry=own)
        self.seconds = Histogram(
            "shelfmark_request_seconds", "Until answered.", ("route",), buckets=_SECONDS, registry=own
        )
        self.batch = Histogram("shelfmark_search_batch_queries", "Queries per search.", buckets=_JOBS, registry=own)
        self.reloads = Counter("shelfmark_reloads", "Looks at the index' source.", ("outcome",), registry=own)
        self.products = Gauge("shelfmark_index_products", "Products in the index.", ("by",), registry=own)
        self.dimension = Gauge("shelfmark_index_dimension", "Numbers in a vector.", ("by",), registry=own)
        self.rebuild_pays = Gauge(
            "shelfmark_index_rebuild_pays", "1: so many products came or went that a new index is better.", ("by",),
            registry=own,
        )  # fmt: skip
        self.loaded = Gauge("shelfmark_index_loaded_timestamp_seconds", "When the index was loaded.", registry=own)

    def serves(self, catalogue: Catalogue) -> None:
        """Another catalogue is served."""
        for gauge in (self.products, self.dimension, self.rebuild_pays):
            gauge.clear()
        for by in catalogue.methods:
            index = catalogue.indexes[by]
            self.products.labels(by).set(len(index))
            self.rebuild_pays.labels(by).set(int(getattr(index, "rebuild_pays", False)))
            self.dimension.labels(by).set(catalogue.dimension(by))
        self.loaded.set(time.time())

    def text(self) -> bytes:
        """In Prometheus' format."""
        return generate_latest(self.registry)
