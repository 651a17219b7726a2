"""A real Prometheus reads the real server: all that a rule or a panel asks for is there, and nothing of a patient.

Calls of every kind are sent first: pictures, a DICOM file, molecules, files that are refused.
"""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

from benchmarks.ports import free_ports
from medserve import Client, InvalidInput
from server.asking import get
from tests.support.clock import HANG_S, until
from tests.support.dicoms import dataset, file
from tests.support.gateway_process import Running, gateway
from tests.support.live import Live, serving
from tests.support.monitoring import (
    PROMETHEUS_CONFIG,
    RULES,
    Expression,
    Selector,
    alerts,
    grouped,
    of_dashboard,
    of_rules,
    program,
    selectors,
)

PLANTED = ("DOE^PLANTED", "PLANTED42", "19170704", "CC(C)CC1CCC(CC1)C(C)C", "phantom", "planted_file")
IDENTITY = {"PatientName": "DOE^PLANTED", "PatientID": "PLANTED42", "PatientBirthDate": "19170704"}
MOLECULE = "CC(C)CC1CCC(CC1)C(C)C"

# What this machine cannot have, and why. Nothing else may be missing.
METRICS_OF_GPUS = "nv_gpu_"
LABELS_OF_CLUSTERS = {"namespace", "medserve_class"}
ONLY_WHILE_SOMETHING_FIRES = "ALERTS"
# Most files sent here are refused, and a machine that runs tests may be slow.
MAY_FIRE = {"MedServeInputsRefused", "MedServeLatencyBudgetBurns", "MedServeLatencyBudgetBurnsFast"}


@dataclass(frozen=True)
class Prometheus:
    """A running one.

    Args:
        url: of its API.
    """

    url: str

    def ask(self, path: str, **arguments: str) -> Any:
        """What its API answers."""
        query = urllib.parse.urlencode(arguments)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=HANG_S) as answer:
            told = json.load(answer)
        assert told["status"] == "success"
        return told["data"]

    def series(self, selector: str) -> list[dict[str, str]]:
        """Labels of all that a selector matches now."""
        return [one["metric"] for one in self.ask("query", query=selector)["result"]]


