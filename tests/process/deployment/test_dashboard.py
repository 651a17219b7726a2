"""The dashboard: the generated one, every expression in it PromQL, and nothing in it that Grafana would not know."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.checkout import ROOT
from tests.support.monitoring import (
    DASHBOARD,
    Expression,
    dashboard,
    of_dashboard,
    of_rules,
    panels,
    recorded,
    selectors,
)

GRAFANAS_OWN = {"__rate_interval", "__interval", "__range"}
MOST_BYTES = 2_000_000
COLUMNS = 24


def test_it_is_the_generated_one() -> None:
    pytest.importorskip("grafana_foundation_sdk")
    result = subprocess.run(
        [sys.executable, ROOT / "docker" / "monitoring" / "dashboard", "--check"], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert DASHBOARD.stat().st_size < MOST_BYTES


@pytest.mark.parametrize(
    "expression", [*of_rules(), *of_dashboard()], ids=lambda expression: re.sub(r"\W+", "-", expression.where)
)
def test_every_expression_is_promql(expression: Expression) -> None:
    found = selectors(expression.text)
    assert found
    ours = {one.metric for one in found if one.metric.startswith("medserve:")}
    assert ours <= recorded()


def test_no_expression_has_a_variable_that_is_not_there() -> None:
    there = {variable["name"] for variable in dashboard()["templating"]["list"]}
    for expression in of_dashboard():
        asked = set(re.findall(r"\$\{?(\w+)", expression.raw)) - GRAFANAS_OWN
        assert asked <= there, expression
    sources = {str(panel["datasource"]["uid"]) for panel in panels()}
    assert sources == {"${datasource}"}


def test_a_variable_looks_at_no_later_one() -> None:
    """Grafana fills them in their order."""
    before: set[str] = set()
    for variable in dashboard()["templating"]["list"]:
        query = variable["query"]["query"] if variable["type"] == "query" else ""
        assert set(re.findall(r"\$(\w+)", query)) <= before
        before.add(variable["name"])


def test_each_panel_says_what_to_look_for_in_which_unit() -> None:
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)


def test_panels_lie_side_by_side() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert all(x < COLUMNS for x, _ in own), panel["title"]
        assert not own & taken, panel["title"]
        taken |= own
    lowest = max(y for _, y in taken)
    assert len(taken) == COLUMNS * (lowest + 1)  # no holes either
