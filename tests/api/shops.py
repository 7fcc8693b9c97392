"""Index folders of a small shop, and a real server over one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import uvicorn

from api.app import Services, create_app
from api.gate import Access
from api.similarity.engine import Engine, Limits, Source
from api.similarity.metrics import Metrics
from modules.similarity.changes import unit
from modules.similarity.exact import ExactIndex, ExactSettings
from modules.similarity.items import Embedding, Items
from modules.taxonomy import Taxonomy
from tests.modules.similarity.shops import clustered

TREE = Taxonomy.from_paths(["Shoes > Boots", "Shoes > Sandals", "Bags > Totes"])
DIMENSION = 16
OPEN, USUAL = Access(), Limits()


def items(count: int, seed: int = 0, column: str = "embedding", titles: list[str] | None = None) -> Items:
    """Products ``p0`` and on in three categories of two retailers; ``p0`` has no embedding."""
    leaves = [TREE.find(path).index for path in ("Shoes > Boots", "Shoes > Sandals", "Bags > Totes")]
    vectors = unit(clustered(count, DIMENSION, seed, 8))
    vectors[0] = 0.0
    return Items.of(
        pa.array([f"p{i}" for i in range(count)], pa.string()),
        vectors,
        titles=titles or [f"product number {i}" for i in range(count)],
        category=[leaves[i % 3] for i in range(count)],
        retailer=[("acme", "bolt")[i % 2] for i in range(count)],
        price=[float(i) if i % 5 else float("nan") for i in range(count)],
        availability=["in stock"] * count,
        embedding=Embedding("model", column),
    )


def write(folder: Path, count: int = 200, seed: int = 0, methods: Any = ("embedding",), **more: Any) -> Path:
    """A folder of exact indexes, one per column of the predictions."""
    names = {"embedding": "joint", "embedding_image": "image", "embedding_text": "text"}
    folder.mkdir(parents=True, exist_ok=True)
    TREE.write(folder / "taxonomy.json")
    for place, column in enumerate(methods):
        made = items(count, seed + place, column, **more)
        ExactIndex.build(made, ExactSettings()).save(folder / names[column])
    return folder


class Server(uvicorn.Server):
    """uvicorn in a thread."""

    def install_signal_handlers(self) -> None:
        """None: they belong to the main thread."""


@contextmanager
def serving(source: Source, access: Access = OPEN, limits: Limits = USUAL) -> Iterator[tuple[Any, Engine]]:
    """A client of a real server on loopback, and the server's engine."""
    engine = Engine(source, Metrics(), limits)
    engine.load()
    with serving_all(Services(engine.metrics, engine), access) as client:
        yield client, engine


@contextmanager
def serving_all(services: Services, access: Access = OPEN, poll: float = 0.0) -> Iterator[httpx.Client]:
    """A client of a real server on loopback."""
    config = uvicorn.Config(create_app(services, access, poll), port=0, log_level="error", lifespan="on")
    server = Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
        assert thread.is_alive()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30.0) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def vector(seed: int = 0, dimension: int = DIMENSION) -> list[float]:
    """A query."""
    return [float(x) for x in np.random.default_rng(seed).normal(size=dimension)]
