"""The label store: append-only labels, queues with leases, and what the pages show; SQLite or PostgreSQL."""

from labelling.store.database import Store

__all__ = ["Store"]
