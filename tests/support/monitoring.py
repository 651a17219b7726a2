"""The rules and the dashboard as data: every expression in them, and what each asks Prometheus for."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import yaml

from tests.support.chart import CHART
from tests.support.checkout import ROOT

RULES = CHART / "rules" / "medserve.yaml"
DASHBOARD = CHART / "dashboards" / "medserve.json"
PROMETHEUS_CONFIG = ROOT / "docker" / "monitoring" / "prometheus.yml"
# What Grafana puts in place of its own variables; a reader's choice of everything.
_BUILT_IN = {"__rate_interval": "1m", "__interval": "1m", "__range": "1h"}
_LABEL_VALUES = re.compile(r"label_values\((?:(?P<selector>.*), )?(?P<label>\w+)\)")


@dataclass(frozen=True, slots=True)
class Selector:
    """What one name in an expression matches.

    Args:
        metric: the name.
        labels: that its matchers look at.
        text: the whole of it, as Prometheus reads it.
    """

    metric: str
    labels: frozenset[str]
    text: str


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression, and who holds it.

    Args:
        where: a rule's or a panel's name.
        raw: as it is written.
        text: as Prometheus gets it, with every variable chosen.
        legend: labels that its series are named by.
    """

    where: str
    raw: str
    text: str
    legend: frozenset[str] = frozenset()


def program(name: str) -> str:
    """Of Prometheus' own; skips the test where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} on PATH; Debian's package prometheus has it")
    return found


@cache
def groups() -> list[dict[str, Any]]:
    """Of rules, as the file has them."""
    return yaml.safe_load(RULES.read_text("utf-8"))["groups"]


def alerts() -> dict[str, dict[str, Any]]:
    """By name."""
    return {rule["alert"]: rule for group in groups() for rule in group["rules"] if "alert" in rule}


def recorded() -> set[str]:
    """Names of series that rules make."""
    return {rule["record"] for group in groups() for rule in group["rules"] if "record" in rule}


@cache
def dashboard() -> dict[str, Any]:
    """As Grafana gets it."""
    return json.loads(DASHBOARD.read_text("utf-8"))


def panels() -> list[dict[str, Any]]:
    """All that show something, those in collapsed rows too."""
    every = [one for panel in dashboard()["panels"] for one in (panel, *panel.get("panels", ()))]
    return [panel for panel in every if panel["type"] != "row"]


def of_rules() -> Iterator[Expression]:
    """One for each rule."""
    for group in groups():
        for rule in group["rules"]:
            yield Expression(rule.get("alert") or rule["record"], rule["expr"], rule["expr"])


def of_dashboard() -> Iterator[Expression]:
    """Of its panels, its annotations and its variables."""
    for panel in panels():
        for target in panel["targets"]:
            legend = frozenset(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            yield Expression(panel["title"], target["expr"], chosen(target["expr"]), legend)
    for note in dashboard()["annotations"]["list"]:
        yield Expression(note["name"], note["expr"], chosen(note["expr"]))
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            raw = variable["query"]["query"]
            asked = _LABEL_VALUES.fullmatch(raw)
            assert asked, raw
            yield Expression(f"${variable['name']}", raw, chosen(asked["selector"]), frozenset({asked["label"]}))


def chosen(expr: str) -> str:
    """With everything chosen, and Grafana's own variables filled in."""
    return re.sub(r"\$\{?(\w+)\}?", lambda found: _BUILT_IN.get(found[1], ".*"), expr)


def selectors(expr: str) -> list[Selector]:
    """All of an expression's.

    Raises:
        ValueError: it is none.
    """
    promql = pytest.importorskip("promql_parser")
    found = []
    for node in _nodes(promql.parse(expr)):
        if isinstance(node, promql.VectorSelector):
            matchers = node.matchers.matchers
            named = node.name or next(one.value for one in matchers if one.name == "__name__")
            labels = frozenset(one.name for one in matchers if one.name != "__name__")
            plain = "".join(str(node).partition(" offset ")[0])
            found.append(Selector(named, labels, plain))
    return found


def grouped(expr: str) -> frozenset[str]:
    """Labels that an expression adds up or joins by."""
    promql = pytest.importorskip("promql_parser")
    found: set[str] = set()
    for node in _nodes(promql.parse(expr)):
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            found |= set(node.modifier.labels)
        elif isinstance(node, promql.BinaryExpr) and node.modifier is not None and node.modifier.matching is not None:
            found |= set(node.modifier.matching.labels)
    return frozenset(found)


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for name in ("lhs", "rhs", "expr", "vector_selector"):
        child = getattr(node, name, None)
        if child is not None:
            yield from _nodes(child)
    for argument in getattr(node, "args", ()):
        yield from _nodes(argument)