@pytest.fixture(scope="module")
def live(tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    program("prometheus")
    folder = tmp_path_factory.mktemp("metrics")
    with serving(tiny_repository, folder, MODELS="solubility,pneumonia_cnn") as found:
        yield found


@pytest.fixture(scope="module")
def door(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with gateway(live.grpc_url, tmp_path_factory.mktemp("gateway")) as running:
        yield running


def _config(live: Live, door: Running, folder: Path) -> Path:
    """Compose's own, with this server's ports, and evaluated often enough for a test."""
    config = yaml.safe_load(PROMETHEUS_CONFIG.read_text("utf-8"))
    config["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    here = {"medserve:8002": f"127.0.0.1:{live.metrics}", "medserve:8003": f"127.0.0.1:{live.health}"}
    here["gateway:8080"] = door.url.removeprefix("http://")
    for one in (one for job in config["scrape_configs"] for one in job["static_configs"]):
        one["targets"] = [here[target] for target in one["targets"]]
    rules = yaml.safe_load(RULES.read_text("utf-8"))
    for group in rules["groups"]:
        group["interval"] = "1s"
    folder.joinpath("rules.yaml").write_text(yaml.safe_dump(rules, sort_keys=False), "utf-8")
    config["rule_files"] = ["rules.yaml"]
    written = folder / "prometheus.yml"
    written.write_text(yaml.safe_dump(config), "utf-8")
    return written


@pytest.fixture(scope="module")
def prometheus(live: Live, door: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    (port,) = free_ports(1)
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={_config(live, door, folder)}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        log_text = (folder / "prometheus.log").read_text

        def ready() -> bool:
            assert process.poll() is None, log_text()
            return get("127.0.0.1", port, "/-/ready", 1)[0] == 200

        until(ready, "Prometheus to be ready", log_text)
        found = Prometheus(f"http://127.0.0.1:{port}")
        _call_for(live, door, found)
        yield found
    finally:
        process.terminate()
        process.wait(20)


def _call_for(live: Live, door: Running, prometheus: Prometheus) -> None:
    """Calls of every kind, again and again until the rules have made something of them."""
    film = np.add.outer(np.arange(128), np.arange(120)).astype(np.uint8)
    good = file(dataset(film, **IDENTITY))
    wrong = file(dataset(film, **IDENTITY | {"Modality": "US"}))
    with Client(live.grpc_url) as client:

        def recorded() -> bool:
            client.predict("pneumonia_cnn", image=Path("examples/phantom.png"))
            client.predict("pneumonia_cnn", image=good)
            client.predict("solubility", smiles=MOLECULE)
            httpx.post(f"{door.url}/predict/solubility", json={"smiles": MOLECULE}).raise_for_status()
            for refused in (b"planted_file, no picture", wrong, base64.b64encode(b"PLANTED42 DOE^PLANTED" * 4)):
                with contextlib.suppress(InvalidInput):
                    client.predict("pneumonia_cnn", image=refused)
            with contextlib.suppress(InvalidInput):
                client.predict("solubility", smiles="PLANTED42")
            return not _missing(prometheus, _asked())

        until(recorded, "all that rules and panels name", lambda: str(_missing(prometheus, _asked())))


def _asked() -> Iterator[tuple[Expression, Selector]]:
    """Every name in every rule and panel that this machine can have."""
    for expression in (*of_rules(), *of_dashboard()):
        for one in selectors(expression.text):
            if not one.metric.startswith((METRICS_OF_GPUS, ONLY_WHILE_SOMETHING_FIRES)):
                yield expression, one


def _missing(prometheus: Prometheus, asked: Iterable[tuple[Expression, Selector]]) -> list[str]:
    found: dict[str, set[str]] = {}
    missing = []
    for expression, one in asked:
        if one.metric not in found:
            found[one.metric] = {label for series in prometheus.series(one.metric) for label in series}
        if not found[one.metric]:
            missing.append(f"{expression.where}: no {one.metric}")
        elif not one.labels - LABELS_OF_CLUSTERS <= found[one.metric]:
            missing.append(f"{expression.where}: {one.metric} has no {one.labels - found[one.metric]}")
    return missing


def test_each_target_is_up(prometheus: Prometheus) -> None:
    targets = prometheus.ask("targets")["activeTargets"]
    assert {(one["labels"]["endpoint"], one["health"]) for one in targets} == {
        ("metrics", "up"),
        ("health", "up"),
        ("gateway", "up"),
    }
    servers = [one["labels"] for one in targets if one["labels"]["job"] == "medserve"]
    assert {one["instance"] for one in servers} == {"127.0.0.1"}


def test_each_name_and_each_label_that_is_asked_for_is_there(prometheus: Prometheus) -> None:
    assert not _missing(prometheus, _asked())


def test_a_name_or_a_label_that_is_gone_is_found(prometheus: Prometheus) -> None:
    for gone in ('medserve_worker_gone_total{model="a"}', 'medserve_worker_waiting{wrong="a"}'):
        assert len(_missing(prometheus, [(Expression("a panel", gone, gone), one) for one in selectors(gone)])) == 1


def test_each_selector_of_a_rule_matches_something(prometheus: Prometheus) -> None:
    """Values too: a reason or a state that is called otherwise would be an alert that never fires."""
    for expression in of_rules():
        for one in selectors(expression.text):
            assert prometheus.series(one.text), f"{expression.where}: {one.text}"


def test_series_are_added_up_and_named_by_labels_that_they_have(prometheus: Prometheus) -> None:
    for expression in (*of_rules(), *of_dashboard()):
        asked = [one for one in selectors(expression.text) if not one.metric.startswith(METRICS_OF_GPUS)]
        if not asked or asked[0].metric == ONLY_WHILE_SOMETHING_FIRES:
            continue
        there = {label for one in asked for series in prometheus.series(one.metric) for label in series}
        wanted = (grouped(expression.text) | expression.legend) - LABELS_OF_CLUSTERS
        assert wanted <= there, expression


def test_every_rule_is_well(prometheus: Prometheus) -> None:
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules if rule["type"] == "alerting"} == set(alerts())
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []


def test_nothing_fires_at_a_server_that_is_well(prometheus: Prometheus) -> None:
    assert {one["labels"]["alertname"] for one in prometheus.ask("alerts")["alerts"]} <= MAY_FIRE


def test_what_was_sent_is_told_by_kind_alone(prometheus: Prometheus) -> None:
    def told(metric: str, label: str) -> set[str]:
        return {series[label] for series in prometheus.series(metric)}

    assert told("medserve_input_total", "format") == {"png", "dicom", "smiles"}
    reasons = {"not_an_image", "wrong_modality", "not_smiles", "invalid_molecule"}
    assert told("medserve_input_refused_total", "reason") <= reasons
    assert {"not_an_image", "wrong_modality"} <= told("medserve_input_refused_total", "reason")


def test_no_metric_tells_of_a_patient(live: Live, prometheus: Prometheus) -> None:
    texts = [get("127.0.0.1", port, "/metrics", 5)[1].decode() for port in (live.metrics, live.health)]
    texts += [value for label in prometheus.ask("labels") for value in prometheus.ask(f"label/{label}/values")]
    for planted in PLANTED:
        assert not [text for text in texts if planted in text]
