"""Images of a stream of products: order, cache, folders, and what a path may lead to."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from modules.images import outcome
from modules.images.cache import ImageCache
from modules.images.listing import listing_fingerprint
from modules.images.loader import ImageLoader
from modules.images.outcome import Picture
from modules.settings.images import ImageSettings
from tests.modules.images.pictures import Server, decoded, encoded, noise, png_bomb, serving, status

ROOT = Path(__file__).parents[3]


def load(references: list[str | None], folder: Path, settings: ImageSettings) -> list[Picture | None]:
    loader = ImageLoader(settings, str(folder))
    try:
        found = list(loader.pictures(references, lambda reference: reference))
    finally:
        loader.close()
    assert [reference for reference, _ in found] == references
    return [picture for _, picture in found]


def reasons(references: list[str | None], folder: Path, settings: ImageSettings) -> list[str | None]:
    return [picture and picture.reason for picture in load(references, folder, settings)]


def allowed(server: Server, tmp_path: Path, **more: Any) -> ImageSettings:
    fields: dict[str, Any] = {
        "hosts": ("*",), "ports": (server.port,), "allow_private": True, "cache": str(tmp_path / "cache"), "retries": 0,
    }  # fmt: skip
    return ImageSettings(**{**fields, **more})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "feed"
    (folder / "images").mkdir(parents=True)
    for i in range(5):
        (folder / "images" / f"{i}.jpg").write_bytes(encoded(noise(40, 30, i)))
    return folder


def test_every_product_has_its_own_image_in_its_own_place(folder: Path) -> None:
    names: list[str | None] = [f"images/{i % 5}.jpg" for i in range(700)]
    names[3], names[4], names[5] = None, "", "images/none.jpg"
    found = load(names, folder, ImageSettings(threads=3))
    for name, picture in zip(names, found, strict=True):
        if name is None:
            assert picture is None
        elif not name:
            assert picture == Picture(b"", outcome.MISSING)
        elif name == "images/none.jpg":
            assert picture == Picture(b"", outcome.NOT_FOUND)
        else:
            assert picture == Picture((folder / name).read_bytes(), outcome.OK)


def test_what_is_wrong_with_an_image_is_a_reason(folder: Path) -> None:
    (folder / "bomb.png").write_bytes(png_bomb())
    (folder / "cut.jpg").write_bytes(encoded(noise(90, 90))[:-200])
    (folder / "page.jpg").write_bytes(b"<html><script>alert(1)</script></html>")
    (folder / "drawing.jpg").write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    (folder / "big.jpg").write_bytes(b"\xff\xd8\xff" + bytes(5000))
    names: list[str | None] = ["bomb.png", "cut.jpg", "page.jpg", "drawing.jpg", "big.jpg", "images"]
    assert reasons(names, folder, ImageSettings(max_bytes=4000)) == [
        outcome.TOO_LARGE, outcome.BROKEN, outcome.NOT_AN_IMAGE, outcome.NOT_AN_IMAGE, outcome.TOO_LARGE,
        outcome.NOT_FOUND,
    ]  # fmt: skip
    assert reasons(["bomb.png"], folder, ImageSettings()) == [outcome.TOO_MANY_PIXELS]


def test_no_path_leads_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(encoded(noise(40, 30)))
    (folder / "link.jpg").symlink_to(secret)
    (folder / "up").symlink_to(tmp_path)
    (folder / "inside.jpg").symlink_to(folder / "images" / "1.jpg")
    os.mkfifo(folder / "pipe.jpg")
    names: list[str | None] = [
        "../secret.jpg", str(secret), "images/../../secret.jpg", "link.jpg", "up/secret.jpg", f"file://{secret}",
        "pipe.jpg", "images/0.jpg\0.png", "x" * 5000,
    ]  # fmt: skip
    assert reasons(names, folder, ImageSettings()) == [
        *[outcome.NOT_ALLOWED] * 6, outcome.NOT_FOUND, outcome.BAD_REFERENCE, outcome.BAD_REFERENCE
    ]  # fmt: skip
    assert reasons(["inside.jpg"], folder, ImageSettings()) == [outcome.OK]


def test_large_images_are_made_smaller(folder: Path) -> None:
    (folder / "large.png").write_bytes(encoded(noise(900, 300), "PNG"))
    [picture] = load(["large.png"], folder, ImageSettings(size=64))
    assert picture is not None and decoded(picture.data).size == (64, 21)


def test_a_second_run_fetches_nothing(tmp_path: Path) -> None:
    image, other = encoded(noise(40, 30)), encoded(noise(40, 30, 1))
    answers = {"/a.jpg": status(200, image), "/same.jpg": status(200, image), "/b.jpg": status(200, other)}
    with serving(answers) as server:
        settings = allowed(server, tmp_path)
        names: list[str | None] = [server.url(f"/{n}.jpg") for n in ("a", "b", "same", "none", "a", "a", "b")]
        first = load(names, tmp_path, settings)
        assert Counter(path for path, _ in server.seen) == {"/a.jpg": 1, "/b.jpg": 1, "/same.jpg": 1, "/none.jpg": 1}
        assert load(names, tmp_path, settings) == first
        assert len(server.seen) == 4
        # Equal images lie there once.
        assert len(list((tmp_path / "cache" / "images").rglob("*.jpg"))) == 2


def test_failures_are_forgotten_in_time_and_with_the_settings_they_came_from(tmp_path: Path) -> None:
    with serving({}) as server:
        settings = allowed(server, tmp_path)
        name = server.url("/later.jpg")
        assert reasons([name], tmp_path, settings) == reasons([name], tmp_path, settings) == [outcome.NOT_FOUND]
        assert len(server.seen) == 1
        load([name], tmp_path, settings.model_copy(update={"retry_after_hours": 0.0}))
        assert len(server.seen) == 2
        load([name], tmp_path, settings.model_copy(update={"max_bytes": 5000}))
        assert len(server.seen) == 3


def test_what_a_host_that_is_left_alone_was_not_asked_for_is_asked_for_in_the_next_run(tmp_path: Path) -> None:
    image = encoded(noise(40, 30))
    names: list[str | None] = [f"/{i}.jpg" for i in range(30)]
    answers = {f"/{i}.jpg": status(503) if i < 20 else status(200, image) for i in range(30)}
    with serving(answers) as server:
        settings = allowed(server, tmp_path, threads=1)
        urls: list[str | None] = [server.url(str(name)) for name in names]
        assert reasons(urls, tmp_path, settings) == [outcome.HTTP_5XX] * 30
        assert [path for path, _ in server.seen] == names[:20]
        assert reasons(urls, tmp_path, settings) == [outcome.HTTP_5XX] * 20 + [outcome.OK] * 10
        assert [path for path, _ in server.seen] == names


def test_closing_does_not_wait_for_a_host_that_never_ends(tmp_path: Path) -> None:
    begun, over = threading.Semaphore(0), threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        begun.release()
        while not over.wait(0.05):
            handler.wfile.write(b"x")

    with serving({f"/{i}": drip for i in range(2)}) as server:
        loader = ImageLoader(allowed(server, tmp_path, threads=2, deadline=600.0), str(tmp_path))
        products = loader.pictures([server.url("/0"), server.url("/1"), None], lambda reference: reference)
        asking = threading.Thread(target=lambda: list(products), daemon=True)
        asking.start()
        assert begun.acquire(timeout=60) and begun.acquire(timeout=60)
        closing = threading.Thread(target=loader.close, daemon=True)
        closing.start()
        closing.join(10)
        asking.join(10)
        ended = not closing.is_alive() and not asking.is_alive()
        over.set()
        assert ended


def test_a_stream_that_breaks_off_leaves_nothing_behind(tmp_path: Path) -> None:
    over = threading.Event()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        over.wait(60)
        status(404)(handler)

    def products() -> Iterator[str]:
        yield from (server.url(f"/{i}") for i in range(20))
        raise ValueError("a feed that ends in the middle")

    with serving({f"/{i}": slow for i in range(20)}) as server:
        loader = ImageLoader(allowed(server, tmp_path, threads=1), str(tmp_path))
        with pytest.raises(ValueError, match="in the middle"):
            list(loader.pictures(products(), lambda reference: reference))
        over.set()
        # Fetched by the next stream, after the one that was under way.
        [(_, picture)] = loader.pictures([server.url("/19")], lambda reference: reference)
        loader.close()
        assert picture == Picture(b"", outcome.NOT_FOUND)
        assert len(server.seen) <= 2 and server.seen[-1][0] == "/19"


def test_a_damaged_cache_is_fetched_again(tmp_path: Path) -> None:
    image = encoded(noise(40, 30))
    with serving({"/a.jpg": status(200, image)}) as server:
        settings, name = allowed(server, tmp_path), server.url("/a.jpg")
        load([name], tmp_path, settings)
        [file] = (tmp_path / "cache" / "images").rglob("*.jpg")
        file.write_bytes(image[:-5] + b"12345")
        assert load([name], tmp_path, settings) == [Picture(image, outcome.OK)]
        assert file.read_bytes() == image and len(server.seen) == 2
        for path in (tmp_path / "cache").glob("index.sqlite*"):
            path.write_bytes(b"no database at all" * 100)
        assert load([name], tmp_path, settings) == [Picture(image, outcome.OK)]
        assert load([name], tmp_path, settings) == [Picture(image, outcome.OK)]
        assert len(server.seen) == 3


def test_the_cache_stays_below_its_size(tmp_path: Path) -> None:
    cache = ImageCache(str(tmp_path), "policy", 1.0, 10_000)
    for i in range(20):
        data = bytes([i]) * 1000
        cache.record(bytes([i]) * 16, cache.store(data), outcome.OK, len(data))
    cache.close()
    files = list((tmp_path / "images").rglob("*.jpg"))
    assert 0 < sum(file.stat().st_size for file in files) <= 10_000
    again = ImageCache(str(tmp_path), "policy", 1.0, 10_000)
    found = [again.find(bytes([i]) * 16) for i in range(20)]
    again.close()
    assert sum(picture is not None for picture in found) == len(files)


_WORKER = """
import sys
from modules.images.loader import ImageLoader
from modules.settings.images import ImageSettings
loader = ImageLoader(ImageSettings(cache=sys.argv[2], threads=2), sys.argv[1])
names = [f"images/{i % 5}.jpg" for i in range(300)]
print({picture.reason for _, picture in loader.pictures(names, lambda name: name)})
loader.close()
"""


def test_processes_share_a_cache(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WORKER, str(folder), str(tmp_path / "cache")]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(3)]
    assert [worker.communicate(timeout=120)[0].strip() for worker in workers] == ["{'ok'}"] * 3
    assert len(list((tmp_path / "cache" / "images").rglob("*.jpg"))) == 5


def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        ImageLoader(ImageSettings(cache=str(tmp_path / "file" / "cache")), str(tmp_path))


def test_the_listing_sees_changed_images(folder: Path) -> None:
    seen = {listing_fingerprint(str(folder))}
    (folder / "images" / "new.png").write_bytes(b"1")
    seen.add(listing_fingerprint(str(folder)))
    (folder / "images" / "0.jpg").write_bytes(b"22")
    seen.add(listing_fingerprint(str(folder)))
    os.utime(folder / "images" / "1.jpg", ns=(5, 5))
    seen.add(listing_fingerprint(str(folder)))
    (folder / "images" / "2.jpg").unlink()
    seen.add(listing_fingerprint(str(folder)))
    assert len(seen) == 5
    (folder / "feed.jsonl").write_text("")
    assert listing_fingerprint(str(folder)) in seen
