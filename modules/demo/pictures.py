"""Draws the demo's product images: the silhouette follows the category, the colour the product.

Images have four colours (background, body, detail, light), so a 64-pixel PNG takes some 300 bytes.
"""

from __future__ import annotations

import io
from typing import Any

BODY, DETAIL, LIGHT = 1, 2, 3
# Kind, colour, and coordinates on a canvas of 100 x 100: x, y and so on of a polygon, the box of any other kind.
Part = tuple[str, int, tuple[int, ...]]


def _p(color: int, *xy: int) -> Part:
    return ("polygon", color, xy)


def _e(color: int, *box: int) -> Part:
    return ("ellipse", color, box)


def _r(color: int, *box: int) -> Part:
    return ("rectangle", color, box)


def _o(color: int, *box: int) -> Part:
    return ("ring", color, box)


# fmt: off
SHAPES: dict[str, tuple[Part, ...]] = {
    "boot": (_p(BODY, 30, 10, 58, 10, 58, 52, 88, 66, 88, 82, 30, 82), _r(DETAIL, 30, 82, 88, 90),
        _r(LIGHT, 30, 18, 58, 24)),
    "sneaker": (_p(BODY, 10, 40, 34, 36, 60, 52, 90, 60, 92, 74, 10, 74), _r(LIGHT, 10, 74, 92, 84),
        _p(DETAIL, 40, 42, 56, 52, 50, 58, 34, 48)),
    "sandal": (_e(DETAIL, 8, 62, 92, 84), _p(BODY, 24, 66, 40, 38, 52, 38, 46, 68),
        _p(BODY, 58, 70, 66, 44, 78, 46, 76, 72)),
    "heel": (_p(BODY, 12, 26, 30, 26, 52, 56, 92, 68, 92, 78, 56, 76, 26, 48, 18, 86, 12, 86),),
    "loafer": (_p(BODY, 8, 48, 36, 46, 62, 54, 92, 64, 92, 76, 8, 76), _r(DETAIL, 8, 76, 92, 82),
        _e(LIGHT, 44, 50, 60, 62)),
    "tin": (_r(BODY, 24, 40, 76, 80), _e(DETAIL, 24, 30, 76, 50), _r(LIGHT, 34, 58, 66, 70)),
    "dress": (_p(BODY, 38, 10, 46, 20, 54, 20, 62, 10, 66, 40, 84, 92, 16, 92, 34, 40), _r(DETAIL, 34, 40, 66, 46)),
    "skirt": (_p(BODY, 34, 24, 66, 24, 86, 84, 14, 84), _r(DETAIL, 34, 20, 66, 28)),
    "shirt": (_p(BODY, 34, 16, 66, 16, 92, 36, 82, 50, 70, 42, 70, 90, 30, 90, 30, 42, 18, 50, 8, 36),
        _p(LIGHT, 42, 16, 58, 16, 50, 30), _r(DETAIL, 49, 30, 51, 90)),
    "jacket": (_p(BODY, 32, 12, 68, 12, 94, 60, 84, 68, 72, 46, 72, 88, 28, 88, 28, 46, 16, 68, 6, 60),
        _r(DETAIL, 47, 12, 53, 88), _r(LIGHT, 34, 60, 44, 64), _r(LIGHT, 56, 60, 66, 64)),
    "trousers": (_p(BODY, 32, 8, 68, 8, 76, 94, 56, 94, 50, 36, 44, 94, 24, 94), _r(DETAIL, 32, 8, 68, 14)),
    "shorts": (_p(BODY, 28, 24, 72, 24, 82, 72, 54, 72, 50, 50, 46, 72, 18, 72), _r(DETAIL, 28, 24, 72, 30)),
    "glove": (_e(BODY, 30, 20, 70, 70), _r(BODY, 34, 56, 66, 90), _e(BODY, 16, 42, 40, 66),
        _r(DETAIL, 34, 74, 66, 80)),
    "belt": (_o(BODY, 10, 34, 90, 66), _r(DETAIL, 40, 56, 60, 76), _r(LIGHT, 45, 61, 55, 71)),
    "scarf": (_p(BODY, 30, 10, 52, 10, 66, 88, 42, 92), _p(DETAIL, 52, 10, 72, 10, 50, 84, 28, 78),
        _r(LIGHT, 44, 84, 62, 90)),
    "hat": (_e(DETAIL, 6, 60, 94, 82), _e(BODY, 26, 22, 74, 80), _r(LIGHT, 26, 56, 74, 64)),
    "bag": (_o(DETAIL, 30, 10, 70, 60), _p(BODY, 16, 40, 84, 40, 92, 88, 8, 88), _r(LIGHT, 44, 44, 56, 54)),
    "backpack": (_o(DETAIL, 40, 6, 60, 26), _r(BODY, 24, 16, 76, 90), _e(BODY, 24, 8, 76, 36),
        _r(DETAIL, 32, 52, 68, 82), _r(LIGHT, 46, 56, 54, 60)),
    "suitcase": (_r(DETAIL, 40, 4, 60, 20), _r(BODY, 26, 18, 74, 88), _r(LIGHT, 36, 24, 40, 82),
        _r(LIGHT, 60, 24, 64, 82), _e(DETAIL, 28, 86, 38, 96), _e(DETAIL, 62, 86, 72, 96)),
    "wallet": (_r(BODY, 14, 34, 86, 74), _r(DETAIL, 14, 46, 86, 50), _e(LIGHT, 72, 52, 82, 62)),
    "ball": (_e(BODY, 14, 14, 86, 86), _p(DETAIL, 50, 36, 64, 46, 58, 62, 42, 62, 36, 46), _e(LIGHT, 24, 24, 36, 36)),
    "skis": (_p(BODY, 24, 96, 32, 96, 36, 6, 28, 6), _p(BODY, 62, 96, 70, 96, 74, 6, 66, 6),
        _r(DETAIL, 26, 44, 36, 62), _r(DETAIL, 64, 44, 74, 62)),
    "goggles": (_r(DETAIL, 4, 44, 96, 54), _e(BODY, 14, 28, 86, 72), _e(LIGHT, 22, 34, 48, 52)),
    "helmet": (_e(BODY, 10, 20, 90, 100), _r(0, 10, 66, 90, 100), _p(DETAIL, 30, 30, 38, 28, 34, 60, 26, 60),
        _p(DETAIL, 56, 26, 64, 28, 72, 60, 62, 60)),
    "wheel": (_o(BODY, 12, 12, 88, 88), _r(DETAIL, 48, 16, 52, 84), _r(DETAIL, 16, 48, 84, 52),
        _e(DETAIL, 42, 42, 58, 58)),
    "dumbbell": (_r(DETAIL, 20, 46, 80, 54), _r(BODY, 10, 26, 28, 74), _r(BODY, 72, 26, 90, 74)),
    "mat": (_p(BODY, 24, 26, 94, 26, 76, 78, 6, 78), _e(DETAIL, 16, 18, 34, 34),
        _p(LIGHT, 30, 34, 84, 34, 82, 38, 28, 38)),
    "phone": (_r(BODY, 30, 6, 70, 94), _r(LIGHT, 34, 14, 66, 82), _e(DETAIL, 46, 84, 54, 92)),
    "plug": (_r(BODY, 30, 40, 70, 90), _r(DETAIL, 38, 16, 44, 40), _r(DETAIL, 56, 16, 62, 40),
        _p(LIGHT, 54, 50, 40, 68, 49, 68, 46, 82, 60, 62, 51, 62)),
    "headphones": (_o(DETAIL, 16, 14, 84, 94), _r(0, 10, 62, 90, 100), _e(BODY, 8, 46, 32, 84),
        _e(BODY, 68, 46, 92, 84)),
    "speaker": (_r(BODY, 28, 8, 72, 92), _e(DETAIL, 34, 46, 66, 84), _e(LIGHT, 42, 18, 58, 36)),
    "camera": (_r(BODY, 10, 30, 90, 80), _r(BODY, 34, 20, 62, 32), _e(DETAIL, 34, 36, 70, 74),
        _e(LIGHT, 44, 46, 60, 64)),
    "watch": (_r(DETAIL, 38, 4, 62, 96), _e(BODY, 22, 24, 78, 76), _e(LIGHT, 32, 33, 68, 67),
        _r(DETAIL, 49, 38, 51, 52)),
    "pan": (_e(BODY, 6, 34, 62, 84), _e(DETAIL, 14, 42, 54, 76), _p(DETAIL, 56, 52, 96, 24, 98, 32, 60, 62)),
    "mug": (_o(BODY, 58, 32, 90, 72), _r(BODY, 22, 22, 72, 84), _e(LIGHT, 22, 14, 72, 30)),
    "lamp": (_p(BODY, 36, 10, 64, 10, 80, 48, 20, 48), _r(DETAIL, 47, 48, 53, 86), _e(DETAIL, 30, 82, 70, 94)),
    "cushion": (_p(BODY, 12, 12, 50, 20, 88, 12, 80, 50, 88, 88, 50, 80, 12, 88, 20, 50), _e(DETAIL, 46, 46, 54, 54)),
    "chair": (_r(BODY, 26, 8, 36, 92), _r(BODY, 26, 50, 78, 60), _r(BODY, 70, 50, 78, 92), _r(DETAIL, 26, 12, 42, 40)),
}
# fmt: on


