"""A chart's numbers are bounded wherever they stand; those of its data, and on their scale, are as they were."""

from __future__ import annotations

from typing import Any

import pytest

from micro_agi_kernel.frontends.display_vega import safe_vegalite

X = {"field": "a", "type": "quantitative"}


def made(**more: Any) -> dict[str, Any]:
    return safe_vegalite({"data": {"values": [{"a": 1e12}]}, "mark": "bar", "encoding": {"x": X}, **more})[0]


@pytest.mark.parametrize(
    ("given", "bounded"),
    [
        ({"padding": 1e8}, {"padding": 4_000}),
        ({"padding": {"left": -1e8}}, {"padding": {}}),
        ({"padding": "1e8"}, {"padding": 4_000}),
        ({"padding": "0xfffffff"}, {"padding": 4_000}),
        ({"padding": "Infinity"}, {"padding": 4_000}),
        ({"spacing": 1e9}, {"spacing": 4_000}),
        ({"width": 0.5, "height": {"step": 1e9}}, {"width": 1, "height": {"step": 4_000}}),
        ({"config": {"axis": {"offset": 1e8}}}, {"config": {"axis": {"offset": 4_000}}}),
        ({"config": {"axis": {"offset": -1e8}}}, {"config": {"axis": {"offset": -4_000}}}),
        ({"title": {"text": "5000", "fontSize": 500}}, {"title": {"text": "5000", "fontSize": 100}}),
        ({"config": {"axis": {"labelFontSize": 500}}}, {"config": {"axis": {"labelFontSize": 100}}}),
        ({"mark": {"type": "point", "size": 1e18}}, {"mark": {"type": "point", "size": 10_000}}),
        ({"encoding": {"size": {"value": 1e18}}}, {"encoding": {"size": {"value": 4_000}}}),
        ({"encoding": {"size": {"value": "1e18"}}}, {"encoding": {"size": {"value": 4_000}}}),
        (
            {"encoding": {"size": {**X, "scale": {"range": [0, 1e18], "domain": [0, 1e12]}}}},
            {"encoding": {"size": {**X, "scale": {"range": [0, 10_000], "domain": [0, 1e12]}}}},
        ),
        ({"mark": {"type": "line", "strokeDash": [1e-6]}}, {"mark": {"type": "line", "strokeDash": [1]}}),
        (
            {"encoding": {"strokeDash": {"value": [1e-6, 1e-6]}}},
            {"encoding": {"strokeDash": {"value": [1, 1]}}},
        ),
        (
            {"encoding": {"strokeDash": {**X, "scale": {"range": [[1e-6, 8]], "domain": [0.5]}}}},
            {"encoding": {"strokeDash": {**X, "scale": {"range": [[1, 8]], "domain": [0.5]}}}},
        ),
        (
            {"encoding": {"strokeDash": {**X, "legend": {"offset": -5}}}},
            {"encoding": {"strokeDash": {**X, "legend": {"offset": -5}}}},
        ),
        ({"config": {"range": {"symbol": [1e18]}}}, {"config": {"range": {"symbol": [4_000]}}}),
    ],
)
def test_numbers_are_bounded(given: dict[str, Any], bounded: dict[str, Any]) -> None:
    chart = made(**given)
    assert {key: chart[key] for key in bounded} == bounded


def test_numbers_of_the_data_stay() -> None:
    spec: dict[str, Any] = {
        "encoding": {
            "x": {**X, "scale": {"domain": [-1e12, 1e12]}, "axis": {"values": [1e9], "tickMinStep": 1e6}},
            "y": {"datum": 1e9},
            "text": {"value": "20240101"},
        },
        "transform": [{"filter": {"and": [{"field": "a", "range": [0, 1e13]}, {"field": "a", "gt": 1e9}]}}],
        "projection": {"type": "mercator", "scale": 60_000, "center": [8.5, 47.4]},
    }
    chart = made(**spec)
    assert {key: chart[key] for key in spec} == spec
    assert chart["data"] == {"values": [{"a": 1e12}]}
