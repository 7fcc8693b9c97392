"""Answers per second of the shop's API, beside what the same server software and the bare model reach.

    python -m benchmarks.shop_api              # some 2 minutes on 2 cores, without a run

``GET /v1/products/{id}`` at 100,000 products (``--products``) stands beside an empty answer of FastAPI behind the same
guarded uvicorn: seconds per request of one client that keeps its connection, in turns. ``POST /v1/classify`` in batches
of 64, four at a time, stands beside the exported model's own signature in this process, on the same texts, already
encoded. The model is the small one that the tests train, so that what surrounds it weighs more than beside a real one.
Each server is a process of its own. Goals: at most 3 times the empty answer's seconds, at least 0.7 of the bare model's
products per second.
"""

from __future__ import annotations

import argparse
import multiprocessing
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson

BATCH, CLIENTS, SECONDS, ROUNDS = 64, 4, 3.0, 3
READ_GOAL, CLASSIFY_GOAL = 3.0, 0.7
JSON = {"content-type": "application/json"}
App = Callable[[], Any]


def empty_app() -> Any:
    """The framework with one route that answers nothing."""
    from fastapi import FastAPI
    from starlette.responses import Response

    app = FastAPI()

    @app.get("/empty/{id}")
    async def empty(id: str) -> Response:
        return Response()

    return app


def products_app(count: int) -> Any:
    """The API over ``count`` products in 200 categories."""
    from api.app import Services, create_app
    from api.current import Current
    from api.gate import Access
    from api.products.table import ProductTable
    from api.similarity.metrics import Metrics
    from modules.predictions.documents import Document
    from modules.taxonomy import Taxonomy

    tree = Taxonomy.from_paths([f"Department {i % 20} > Category {i}" for i in range(200)])
    leaves = tree.exclusive

    def batches() -> Iterator[list[Document]]:
        for start in range(0, count, 5000):
            yield [_document(i, leaves) for i in range(start, min(start + 5000, count))]

    table = ProductTable("1", "run-1", tree, batches())
    products: Current[ProductTable] = Current(lambda version: table if version is None else None, "")
    products.load()
    return create_app(Services(Metrics(), products=products), Access())


def _document(i: int, leaves: Any) -> Any:
    from modules.predictions.documents import Document

    top = [{"category_id": c.id, "category": c.text, "probability": 0.2} for c in leaves[:5]]
    best = leaves[i % len(leaves)]
    said = {
        "category_id": best.id, "category": best.text, "probability": i % 1000 / 1000, "categories": [best.id],
        "top": top,
    }  # fmt: skip
    values: dict[str, Any] = {
        "id": f"p{i:07}",
        "retailer": f"shop-{i % 7}",
        "objectives": {"exclusive": said},
        "version": 1,
    }
    return Document(values["id"], {**values, "run": "run-1", "model": "0" * 64}, None)


def classify_app(pushed: str, workflow: str) -> Any:
    """The API over a pushed model."""
    from api.app import Services, create_app
    from api.classify.classifier import Classifier, Model, PushedModels
    from api.classify.reading import ProductReader
    from api.current import Current
    from api.gate import Access
    from api.similarity.metrics import Metrics
    from modules.settings.workflow import Workflow

    models: Current[Model] = Current(PushedModels(Path(pushed), lambda _version: None), "")
    models.load()
    reader = ProductReader(Workflow.model_validate_json(workflow), [tuple])
    return create_app(Services(Metrics(), classifier=Classifier(models, reader)), Access())


def _serve(make: App, listener: socket.socket) -> None:
    from modules.http_server.limits import ConnectionLimits
    from modules.http_server.server import serve

    serve(make(), listener, ConnectionLimits(), None, None)


@contextmanager
def served(make: App) -> Iterator[httpx.Client]:
    """A client of the application in a process of its own."""
    from modules.http_server.listening import listen

    with listen("127.0.0.1", 0) as listener:
        process = multiprocessing.get_context("spawn").Process(target=_serve, args=(make, listener))
        process.start()
        try:
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx.Client(base_url=address, timeout=300.0) as client:
                client.get("/healthz")
                yield client
        finally:
            process.terminate()
            process.join()


def per_second(ask: Callable[[int], None], seconds: float) -> float:
    """Calls per second, one after the other, after a warm-up."""
    for i in range(10):
        ask(i)
    began, calls = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        ask(calls)
        calls += 1
    return calls / (time.perf_counter() - began)


def measure_reads(count: int, seconds: float) -> tuple[float, float]:
    """Requests per second: of the empty answer, and of products; medians of several rounds in turns."""

    def get(client: httpx.Client, path: str, step: int, i: int) -> None:
        answer = client.get(f"{path}/p{i * step % count:07}")
        assert answer.status_code == 200

    with served(empty_app) as empty, served(partial(products_app, count)) as products:
        rates = [
            (
                per_second(partial(get, empty, "/empty", 7919), seconds),
                per_second(partial(get, products, "/v1/products", 7919), seconds),
            )
            for _ in range(ROUNDS)
        ]
    return statistics.median(bare for bare, _ in rates), statistics.median(own for _, own in rates)


def measure_classify(seconds: float) -> tuple[float, float]:
    """Products per second: of the bare model, and of the API."""
    import shutil

    import tensorflow as tf

    from modules.saved_models import load_saved_model
    from tests.modules.training import catalogue
    from tests.modules.training.shared import exported_model

    workflow, model = exported_model()
    rows = [
        {name: row[name] for name in ("id", "title", "brand", "price") if row[name] is not None}
        for row in catalogue.products(10 * BATCH, 7)
    ]
    groups = [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]
    bodies = [orjson.dumps({"products": group}) for group in groups]
    encoded = [tf.constant([catalogue.raw_example(row) for row in group]) for group in groups]
    loaded = load_saved_model(model)
    signature = loaded.signatures["table"]
    with tempfile.TemporaryDirectory() as folder:
        version = Path(folder) / "1"
        shutil.copytree(model, version)
        catalogue.TREE.write(version / "taxonomy.json")
        with served(partial(classify_app, folder, workflow.model_dump_json())) as client:

            def bare(i: int) -> None:
                {name: value.numpy() for name, value in signature(examples=encoded[i % len(encoded)]).items()}

            def through(i: int) -> None:
                answer = client.post("/v1/classify", content=bodies[i % len(bodies)], headers=JSON)
                assert answer.status_code == 200

            def together(_: int) -> None:
                list(pool.map(through, range(CLIENTS)))

            with ThreadPoolExecutor(CLIENTS) as pool:
                rates = [(per_second(bare, seconds), CLIENTS * per_second(together, seconds)) for _ in range(ROUNDS)]
    return BATCH * statistics.median(bare for bare, _ in rates), BATCH * statistics.median(own for _, own in rates)


def main() -> None:
    """Measures, prints, and ends with an error where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="per round and way")
    arguments = parser.parse_args()
    bare, own = measure_reads(arguments.products, arguments.seconds)
    times = bare / own
    print(f"GET /v1/products/{{id}} at {arguments.products:,}: {own:,.0f} a second, empty answer {bare:,.0f}: "
          f"{times:.2f} times its seconds (goal: at most {READ_GOAL:g})", flush=True)  # fmt: skip
    bare, own = measure_classify(arguments.seconds)
    share = own / bare
    print(f"POST /v1/classify in batches of {BATCH}: {own:,.0f} products a second, bare model {bare:,.0f}: "
          f"{share:.2f} of it (goal: {CLASSIFY_GOAL:g})")  # fmt: skip
    sys.exit(int(times > READ_GOAL or share < CLASSIFY_GOAL))


if __name__ == "__main__":
    main()
