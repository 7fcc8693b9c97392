"""Vectors for the benchmarks of similarity search: of real titles, and generated ones with a structure like theirs."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

QUERIES = 5_000


def titles(files: Iterable[Path]) -> list[str]:
    """The distinct titles of feeds in JSON Lines, in the order of the files."""
    found: dict[str, None] = {}
    for path in files:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for line in lines:
                title = json.loads(line).get("title")
                if title:
                    found.setdefault(" ".join(title.split()))
    return list(found)


def title_vectors(texts: list[str], dimension: int = 128, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """TF-IDF of words (1-2) and a truncated SVD, unit rows, float32 (n, dimension); shuffled by ``seed``.

    Also int64 (n,): the place in ``texts`` that each row comes from; texts without a word that is known have no row.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2, dtype=np.float32)
    return _reduced(words.fit_transform(texts), dimension, seed)


def picture_vectors(folder: Path, dimension: int = 128, seed: int = 0) -> np.ndarray:
    """Pictures of a feed by how they resemble 400 patches of others in each of 12 cells, and a truncated SVD.

    No label is used. Unit rows, float32 (n, dimension); shuffled by ``seed``.
    """
    import tensorflow as tf

    from modules.vision.decoding import decode_pictures
    from modules.vision.patch_fit import dictionary
    from modules.vision.patches import PatchHistogram
    from modules.vision.regression_fit import rows_of

    files = sorted(folder.glob("*.jpg"))
    height, width, block = 80, 60, 256
    pixels = np.concatenate(
        [
            decode_pictures(tf.constant([file.read_bytes() for file in files[at : at + block]]), height, width)[0]
            for at in range(0, len(files), block)
        ]
    )
    layer = PatchHistogram(6, 2, 400, 0.5, (4, 3), seed=seed)
    layer.build((None, height, width, 3))
    layer.set_weights(dictionary(pixels, layer, np.random.default_rng(seed)))
    return _reduced(rows_of(layer, pixels)[0].astype(np.float32), dimension, seed)[0]


def _reduced(matrix: Any, dimension: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.decomposition import TruncatedSVD

    vectors = TruncatedSVD(dimension, random_state=seed).fit_transform(matrix).astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(lengths[:, 0] > 1e-6))
    return vectors[rows] / lengths[rows], rows


def generated(count: int, dimension: int = 128, seed: int = 0, block: int = 1 << 16) -> Iterator[np.ndarray]:
    """Unit vectors of a catalogue that there is not, block by block.

    A tree of centres (60 departments, 50 product lines in each) with sizes by a power law (Zipf, 0.9); around each
    line's centre a Gaussian in 24 directions of its own with falling variance, and a little noise in all directions.
    """
    rng = np.random.default_rng(seed)
    departments, lines, rank = 60, 50, 24
    tops = rng.normal(size=(departments, dimension))
    centres = (tops[:, None] + 0.6 * rng.normal(size=(departments, lines, dimension))).reshape(-1, dimension)
    shares = 1.0 / np.arange(1, len(centres) + 1) ** 0.9
    shares = rng.permutation(shares / shares.sum())
    falling = 1.0 / np.sqrt(np.arange(1, rank + 1))
    bases = (rng.normal(size=(len(centres), rank, dimension)) * falling[:, None]).astype(np.float32)
    for start in range(0, count, block):
        size = min(block, count - start)
        line = rng.choice(len(centres), size, p=shares)
        points = centres[line].astype(np.float32)
        for one in np.unique(line):
            of_it = np.flatnonzero(line == one)
            points[of_it] += 0.45 * rng.normal(size=(len(of_it), rank)).astype(np.float32) @ bases[one]
        points += 0.15 * rng.standard_normal((size, dimension), np.float32)
        yield points / np.linalg.norm(points, axis=1, keepdims=True)
