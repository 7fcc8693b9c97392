"""Plots: where the points lie, and that no text gets out of its place."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from modules.reporting.svg import Series, bar, columns, element, heat_map, line_chart, reliability_chart, ticks
from tests.modules.reporting.sample import HOSTILE

WORD = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f"))


def parsed(svg: Markup) -> ElementTree.Element:
    return ElementTree.fromstring(str(svg))


@given(WORD, WORD)
def test_texts_and_attributes_survive_as_they_are(text: str, value: str) -> None:
    found = parsed(element("g", element("title", text), class_=value, text_anchor="end"))
    assert (found[0].text or "") == text
    assert found.attrib["text-anchor"] == "end" and found.attrib["class"].split() == value.split()


@pytest.mark.parametrize("name", HOSTILE[:10])
def test_no_name_breaks_out(name: str) -> None:
    name = "".join(c for c in name if c.isprintable())
    found = parsed(heat_map(name, [name, "b"], np.array([[3, 1], [0, 2]])))
    assert {child.tag for child in found.iter()} <= {"svg", "text", "rect", "title"}
    assert found.attrib["aria-label"] == name


def test_points_lie_where_their_values_are() -> None:
    svg = parsed(line_chart("x", [Series("a", [(0, 0.0), (1, 1.0), (2, 0.5)])], y_range=(0, 1), width=300, height=200))
    points = [tuple(map(float, p.split(","))) for p in svg.find("polyline").attrib["points"].split()]  # type: ignore[union-attr]
    assert points[0][1] > points[2][1] > points[1][1]
    assert points[2][1] == pytest.approx((points[0][1] + points[1][1]) / 2, abs=0.1)
    assert points[1][0] == pytest.approx((points[0][0] + points[2][0]) / 2, abs=0.1)


def test_what_is_not_known_is_left_out_and_one_point_is_enough() -> None:
    assert line_chart("x", [Series("a", [(0, float("nan"))])]) == ""
    assert reliability_chart("x", []) == "" and columns("x", [("a", 0.0)]) == ""
    svg = parsed(line_chart("x", [Series("a", [(0, 1.0), (1, float("nan"))], [(0.9, 1.1), None])]))
    assert len(svg.findall("circle")) == 1


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_few_and_inside(low: float, span: float) -> None:
    high = low + span
    if high - low < 1e-9 * max(abs(low), 1.0):
        return
    found = ticks(low, high)
    slack = 1e-6 * span
    assert len(found) <= 6 and all(low - slack <= value <= high + slack for value in found)


def test_bars_are_as_long_as_their_values() -> None:
    svg = parsed(bar([1.0, 0.5, 0.0], 1.0, width=100))
    assert [float(rect.attrib["width"]) for rect in svg.findall("rect")] == [100.0, 50.0, 0.5]


def test_a_cell_is_coloured_by_its_share_of_the_row() -> None:
    svg = parsed(heat_map("x", ["a", "b"], np.array([[3, 1], [0, 900]])))
    tips = {title.text: rect.attrib["fill-opacity"] for rect in svg.iter("rect") for title in rect.iter("title")}
    assert tips == {
        "label a, predicted a: 3 (75% of the row)": "0.78",
        "label a, predicted b: 1 (25% of the row)": "0.34",
        "label b, predicted b: 900 (100% of the row)": "1",
    }
