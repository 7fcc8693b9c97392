"""Vectors as tokens: the paper's example, and what must hold for any vectors."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from modules.similarity.full_text.encoding import Encoding

VALUES = st.floats(-1, 1, width=32)
ENCODINGS = st.builds(
    Encoding,
    decimals=st.lists(st.integers(0, 3), max_size=2, unique=True).map(tuple),
    intervals=st.lists(st.sampled_from([0.05, 0.1, 0.2, 0.5]), min_size=1, max_size=2, unique=True).map(tuple),
    trim=st.sampled_from([0.0, 0.05, 0.3]),
    best=st.none() | st.integers(1, 6),
)
ALL = {"trim": 0.0, "best": None}


def words(encoding: Encoding, values) -> set[str]:
    (found,) = encoding.words(np.array([values], np.float64))
    assert len(found) == len(set(found))
    return set(found)


def test_rounds_at_two_precisions():
    found = Encoding(decimals=(1, 2), intervals=(), **ALL).words(np.array([[0.12, -0.13, 0.065]]))
    assert found == [["0P1i0.1", "0P2i0.12", "1P1i-0.1", "1P2i-0.13", "2P1i0.1", "2P2i0.07"]]


def test_intervals_overlap_by_half():
    found = Encoding(decimals=(), intervals=(0.2,), **ALL).words(np.array([[0.05, -0.13]]))
    assert found == [["0I0.2i0", "0J0.2i-0.1", "1I0.2i-0.2", "1J0.2i-0.3"]]


def test_filters_keep_the_large_values():
    x = np.array([[0.02, -0.5, 0.3, 0.0, 0.5, -0.04]])
    assert words(Encoding(decimals=(1,), intervals=(), trim=0.03), x[0]) == {
        "1P1i-0.5", "2P1i0.3", "4P1i0.5", "5P1i0",
    }  # fmt: skip
    assert words(Encoding(decimals=(1,), intervals=(), trim=0.0, best=2), x[0]) == {"1P1i-0.5", "4P1i0.5"}
    assert words(Encoding(decimals=(1,), intervals=(), trim=0.0, best=1), x[0]) == {"1P1i-0.5"}


@settings(deadline=None)
@given(arrays(np.float32, st.tuples(st.integers(0, 4), st.integers(1, 8)), elements=VALUES), ENCODINGS)
def test_each_token_is_the_cell_of_its_value(x, encoding):
    """Against a loop in plain Python that follows the docstring."""
    for row, found in zip(x.tolist(), encoding.words(x), strict=True):
        kept = sorted(range(len(row)), key=lambda d: (-abs(row[d]), d))[: encoding.best]
        expected = []
        for d in sorted(d for d in kept if abs(row[d]) >= encoding.trim and row[d] != 0):
            for p in encoding.decimals:
                expected.append((f"{d}P{p}i", math.floor(row[d] * 10.0**p + 0.5) / 10.0**p))
            for w in encoding.intervals:
                expected.append((f"{d}I{w:g}i", math.floor(row[d] * (1 / w)) * w))
                expected.append((f"{d}J{w:g}i", (math.floor(row[d] * (1 / w) + 0.5) - 0.5) * w))
        assert len(found) == len(expected)
        for token, (prefix, value) in zip(found, expected, strict=True):
            assert token.startswith(prefix)
            assert float(token[len(prefix) :]) == pytest.approx(value, abs=1e-8)


@settings(deadline=None)
@given(arrays(np.float32, st.tuples(st.integers(1, 5), st.just(6)), elements=VALUES), ENCODINGS, st.data())
def test_equal_vectors_have_equal_tokens_whatever_stands_beside_them(x, encoding, data):
    places = data.draw(st.lists(st.integers(0, len(x) - 1), max_size=8))
    together = encoding.words(x)
    assert encoding.words(x[places]) == [together[i] for i in places]


@settings(deadline=None)
@given(VALUES, st.floats(-0.099, 0.099))
def test_near_values_share_an_interval(value, distance):
    encoding = Encoding(decimals=(), intervals=(0.2,), **ALL)
    other = value + distance
    if value and other:
        assert words(encoding, [value]) & words(encoding, [other])


@settings(deadline=None)
@given(st.lists(VALUES, min_size=3, max_size=3).map(sorted), ENCODINGS)
def test_the_nearer_value_shares_all_that_the_farther_one_does(values, encoding):
    """Cells have no holes, so what low and high share, the one between them has too."""
    low, middle, high = ({w for w in words(encoding, [v])} for v in values)
    if low and middle and high:
        assert low & high <= middle


@settings(deadline=None)
@given(arrays(np.float32, st.tuples(st.just(2), st.integers(1, 6)), elements=VALUES))
def test_no_two_tokens_have_one_name(x):
    encoding = Encoding(decimals=(0, 1, 6), intervals=(0.1, 0.25, 1e-6), **ALL)
    numbers = np.unique(encoding.encode(x).numbers).tolist()
    assert len({encoding.name(number) for number in numbers}) == len(numbers)


@pytest.mark.parametrize(
    "bad", [np.full((1, 2), np.nan), np.full((1, 2), np.inf), np.full((1, 2), 2000.0), np.zeros(3)]
)
def test_refuses_what_is_no_embedding(bad):
    with pytest.raises(ValueError):
        Encoding().encode(bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"decimals": (), "intervals": ()},
        {"decimals": (7,)},
        {"intervals": (0.0,)},
        {"best": 0},
        {"trim": -0.1},
        {"decimals": (1, 1)},
        {"intervals": (0.2, 0.2)},
        {"intervals": (0.1234567, 0.1234568)},
    ],
)
def test_settings_that_make_no_sense(bad):
    with pytest.raises(ValidationError):
        Encoding(**bad)
