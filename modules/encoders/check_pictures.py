"""Pictures whose vectors show that a picture encoder's weights, padding and pixels are what they should be.

Drawn by whole numbers, so that they are the same on every machine. Their sides are halved to odd numbers, where a
network with another padding gives other vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

HEIGHT, WIDTH = 96, 80
COUNT = 8


def check_pictures() -> npt.NDArray[np.uint8]:
    """uint8 (8, 96, 80, 3): blank, slopes, stripes, squares, a disc, rings, noise, and shapes on a slope."""
    import numpy as np

    y, x = np.mgrid[:HEIGHT, :WIDTH]
    radius = (y - 40) ** 2 + (x - 44) ** 2
    noise = (y * 7919 + x * 104_729 + (y * x) * 1_299_709) % 65_521 % 256
    slope = y * 255 // (HEIGHT - 1)
    drawn = [
        (y * 0 + 255, y * 0 + 255, y * 0 + 255),
        (slope, x * 255 // (WIDTH - 1), 255 - slope),
        (x // 5 % 2 * 255, (x + y) // 9 % 2 * 200, y // 3 % 2 * 120),
        ((x // 16 + y // 16) % 2 * 230, (x // 8 + y // 8) % 2 * 180, (x // 16 + y // 8) % 2 * 255),
        (np.where(radius < 900, 200, 250), np.where(radius < 900, 30, 250), np.where(radius < 400, 240, 40)),
        (radius // 60 % 256, radius // 25 % 256, radius // 10 % 256),
        (noise, noise[::-1], noise[:, ::-1]),
        (
            np.where((y > 20) & (y < 70) & (x > 15) & (x < 60), 90, slope),
            np.where(radius < 300, 255, slope // 2),
            np.where(abs(x - 40) < (y - 10) // 3, 220, 60),
        ),
    ]
    return np.stack([np.stack(channels, axis=-1) for channels in drawn]).astype(np.uint8)