def _shade(rgb: tuple[int, int, int], target: int, share: float) -> tuple[int, int, int]:
    return tuple(round(c + (target - c) * share) for c in rgb)  # type: ignore[return-value]


def picture(shape: str, rgb: tuple[int, int, int], size: int, variation: int) -> bytes:
    """A PNG of ``size`` x ``size`` pixels.

    Args:
      shape: a key of :data:`SHAPES`.
      rgb: the body's colour, 0 to 255 each.
      variation: any number; decides scale, place, which way it looks, and the background.
    """
    from PIL import Image, ImageDraw

    scale = (0.72 + (variation & 7) * 0.035) * size / 100
    left = (size - 100 * scale) * ((variation >> 3 & 7) / 7)
    top = (size - 100 * scale) * ((variation >> 6 & 7) / 7)
    mirrored = variation >> 9 & 1
    paper = 255 - 5 * (variation >> 10 & 3)
    # Light products would vanish on white paper.
    if sum(rgb) > 660:
        paper -= 60
    colors = ((paper, paper, paper), rgb, _shade(rgb, 0, 0.45), _shade(rgb, 255, 0.6))
    image = Image.new("P", (size, size), 0)
    image.putpalette([channel for color in colors for channel in color])
    draw: Any = ImageDraw.Draw(image)
    for kind, color, numbers in SHAPES[shape]:
        xs = [left + (100 - x if mirrored else x) * scale for x in numbers[::2]]
        ys = [top + y * scale for y in numbers[1::2]]
        if kind == "polygon":
            draw.polygon(list(zip(xs, ys, strict=True)), fill=color)
            continue
        box = (min(xs), ys[0], max(xs), ys[1])
        if kind == "ring":
            draw.ellipse(box, outline=color, width=max(1, round(8 * scale)))
        else:
            getattr(draw, kind)(box, fill=color)
    file = io.BytesIO()
    image.save(file, "PNG", bits=2)
    return file.getvalue()
