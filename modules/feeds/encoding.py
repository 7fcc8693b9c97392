"""Writes serialised tf.Examples directly, some four times as fast as by way of protocol buffer objects.

An Example is ``{1: Features}``, Features a map ``{1: {1: name, 2: Feature}}``, a Feature one of ``{1: BytesList}``,
``{2: FloatList}``, ``{3: Int64List}``, each of these ``{1: values}`` with numbers packed
(tensorflow/core/example/feature.proto). For a text, all bytes before the text itself depend on nothing but the
feature's name and the text's length, so they are made once for each pair of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

_LEN_1, _LEN_2 = b"\x0a", b"\x12"
_BYTES, _FLOAT, _INT = b"\x0a", b"\x12", b"\x1a"


def varint(number: int) -> bytes:
    """A number (negative: its 64-bit two's complement) in groups of 7 bits, the lowest first."""
    if 0 <= number < 128:
        return _SMALL[number]
    number &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


_SMALL = [bytes([number]) for number in range(128)]


def _framed(tag: bytes, content: bytes) -> bytes:
    return tag + varint(len(content)) + content


def _entry(name: str, kind: bytes, values: bytes) -> bytes:
    feature = _framed(kind, values)
    return _framed(_LEN_1, _framed(_LEN_1, name.encode()) + _framed(_LEN_2, feature))


def bytes_entry(name: str, values: Iterable[bytes]) -> bytes:
    """The feature ``name`` with a list of byte strings."""
    return _entry(name, _BYTES, b"".join(_framed(_LEN_1, value) for value in values))


def int_entry(name: str, values: Sequence[int]) -> bytes:
    """The feature ``name`` with a list of 64-bit integers."""
    return _entry(name, _INT, _framed(_LEN_1, b"".join(map(varint, values))) if values else b"")


def float_entry(name: str, values: Sequence[float] | np.ndarray) -> bytes:
    """The feature ``name`` with a list of 32-bit floats."""
    packed = np.asarray(values, dtype="<f4").tobytes()
    return _entry(name, _FLOAT, _framed(_LEN_1, packed) if packed else b"")


def float_header(name: str) -> bytes:
    """All bytes of the feature ``name`` with one 32-bit float before the number itself."""
    return float_entry(name, [0.0])[:-4]


def example_of(entries: Iterable[bytes]) -> bytes:
    """The serialised Example with these features."""
    return _framed(_LEN_1, b"".join(entries))


class TextHeaders(dict[int, bytes]):
    """Length of a text to the bytes that stand before it, for one feature."""

    def __init__(self, name: str):
        super().__init__()
        self._name = name

    def __missing__(self, length: int) -> bytes:
        header = bytes_entry(self._name, [bytes(length)])[: -length or None]
        self[length] = header
        return header


_Header = TypeVar("_Header")


class ByName(dict[str, _Header]):
    """Feature name to its header, which is made when the first value of the feature is written."""

    def __init__(self, make: Callable[[str], _Header]):
        super().__init__()
        self._make = make

    def __missing__(self, name: str) -> _Header:
        header = self[name] = self._make(name)
        return header
