"""Images in object stores, from servers on loopback that speak S3 and Google's JSON API."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.images import outcome
from modules.images.loader import ImageLoader
from modules.images.outcome import Picture
from modules.settings.images import ImageSettings
from tests.modules.images.pictures import encoded, noise, png_bomb
from tests.object_store import ObjectStore

SCHEMES = ("s3", "minio", "gs")


def load(references: list[str], folder: str, settings: ImageSettings) -> list[Picture | None]:
    loader = ImageLoader(settings, folder)
    try:
        return [picture for _, picture in loader.pictures(references, lambda one: one)]
    finally:
        loader.close()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_product_has_its_own_image_or_a_reason(store: ObjectStore, tmp_path: Path, scheme: str) -> None:
    images = {f"images/{i} ü%20.jpg": encoded(noise(40, 30, i)) for i in range(30)}
    for name, data in {**images, "bomb.png": png_bomb(), "page.jpg": b"<html>", "large.jpg": bytes(200_001)}.items():
        store.objects["shop", name] = store.objects["secret", name] = data
    settings = ImageSettings(hosts=("shop", "nobody"), schemes=(scheme,), max_bytes=200_000, cache=str(tmp_path / "c"))
    wrong = {
        f"{scheme}://shop/none.jpg": outcome.NOT_FOUND, f"{scheme}://nobody/a.jpg": outcome.NOT_FOUND,
        f"{scheme}://shop/bomb.png": outcome.TOO_MANY_PIXELS, f"{scheme}://shop/page.jpg": outcome.NOT_AN_IMAGE,
        f"{scheme}://shop/large.jpg": outcome.TOO_LARGE, f"{scheme}://secret/bomb.png": outcome.NOT_ALLOWED,
        f"{scheme}://shop/../secret/bomb.png": outcome.NOT_ALLOWED, f"{scheme}://shop": outcome.BAD_REFERENCE,
        "https://shop/a.jpg": outcome.NOT_ALLOWED,
    }  # fmt: skip
    references = [*(f"{scheme}://shop/{name}" for name in images), *wrong]
    found = load(references, str(tmp_path), settings)
    assert found[: len(images)] == [Picture(data, outcome.OK) for data in images.values()]
    assert {
        one: picture and picture.reason for one, picture in zip(references, found, strict=True) if one in wrong
    } == wrong
    # Known from then on, what there is and what there is not; Google's client asks about the bucket at any time.
    asked = [path for path in store.asked if path.endswith("g")]
    assert len(asked) >= len(images) and load(references, str(tmp_path), settings) == found
    assert [path for path in store.asked if path.endswith("g")] == asked


@pytest.mark.parametrize("scheme", SCHEMES)
def test_paths_below_a_feed_in_a_store(store: ObjectStore, scheme: str) -> None:
    data = encoded(noise(40, 30))
    store.objects["shop", "feeds/new/images/a.jpg"] = store.objects["shop", "feeds/other.jpg"] = data
    found = load(
        ["images/a.jpg", "../other.jpg", "/feeds/other.jpg", "b.jpg"], f"{scheme}://shop/feeds/new/", ImageSettings()
    )
    assert found == [Picture(data, outcome.OK)] + [
        Picture(b"", reason) for reason in (outcome.NOT_ALLOWED, outcome.NOT_ALLOWED, outcome.NOT_FOUND)
    ]


def test_whom_the_store_refuses(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody else")
    store.objects["shop", "a.jpg"] = encoded(noise(40, 30))
    settings = ImageSettings(hosts=("shop",), schemes=("s3",))
    assert load(["s3://shop/a.jpg", "s3://shop/a//b.jpg"], "/", settings) == [
        Picture(b"", outcome.HTTP_4XX), Picture(b"", outcome.BAD_REFERENCE),
    ]  # fmt: skip
