"""Product images: what is shown, and what no request and no feed reaches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from PIL import Image

from labelling.store import Store
from labelling.web.images import draw
from tests.labelling import shop
from tests.labelling.serving import serving


def picture(file: Path, size: tuple[int, int] = (900, 300), kind: str = "PNG") -> None:
    Image.new("RGB", size, "red").save(file, kind)


def test_no_request_and_no_feed_reaches_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "feed"
    (folder / "images").mkdir(parents=True)
    picture(folder / "images" / "good.png")
    picture(tmp_path / "secret.png")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "svg.png").write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    (folder / "passwd").write_text("root:x:0:0")
    picture(folder / "bomb.png", (8000, 7000))
    images = ["images/good.png", "../secret.png", str(tmp_path / "secret.png"), "link.png", "svg.png", "passwd",
              "bomb.png", "nothing.png", "images", "a\0b", ""]  # fmt: skip
    products = [replace(shop.product(f"p{i}"), image=image, image_folder=str(folder)) for i, image in enumerate(images)]
    with Store(tmp_path / "labels.sqlite") as store:
        shop.fill(store, shop.batch(len(images)), products=products)
    with serving(str(tmp_path / "labels.sqlite")) as server, httpx.Client(base_url=server.url) as http:
        answers = [http.get("/image", params={"id": f"p{i}"}) for i in range(len(images))]
        assert answers[0].headers["content-type"] == "image/png"
        (folder / "drawn.png").write_bytes(answers[0].content)
        assert Image.open(folder / "drawn.png").size == (640, 213)
        nothing = http.get("/image", params={"id": "nobody"})
        for image, answer in zip(images[1:], answers[1:], strict=True):
            assert answer.headers["content-type"] == "image/svg+xml" and answer.content == nothing.content, image
        for name in ("../secret.png", str(tmp_path / "secret.png"), "/etc/passwd", "p0/../../secret.png"):
            assert http.get("/image", params={"id": name}).content == nothing.content
        for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd",
                     "/static/....//app.py", "/static/%00", "/static/"):  # fmt: skip
            answer = http.get(httpx.URL(server.url).copy_with(raw_path=path.encode()))
            assert answer.status_code in (400, 404), path


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_pictures_are_drawn_anew(tmp_path: Path, kind: str) -> None:
    picture(tmp_path / "x", (50, 20), kind)
    whole = (tmp_path / "x").read_bytes()
    (tmp_path / "x").write_bytes(whole + b"<script>alert(1)</script>")
    made = draw(tmp_path / "x")
    assert made is not None and made.startswith(b"\x89PNG") and b"script" not in made
    (tmp_path / "x").write_bytes(whole[: len(whole) // 2])
    draw(tmp_path / "x")  # half a file raises nothing
    (tmp_path / "y").write_bytes(b"\0" * (17 << 20))
    assert draw(tmp_path / "y") is None
