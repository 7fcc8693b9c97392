"""Takes the pictures of docs/images: every labelling page, over the demo catalogue, in Chromium.

    python docs/screenshots.py            # all
    python docs/screenshots.py similar    # those of similar products
    python docs/screenshots.py labelling  # all others

Runs the demo, queues its batch and its review in a store of its own, has two people label some products by keyboard,
runs it again with their labels, and looks at each page in the width of a desk and, where people label, of a phone. For
similar products it runs the demo once more, with its pictures. Needs Chromium (`make test-full` installs it).
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

from tests.labelling.serving import serving  # noqa: E402

DESK, PHONE = {"width": 1180, "height": 800}, {"width": 390, "height": 844}
LABELLED, PAUSE = 12, 2000
IMAGES = (
    "features.picture.kind=image",
    "features.picture.size=[32, 32]",
    "training.epochs=6",
    "similarity.indexes.image.embedding=image",
    "similarity.indexes.text.embedding=text",
)
"""Settings of the demo with its pictures, and an index of each embedding."""
PASSWORD = "correct horse battery staple"


def shelfmark(*arguments: str) -> None:
    """The command line, as a user calls it."""
    subprocess.run([sys.executable, "-m", "shelfmark", *arguments], check=True, cwd=DOCS.parent)


class Camera:
    """Goes to pages and keeps what they look like."""

    def __init__(self, browser: Any, url: str):
        self.browser, self.url = browser, url
        self.page = browser.new_context(viewport=DESK).new_page()

    def take(self, name: str, path: str | None = None, *, phone: bool = False) -> None:
        """A picture of ``path``, or of what is on screen."""
        page = self.page
        if phone:
            page = self.browser.new_context(viewport=PHONE, device_scale_factor=2).new_page()
        if path is not None:
            page.goto(self.url + path)
        page.wait_for_load_state("networkidle")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{name}: the page is {wide} pixels wider than the screen"
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        picture.save(DOCS / "images" / f"{name}.webp", quality=80, method=6)
        print(name)

    def link(self, path: str, pattern: str) -> str:
        """The first link on a page that the pattern finds."""
        self.page.goto(self.url + path)
        found = re.search(pattern, self.page.content())
        assert found is not None, f"no {pattern} on {path}"
        return found.group(1).replace("&amp;", "&")


def label(camera: Camera, others: dict[int, str]) -> None:
    """Answers at people's pace with the model's first category; ``others``: number of the product to another key."""
    page = camera.page
    page.goto(f"{camera.url}/label")
    for number in range(LABELLED):
        page.wait_for_timeout(PAUSE)
        key = others.get(number, "1")
        before = page.get_attribute("form.card", "data-product")
        page.keyboard.press(key)
        page.wait_for_function("b => document.querySelector('form.card')?.dataset.product !== b", arg=before)
    page.wait_for_function("() => pending.length === 0")


def similar(browser: Any, folder: str) -> None:
    """Runs the demo with its pictures, and takes those of similar products."""
    store, indexes = f"{folder}/similar.sqlite", f"{folder}/indexes"
    runs = ["--demo", "--set", f"runners.local.folder={folder}/similar-runs"]
    for setting in IMAGES:
        runs += ["--set", setting]
    shelfmark("run", "--to", "ScannIndex", *runs)
    shelfmark("label", "import-products", "--store", store, *runs)
    shelfmark("similar", "full-text", "--output", indexes, *runs)
    take_similar(browser, store, indexes)


def take_similar(browser: Any, store: str, indexes: str) -> None:
    """Neighbours by each method, two of them ticked, and a triplet to judge."""
    with serving(store, "--annotator", "anna", "--index", indexes) as server:
        camera = Camera(browser, server.url)
        page = camera.page
        page.goto(f"{server.url}/similar?q=chelsea boots")
        page.click(".wall a")
        page.click(".walk")
        page.wait_for_load_state("networkidle")
        camera.take("similar-phone", page.url.removeprefix(server.url), phone=True)
        shown = page.locator(".near-by").evaluate_all("some => some.map((one) => one.dataset.id)")
        other = next(i for i, one in enumerate(shown) if i >= 10 and one != shown[0])
        for number in (0, other):
            page.locator("[name=pick]").nth(number).check()
        page.evaluate("scrollTo(0, 0)")
        camera.take("similar")
        query = page.get_attribute(".asked", "data-id")
        camera.take("judge", f"/judge?query={query}&a={shown[0]}&b={shown[other]}")


def take_report(browser: Any, run: Path) -> None:
    """The beginning of a run's report."""
    camera = Camera(browser, (run / "reports").as_uri())
    camera.take("report", "/latest.html")


def main(only: str) -> None:
    """Everything, or the pages of similar products alone."""
    (DOCS / "images").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        browser = started.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        if only != "labelling":
            similar(browser, folder)
        if only == "similar":
            return
        store = f"{folder}/labels.sqlite"
        runs = ("--demo", "--set", f"runners.local.folder={folder}/runs")
        shelfmark("run", *runs)
        shelfmark("label", "import-batch", "--overlap", "2", "--store", store, *runs)
        shelfmark("label", "import-review", "--store", store, *runs)
        for name, others in (("ben", {2: "2", 7: "s"}), ("anna", {3: "s", 5: "0"})):
            with serving(store, "--annotator", name) as server:
                label(Camera(browser, server.url), others)
        shelfmark("run", *runs, "--set", f"labels.store={store}")
        take_report(browser, Path(folder) / "runs" / "demo")
        shelfmark("label", "import-batch", "--store", store, *runs)
        with serving(store, "--annotator", "anna") as server:
            camera = Camera(browser, server.url)
            camera.page.goto(f"{server.url}/label")
            camera.take("label")
            camera.page.keyboard.press("/")
            camera.page.keyboard.type("boot")
            camera.page.wait_for_timeout(400)
            camera.take("label-search")
            camera.take("label-phone", "/label", phone=True)
            camera.take("home", "/")
            camera.take("review", "/review")
            camera.take("categories", "/categories")
            camera.take("category", camera.link("/categories", r'href="(/category\?id=[^"]*ankle[^"]*)"'))
            camera.take("runs", "/runs")
            camera.take("run", camera.link("/runs", r'href="(/run\?id=[^"]+)"'))
            batch = camera.link("/", r'href="(/batch\?id=[^"]+)"')
            camera.take("batch", batch)
            done = r'href="(/product\?id=[^"]+)"(?:(?!<tr>)[\s\S])*?class="state done"'
            camera.take("product", camera.link(batch, done))
            camera.take("products", "/products?q=boots")
        accounts = f"{folder}/accounts.sqlite"
        put = ["label", "account", "put", "anna", "--role", "admin", "--store", accounts]
        said = PASSWORD + "\n"
        subprocess.run([sys.executable, "-m", "shelfmark", *put], input=said, text=True, check=True, cwd=DOCS.parent)
        with serving(accounts, "--accounts") as server:
            camera = Camera(browser, server.url)
            camera.take("sign-in", "/sign-in")
            camera.page.fill("[name=name]", "anna")
            camera.page.fill("[name=password]", PASSWORD)
            camera.page.keyboard.press("Enter")
            camera.page.wait_for_url(f"{server.url}/")
            camera.take("audit", "/audit")
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:2] or ("",))
