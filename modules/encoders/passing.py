"""Vectors of many texts: each distinct text once, what is cached from the cache, the rest sorted by length."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from modules.arrays import Float16Array, Float32Array, IntArray
from modules.encoders.cache import MAX_BYTES, VectorCache
from modules.encoders.files import fingerprint_of
from modules.encoders.folder import read_settings

BATCH_PIECES = 512
"""Word pieces of a batch, padding included: more of them leave the processor's caches, and are slower."""
PAD_TO = 8
"""A batch's longest text is padded to a multiple of this."""
CHUNK = 8192
"""Texts that are tokenized and sorted together; their vectors are in the cache before the next ones are looked at."""

Report = Callable[[int, int], None]


def encode_texts(
    folder: str,
    texts: Sequence[str],
    *,
    cache: str | None,
    max_cache_bytes: int = MAX_BYTES,
    report: Report | None = None,
) -> Float32Array:
    """Vectors of texts, (n, width), in their order: rows of unit length, zeros for a blank text.

    A vector has float16's precision, whether it is fresh or cached, so that a second run gives what the first one gave.
    In float32, as the exported model computes them: bfloat16 would be 1.6 times as fast on processors that have it, but
    what a served model says of a product would differ from what a run said of it.

    Args:
      folder: of the encoder.
      texts: may hold a text several times.
      cache: folder of a :class:`VectorCache`; None: all are embedded. max_cache_bytes: of its file.
      report: called with the number of distinct texts that are done, and of all.

    Raises:
      InputError: there is no encoder in the folder, or it is damaged.
    """
    settings = read_settings(folder)
    distinct = list(dict.fromkeys(texts))
    rows = {text: row for row, text in enumerate(distinct)}
    vectors = np.zeros((len(distinct), settings.width), np.float16)
    done = 0
    store = VectorCache(cache, fingerprint_of(settings), settings.width, max_cache_bytes) if cache else nullcontext()
    with store as cached:
        for start in range(0, len(distinct), CHUNK):
            chunk = distinct[start : start + CHUNK]
            known = cached.find(chunk) if cached else {}
            for text, vector in known.items():
                vectors[rows[text]] = vector
            fresh = [text for text in chunk if text not in known]
            done += len(known)
            for places, batch in _embedded(folder, fingerprint_of(settings), fresh):
                for place, vector in zip(places, batch, strict=True):
                    vectors[rows[fresh[place]]] = vector
                done += len(places)
                if report is not None:
                    report(done, len(distinct))
            if cached:
                cached.store({text: vectors[rows[text]] for text in fresh})
    if report is not None:
        report(done, len(distinct))
    return vectors[[rows[text] for text in texts]].astype(np.float32) if texts else vectors.astype(np.float32)


def _embedded(folder: str, fingerprint: str, texts: Sequence[str]) -> Iterator[tuple[IntArray, Float16Array]]:
    """Positions in ``texts`` and their vectors, batch by batch, short texts first."""
    if not texts:
        return
    encoder, network = _loaded(folder, fingerprint)
    tokens = encoder.tokenize([text.encode("utf-8", "replace") for text in texts])
    values, splits = tokens.values.numpy(), tokens.row_splits.numpy()
    lengths = np.diff(splits)
    for places in batches(lengths):
        longest = int(-(-lengths[places].max() // PAD_TO) * PAD_TO) or PAD_TO
        ids = np.full((len(places), longest), encoder.tokenize.padding, np.int32)
        for row, place in enumerate(places):
            ids[row, : lengths[place]] = values[splits[place] : splits[place + 1]]
        yield places, network(ids, lengths[places].astype(np.int32)).numpy().astype(np.float16)


def batches(lengths: IntArray) -> list[IntArray]:
    """Positions of texts of similar length, so that a batch has at most :data:`BATCH_PIECES` pieces, or one text."""
    order = np.argsort(lengths, kind="stable")
    padded = np.maximum(-(-lengths[order] // PAD_TO) * PAD_TO, PAD_TO)
    parts: list[IntArray] = []
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end - start + 1) * padded[end] > BATCH_PIECES:
            parts.append(order[start:end])
            start = end
    return parts


@functools.lru_cache(maxsize=2)
def _loaded(folder: str, fingerprint: str) -> tuple[Any, Any]:
    """The encoder, and its network as one function; ``fingerprint`` so that a changed folder is read again."""
    import tensorflow as tf

    from modules.encoders.text_encoder import TextEncoder

    encoder = TextEncoder.load(folder)
    signature = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)]
    return encoder, tf.function(encoder.of_padded, input_signature=signature, autograph=False)
