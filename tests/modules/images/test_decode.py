"""Any bytes to a canonical JPEG, or a reason."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.images.decode import FORMATS, canonical
from modules.images.header import read_header
from modules.images.outcome import BROKEN, NOT_AN_IMAGE, TOO_MANY_PIXELS, ImageError
from tests.modules.images.pictures import chunk, decoded, encoded, noise, png_bomb

PIXELS = 1_000_000


def reason(data: bytes, pixels: int = PIXELS) -> str:
    with pytest.raises(ImageError) as error:
        canonical(data, 64, pixels)
    return error.value.reason


def is_canonical(data: bytes, size: int) -> Image.Image:
    image = decoded(data)
    assert (image.format, image.mode) == ("JPEG", "RGB") and max(image.size) <= size
    assert not image.info.keys() & {"progressive", "exif", "icc_profile", "comment", "xmp"}
    header = read_header(data)
    assert header is not None and header.baseline and data.endswith(b"\xff\xd9")
    return image


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", [(40, 30), (300, 200), (97, 401)])
def test_every_format_and_size(kind: str, size: tuple[int, int]) -> None:
    original = noise(*size)
    data = encoded(original, kind)
    header = read_header(data)
    assert header is not None and (header.format, header.width, header.height) == (kind, *size)
    image = is_canonical(canonical(data, 64, PIXELS), 64)
    scale = min(1.0, 64 / max(size))
    assert image.size == (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    expected = np.asarray(original.resize(image.size, Image.Resampling.BOX), dtype=float)
    assert np.abs(np.asarray(image, dtype=float) - expected).mean() < (14 if kind == "GIF" else 6)


def test_a_fine_jpeg_stays_byte_for_byte() -> None:
    data = encoded(noise(60, 80), quality=80)
    assert canonical(data, 256, PIXELS) == data


def test_metadata_and_what_follows_the_end_go_without_a_second_encoding() -> None:
    image = noise(60, 80)
    plain = encoded(image, quality=80)
    exif = Image.Exif()
    exif[0x010E] = "where it was taken"
    data = encoded(image, quality=80, exif=exif, comment=b"a comment", icc_profile=b"p" * 500)
    assert b"where it was" in data and b"a comment" in data
    polyglot = data + b"<html><script>alert(1)</script></html>PK\x03\x04"
    assert canonical(polyglot, 256, PIXELS) == plain


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0, "restart_marker_blocks": 1}])
def test_other_kinds_of_jpeg(options: dict[str, object]) -> None:
    image = is_canonical(canonical(encoded(noise(60, 40), **options), 64, PIXELS), 64)
    assert np.abs(np.asarray(image, float) - np.asarray(noise(60, 40), float)).mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("side", [48, 400])
def test_orientation_is_applied(orientation: int, side: int) -> None:
    upright = Image.new("RGB", (side, side // 2), (255, 255, 255))
    upright.paste((255, 0, 0), (0, 0, side // 2, side // 4))
    back = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    stored = upright if back is None else upright.transpose(back)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = is_canonical(canonical(encoded(stored, exif=exif, quality=95), 64, PIXELS), 64)
    width, height = image.size
    assert width == 2 * height
    red, white = image.getpixel((width // 5, height // 5)), image.getpixel((4 * width // 5, 4 * height // 5))
    assert red[1] < 60 and white[1] > 200


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_transparency_is_white(kind: str) -> None:
    layer = Image.new("RGBA", (40, 40), (200, 0, 0, 255))
    layer.paste((0, 0, 200, 0), (0, 0, 20, 40))
    image = is_canonical(canonical(encoded(layer, kind), 64, PIXELS), 64)
    assert min(image.getpixel((6, 20))) > 240 and image.getpixel((34, 20))[1] < 40


def test_palette_with_transparency_grey_cmyk_and_16_bits() -> None:
    palette = Image.new("P", (20, 20), 1)
    palette.putpalette([0, 0, 0, 0, 200, 0])
    green = decoded(canonical(encoded(palette, "PNG"), 64, PIXELS)).getpixel((9, 9))
    assert green[1] > 180 and green[0] < 30
    assert min(decoded(canonical(encoded(palette, "PNG", transparency=1), 64, PIXELS)).getpixel((9, 9))) > 240
    grey = decoded(canonical(encoded(Image.new("LA", (20, 20), (90, 255)), "PNG"), 64, PIXELS)).getpixel((9, 9))
    assert all(abs(c - 90) < 6 for c in grey)
    cmyk = decoded(canonical(encoded(Image.new("CMYK", (20, 20), (0, 255, 255, 0))), 64, PIXELS)).getpixel((9, 9))
    assert cmyk[0] > 200 and cmyk[1] < 60
    deep = Image.fromarray(np.full((20, 20), 128 << 8, np.uint16))
    assert all(abs(c - 128) < 6 for c in decoded(canonical(encoded(deep, "PNG"), 64, PIXELS)).getpixel((9, 9)))


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (20, 20), color) for color in ((200, 0, 0), (0, 200, 0))]
    for kind in ("GIF", "WEBP", "PNG"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
        assert decoded(canonical(data, 64, PIXELS)).getpixel((9, 9))[0] > 180


def test_bombs_are_not_decoded() -> None:
    assert reason(png_bomb()) == TOO_MANY_PIXELS
    assert reason(encoded(noise(400, 400), "PNG"), 400 * 400 - 1) == TOO_MANY_PIXELS
    assert canonical(encoded(noise(400, 400), "PNG"), 64, 400 * 400)
    webp = b"RIFF" + struct.pack("<I", 100) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\x3f\x00" * 2
    assert reason(webp + bytes(70)) == TOO_MANY_PIXELS
    gif = b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(40)
    assert reason(gif) == TOO_MANY_PIXELS
    jpeg = b"\xff\xd8\xff\xc0\x00\x11\x08" + struct.pack(">HH", 65535, 65535) + b"\x03" + bytes(40)
    assert reason(jpeg) == TOO_MANY_PIXELS
    # A small canvas with a frame that reaches far beyond it.
    small = bytearray(encoded(Image.new("P", (4, 4)), "GIF"))
    place = small.index(b"\x2c") + 5
    small[place : place + 4] = struct.pack("<HH", 60_000, 60_000)
    assert reason(bytes(small)) in (TOO_MANY_PIXELS, BROKEN)
    # A text chunk that unpacks to 100 MB.
    text = chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(100_000_000), 9))
    png = encoded(noise(20, 20), "PNG")
    assert reason(png[:33] + text + png[33:]) == BROKEN


def test_a_jpeg_of_many_scans_is_not_decoded() -> None:
    """Each scan is some bytes long and visits every pixel."""
    picture = encoded(noise(400, 300), progressive=True)
    assert picture.count(b"\xff\xda") == 10
    assert canonical(picture, 64, 400 * 300)  # as a camera writes it, at the limit
    last = picture.rindex(b"\xff\xda")
    scan = picture[last:-2]
    many = [picture[:last] + scan * count + b"\xff\xd9" for count in (10, 20, 600)]
    assert canonical(many[0], 64, 400 * 300)
    assert reason(many[1], 400 * 300) == TOO_MANY_PIXELS
    assert canonical(many[1], 64, 10 * 400 * 300) and reason(many[2], 10**8) == TOO_MANY_PIXELS


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_that_is_cut_off_is_broken(kind: str) -> None:
    data = encoded(noise(300, 200), kind)
    for share in (0.3, 0.6, 0.9):
        assert reason(data[: int(share * len(data))]) in (BROKEN, NOT_AN_IMAGE)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xff", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<!doctype html><html></html>", b"%PDF-1.7",
        b"%!PS-Adobe-3.0 EPSF-3.0\n", encoded(noise(20, 20), "BMP"), encoded(noise(20, 20), "TIFF"),
        encoded(noise(20, 20), "PPM"), encoded(noise(32, 32), "ICO"), b"GIF89a", b"RIFF\0\0\0\0WEBP",
    ],
)  # fmt: skip
def test_other_things_are_no_images(data: bytes) -> None:
    assert reason(data) == NOT_AN_IMAGE


def _padded(kind: str, part: bytes, count: int) -> bytes:
    """A picture with ``count`` times ``part`` where a file of its format may have any number of such."""
    raw = encoded(noise(8, 8), kind)
    place = {"JPEG": 2, "PNG": 33, "GIF": raw.find(b",\0\0\0\0")}[kind]
    return raw[:place] + part * count + raw[place:]


PARTS = {
    "comments": ("JPEG", b"\xff\xfe\0\2"), "metadata": ("JPEG", b"\xff\xe1\0\2"), "tables": ("JPEG", b"\xff\xc4\0\2"),
    "filling": ("JPEG", b"\xff"), "restarts": ("JPEG", b"\xff\xd0"), "texts": ("PNG", chunk(b"tEXt", b"a\0b")),
    "data": ("PNG", chunk(b"IDAT", b"")), "private": ("PNG", chunk(b"prVt", b"")), "remarks": ("GIF", b"!\xfe\1a\0"),
    "application": ("GIF", b"!\xff\1a\0"), "empty": ("GIF", b"!\xf9\0"),
}  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_a_file_of_a_million_parts_is_refused_before_pillow_parses_it(part: str) -> None:
    """Each took Pillow from 3 seconds (empty chunks) to longer than anybody waited (a GIF's comments)."""
    kind, piece = PARTS[part]
    assert reason(_padded(kind, piece, 1_000_000)) in (TOO_MANY_PIXELS, NOT_AN_IMAGE)


def test_one_comment_of_very_many_blocks_is_refused() -> None:
    assert reason(_padded("GIF", b"!\xfe" + b"\1a" * 100_000 + b"\0", 1)) == TOO_MANY_PIXELS


@pytest.mark.parametrize(
    ("kind", "piece", "count"),
    [
        ("JPEG", b"\xff\xe2\xff\xff" + bytes(65533), 200), ("JPEG", b"\xff", 100),
        ("PNG", chunk(b"tEXt", b"a\0b"), 2000),
        ("GIF", b"!\xfe" + (b"\xff" + b"a" * 255) * 900 + b"\0", 1), ("GIF", b"!\xff\x0bXMP DataXMP\3abc\0", 2000),
    ],
)  # fmt: skip
def test_as_many_parts_as_real_files_have(kind: str, piece: bytes, count: int) -> None:
    is_canonical(canonical(_padded(kind, piece, count), 64, PIXELS), 64)


SEEDS = [encoded(noise(30, 20), kind) for kind in FORMATS]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=6)), max_size=5))
@example(SEEDS[0], [])
def test_damaged_files_never_raise_anything_else(seed: bytes, damage: list[tuple[int, bytes]]) -> None:
    data = bytearray(seed)
    for place, piece in damage:
        place %= len(data)
        data[place : place + len(piece)] = piece
    try:
        result = canonical(bytes(data), 64, PIXELS)
    except ImageError:
        return
    is_canonical(result, 64)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF1234WEBPVP8 "]), st.binary())
def test_random_bytes_never_raise_anything_else(start: bytes, rest: bytes) -> None:
    read_header(start + rest)
    try:
        canonical(start + rest, 64, PIXELS)
    except ImageError:
        return
    with Image.open(io.BytesIO(start + rest)) as image:
        image.load()
