"""The hand-written encoding against TensorFlow's own parser."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.feeds.encoding import TextHeaders, bytes_entry, example_of, float_entry, int_entry, varint

tf = pytest.importorskip("tensorflow")

FLOATS = st.floats(width=32, allow_nan=False)
INTS = st.integers(-(2**63), 2**63 - 1)
VALUES = st.one_of(
    st.tuples(st.just("bytes_list"), st.lists(st.binary(max_size=300))),
    st.tuples(st.just("float_list"), st.lists(FLOATS)),
    st.tuples(st.just("int64_list"), st.lists(INTS)),
)
WRITERS = {"bytes_list": bytes_entry, "float_list": float_entry, "int64_list": int_entry}


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), VALUES, max_size=8))
@settings(max_examples=200, deadline=None)
def test_tensorflow_reads_the_same(features: dict[str, tuple[str, list]]) -> None:
    written = example_of(WRITERS[kind](name, values) for name, (kind, values) in features.items())
    example = tf.train.Example.FromString(written)
    assert set(example.features.feature) == set(features)
    for name, (kind, values) in features.items():
        feature = example.features.feature[name]
        assert feature.WhichOneof("kind") == kind
        assert list(getattr(feature, kind).value) == values
    # The same content in TensorFlow's own words has the same length: nothing is written that it would not write.
    assert len(example.SerializeToString()) == len(written)


@pytest.mark.parametrize("length", [0, 1, 50, 99, 120, 127, 128, 16_383, 16_384, 70_000])
def test_headers(length: int) -> None:
    text = bytes(range(1, 256)) * (length // 255 + 1)
    text = text[:length]
    headers = TextHeaders("title")
    for _ in range(2):
        assert headers[length] + text == bytes_entry("title", [text])


def test_numbers() -> None:
    assert [varint(0), varint(127), varint(128), varint(300)] == [b"\0", b"\x7f", b"\x80\x01", b"\xac\x02"]
    assert varint(-1) == b"\xff" * 9 + b"\x01"


def test_an_array() -> None:
    example = tf.train.Example.FromString(example_of([float_entry("v", np.arange(5, dtype=np.float32))]))
    assert list(example.features.feature["v"].float_list.value) == [0, 1, 2, 3, 4]
