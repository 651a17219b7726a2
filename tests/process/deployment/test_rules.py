"""The alert rules: well formed, each fires when it shall and at no other time, and the tests of that can fail."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.chart import CHART, kinds, rendered
from tests.support.checkout import ROOT
from tests.support.monitoring import PROMETHEUS_CONFIG, RULES, alerts, groups, of_rules, program, recorded

TESTS = sorted((RULES.parent / "tests").glob("*.yaml"))
ALERTS = alerts()
_COMPARISON = re.compile(r"(>=|<=|==|!=|>|<) (\d[\d.]*)")
_INVERTED = {">": "<", "<": ">", ">=": "<", "<=": ">", "==": "!=", "!=": "=="}
_ALERTS_SERIES = re.compile(r'ALERTS\{alertname="(\w+)"')


def _promtool(*arguments: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run([program("promtool"), *map(str, arguments)], capture_output=True, text=True)


def _cases() -> Iterator[tuple[str, bool]]:
    """(alert, whether it is expected to fire), of all tests."""
    for file in TESTS:
        for test in yaml.safe_load(file.read_text("utf-8"))["tests"]:
            for case in test.get("alert_rule_test", ()):
                yield case["alertname"], bool(case["exp_alerts"])


def test_the_file_is_one_without_fault() -> None:
    result = _promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert result.returncode == 0, result.stdout + result.stderr
    assert _promtool("check", "config", "--syntax-only", PROMETHEUS_CONFIG).returncode == 0


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_rules_do_what_their_tests_say(file: Path) -> None:
    result = _promtool("test", "rules", file)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("fires", [True, False], ids=["fires", "does not fire"])
def test_each_alert_is_tested(fires: bool) -> None:
    assert {alert for alert, expected in _cases() if expected is fires} == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_whom_it_wakes_and_what_to_do(name: str) -> None:
    assert ALERTS[name]["labels"]["severity"] in {"page", "ticket"}
    told = ALERTS[name]["annotations"]
    assert set(told) == {"summary", "description", "runbook_url"}
    page, _, anchor = told["runbook_url"].partition("#")
    headings = re.findall(r"(?m)^#+ (.+)$", (ROOT / page).read_text("utf-8"))
    assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_callers_models_are_told_from_steps_by_their_names() -> None:
    """The rules name no model: a tenth one needs no new rule."""
    told = {pattern for rule in of_rules() for pattern in re.findall(r'nv_inference_\w+\{model!~"([^"]+)"', rule.raw)}
    (steps,) = told
    for config in (ROOT / "model_repository").glob("*/config.pbtxt"):
        ensemble = 'platform: "ensemble"' in config.read_text("utf-8")
        assert ensemble is (re.fullmatch(steps, config.parent.name) is None), config.parent.name


def test_alerts_look_at_what_is_recorded() -> None:
    asked = {name for rule in of_rules() for name in re.findall(r"medserve:[\w:]+", rule.raw)}
    assert asked <= recorded()


def test_tests_of_rules_are_no_rules() -> None:
    """Neither compose's Prometheus nor the chart takes the files beside the rules."""
    (named,) = yaml.safe_load(PROMETHEUS_CONFIG.read_text("utf-8"))["rule_files"]
    assert named == "rules/medserve.yaml"
    (made,) = [one for one in rendered(CHART / "ci" / "gpu-values.yaml") if one["kind"] == "PrometheusRule"]
    assert made["spec"]["groups"] == groups()


def test_a_cluster_names_servers_as_compose_does() -> None:
    """Rules ask for job="medserve" and take a server's two ports for one instance."""
    objects = kinds(rendered(CHART / "ci" / "gpu-values.yaml"), "ServiceMonitor")
    made = {one["metadata"]["name"]: one["spec"] for one in objects}
    assert made["medserve"]["jobLabel"] == "app.kubernetes.io/name"
    (gateway,) = made["medserve-gateway"]["endpoints"]
    assert {"targetLabel": "job", "replacement": "medserve-gateway"} in gateway["relabelings"]
    for endpoint in (*made["medserve"]["endpoints"], gateway):
        assert {"sourceLabels": ["__meta_kubernetes_pod_name"], "targetLabel": "instance"} in endpoint["relabelings"]


def _mutants(rule: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(what was done, the alert with one thing changed): each comparison inverted, each limit doubled and halved."""
    expr = rule["expr"]
    for found in _COMPARISON.finditer(expr):
        operator, number = found.groups()
        changed = [f"{_INVERTED[operator]} {number}"]
        if float(number):
            changed += [f"{operator} 2 * {number}", f"{operator} 0.5 * {number}"]
        for each in changed:
            yield f"{found[0]} → {each}", rule | {"expr": expr[: found.start()] + each + expr[found.end() :]}
    if not _COMPARISON.search(expr):
        yield "absent → present", rule | {"expr": expr.replace("absent(", "count(")}
    if "for" in rule:
        yield f"for {rule['for']} → 0s", rule | {"for": "0s"}


def _tests_of(name: str, names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The files of tests, with what concerns this alert alone, for each that stands in its place."""
    for file in TESTS:
        suite = yaml.safe_load(file.read_text("utf-8"))
        kept = []
        for test in suite["tests"]:
            alerts_of = [case for case in test.get("alert_rule_test", ()) if case["alertname"] == name]
            series_of = [
                case for case in test.get("promql_expr_test", ()) if name in _ALERTS_SERIES.findall(case["expr"])
            ]
            if alerts_of or series_of:
                own = {"alert_rule_test": [case | {"alertname": one} for one in names for case in alerts_of]}
                own["promql_expr_test"] = [
                    case | {"expr": case["expr"].replace(f'"{name}"', f'"{one}"')}
                    for one in names
                    for case in series_of
                ]
                kept.append(test | own)
        if kept:
            yield file.name, suite | {"tests": kept}


@pytest.mark.slow  # promtool runs all tests again for each
@pytest.mark.parametrize("name", ALERTS)
def test_a_changed_alert_is_found(name: str, tmp_path: Path) -> None:
    """The tests of each alert can fail: one comparison inverted, one limit doubled or halved, and they do.

    All mutants stand side by side, under names of their own: one run of promtool instead of forty.
    """
    mutants = list(_mutants(ALERTS[name]))
    standing = {"unchanged": ALERTS[name]} | {f"mutant{number}": rule for number, (_, rule) in enumerate(mutants)}
    (group,) = [one for one in groups() if ALERTS[name] in one["rules"]]
    rules = [one for one in group["rules"] if "record" in one]
    rules += [rule | {"alert": alert} for alert, rule in standing.items()]
    text = yaml.safe_dump({"groups": [group | {"rules": rules}]}, sort_keys=False)
    (tmp_path / "rules.yaml").write_text(text, "utf-8")
    files = []
    for file, suite in _tests_of(name, list(standing)):
        files.append(tmp_path / file)
        files[-1].write_text(yaml.safe_dump(suite | {"rule_files": ["rules.yaml"]}, sort_keys=False), "utf-8")
    assert _promtool("check", "rules", tmp_path / "rules.yaml").returncode == 0  # no mutant fails for its grammar
    result = _promtool("test", "rules", *files)
    failed = set(re.findall(r'alertname(?:: |=\\?")(unchanged|mutant\d+)', result.stdout + result.stderr))
    assert failed <= set(standing) - {"unchanged"}
    unseen = [done for number, (done, _) in enumerate(mutants) if f"mutant{number}" not in failed]
    assert not unseen
