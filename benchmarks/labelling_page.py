"""The labelling page: from a key press to the next product on the screen, in Chromium, on a real server and store.

    python -m benchmarks.labelling_page

A hundred products with pictures, near-duplicates and labelled neighbours are answered by keyboard, one every half
second, as somebody in a hurry would; once on a fast network, and once with a fifth of a second to the server and back.
A time goes from the key's own time stamp to the second animation frame after the next product is in the page, by when
the first of them has been painted. The bar is 100 ms.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from labelling.content import Batch, Item, Neighbour, Product
from labelling.store import Store, importing
from labelling.store.database import now
from modules.taxonomy import Taxonomy
from tests.labelling.serving import serving

RESULTS = Path(__file__).parent / "results" / "labelling_page.md"
PRODUCTS, PAUSE = 100, 500
TREE = Taxonomy.from_paths([f"Top {i // 100} > Middle {i // 10 % 10} > Leaf {i % 10}" for i in range(1000)])
WATCH = """() => {
  window.times = [];
  const product = () => document.querySelector("form.card")?.dataset.product;
  document.addEventListener("keydown", (event) => {
    const before = product();
    const look = () => requestAnimationFrame(() => {
      if (product() === before) look();
      else requestAnimationFrame(() => times.push(performance.now() - event.timeStamp));
    });
    look();
  }, true);
}"""


def fill(store: Store, folder: Path) -> None:
    """A batch over a thousand categories, each product with a picture and neighbours."""
    rng = np.random.default_rng(1)
    leaves = [category.id for category in TREE.exclusive]
    products, items, near = [], [], []
    for i in range(PRODUCTS):
        picture = f"p{i}.jpg"
        Image.fromarray(rng.integers(0, 256, (60, 60, 3), np.uint8)).resize((600, 600)).save(folder / picture)
        fields = {"title": f"A product of some words, number {i}", "retailer": "Shop", "description": "word " * 100}
        products.append(Product(f"p{i}", fields, picture, str(folder)))
        suggestions = [(str(leaf), 0.5 / (n + 1)) for n, leaf in enumerate(rng.choice(leaves, 9, replace=False))]
        items.append(Item(i, f"p{i}", "margin", suggestions=suggestions))
        others = rng.choice(PRODUCTS, 8, replace=False)
        near += [Neighbour(f"p{i}", f"p{other}", "labelled", 0.5, leaves[0]) for other in others if other != i]
    with store.write() as connection:
        importing.taxonomy(connection, TREE, now())
        importing.objectives(connection, {"exclusive": "exclusive"})
        importing.batch(connection, Batch("round", "exclusive", items), now())
        importing.products(connection, products, None, now())
        importing.neighbours(connection, near)


def press_keys(browser: Any, url: str, latency: int) -> list[float]:
    """Milliseconds from each key to the next product."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(f"{url}/label")
    devices = page.context.new_cdp_session(page)
    devices.send("Network.enable")
    conditions = {"offline": False, "latency": latency, "downloadThroughput": -1, "uploadThroughput": -1}
    devices.send("Network.emulateNetworkConditions", conditions)
    page.evaluate(WATCH)
    for _ in range(PRODUCTS - 1):
        page.wait_for_timeout(PAUSE)
        page.keyboard.press("1")
    page.wait_for_function(f"() => times.length === {PRODUCTS - 1}")
    page.wait_for_function("() => pending.length === 0")
    found: list[float] = page.evaluate("times")
    page.context.close()
    return found


def main() -> None:
    """Measures and writes the table."""
    what = "From a key press to the next product on the screen, in milliseconds; 99 keys, half a second apart."
    lines = [
        "# Labelling page", "", what, "",
        "| to the server and back | median | 95% | longest |", "| --- | --- | --- | --- |",
    ]  # fmt: skip
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for latency in (0, 200):
            with tempfile.TemporaryDirectory() as folder:
                place = f"{folder}/labels.sqlite"
                with Store(place) as store:
                    fill(store, Path(folder))
                with serving(place) as server:
                    times = press_keys(browser, server.url, latency)
            name = f"{latency} ms" if latency else "this machine"
            middle, most = np.quantile(times, [0.5, 0.95])
            lines.append(f"| {name} | {middle:.0f} | {most:.0f} | {max(times):.0f} |")
            print(lines[-1])
        browser.close()
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
