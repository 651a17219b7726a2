"""The chart as a cluster would get it: valid for each Kubernetes, confined, and refusing values that mean nothing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.docker.tools import CHART, ROOT, helm, rendered

kubernetes_validate = pytest.importorskip("kubernetes_validate")

VALUES: dict[str, Path | None] = {"default": None} | {
    path.stem.removesuffix("-values"): path for path in sorted((CHART / "ci").glob("*.yaml"))
}
KUBERNETES = ("1.29", "1.33", "1.37")
CUSTOM = {"ScaledObject", "ServiceMonitor", "PrometheusRule", "ServingRuntime", "InferenceService"}
KINDS = {
    "default": {"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy", "ConfigMap"},
    "gpu": {"Deployment", "ScaledObject", "ServiceMonitor", "PrometheusRule"},
    "mig": {"Deployment"},
    "kserve": {"ServingRuntime", "InferenceService"},
}


def _containers(document: dict) -> list[dict]:
    pod = document["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


@pytest.mark.parametrize("name", VALUES)
def test_helm_finds_nothing(name: str) -> None:
    chosen = ["--values", str(VALUES[name])] if VALUES[name] else []
    result = subprocess.run([helm(), "lint", "--strict", str(CHART), *chosen], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", VALUES)
def test_every_manifest_is_kubernetes(name: str, version: str) -> None:
    documents = rendered(VALUES[name])
    assert KINDS[name] <= {document["kind"] for document in documents}
    for document in documents:
        if document["kind"] in CUSTOM:
            continue
        kubernetes_validate.validate(document, version, strict=True)  # raises, for a kind that it does not know too


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("replicas=3", "replicas"),
        ("classes.cpu.replica=3", "replica"),
        ("classes.cpu.replicas=many", "replicas"),
        ("images.cpu.tag=latest", "tag"),
        ("repository.uri=http://somewhere", "uri"),
        ("drain.exitSeconds=60", "exitSeconds"),
    ],
)
def test_values_that_mean_nothing_are_refused(harm: str, said: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        rendered(None, "--set", harm)
    assert said in caught.value.stderr


@pytest.mark.parametrize("name", [name for name in VALUES if name != "kserve"])
def test_every_container_is_confined(name: str) -> None:
    for document in rendered(VALUES[name]):
        if document["kind"] != "Deployment":
            continue
        pod = document["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        for container in _containers(document):
            confined = container["securityContext"]
            assert confined["runAsNonRoot"]
            assert confined["readOnlyRootFilesystem"]
            assert not confined["allowPrivilegeEscalation"]
            assert confined["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["requests"]
            assert container["resources"]["limits"]["memory"]


def test_a_server_is_drained_before_it_is_killed() -> None:
    from server.triton import DRAIN_TIMEOUT_S

    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    assert values["drain"]["exitSeconds"] == DRAIN_TIMEOUT_S
    servers = [
        document["spec"]["template"]["spec"]
        for document in rendered(None)
        if document["kind"] == "Deployment"
        and document["metadata"]["labels"]["app.kubernetes.io/component"] == "server"
    ]
    for pod in servers:
        delay = next(float(one["value"]) for one in pod["containers"][0]["env"] if one["name"] == "DRAIN_DELAY_S")
        ready = pod["containers"][0]["readinessProbe"]
        assert (
            delay > ready["periodSeconds"] * ready["failureThreshold"]
        )  # balancers hear of it before calls are refused
        assert pod["terminationGracePeriodSeconds"] >= delay + DRAIN_TIMEOUT_S + 5


def test_probes_ask_the_launcher() -> None:
    (server,) = [
        document["spec"]["template"]["spec"]["containers"][0]
        for document in rendered(None)
        if document["metadata"]["name"] == "medserve-cpu" and document["kind"] == "Deployment"
    ]
    assert server["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "health"}
    assert server["livenessProbe"]["httpGet"] == {"path": "/live", "port": "health"}


def test_calls_are_shared_by_weights_and_copied_to_shadows() -> None:
    (config,) = [
        one for one in rendered(VALUES["gpu"]) if one["metadata"]["name"] == "medserve-proxy" and "data" in one
    ]
    envoy = yaml.safe_load(config["data"]["envoy.yaml"])
    manager = envoy["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    route = manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
    assert {one["name"]: one["weight"] for one in route["weighted_clusters"]["clusters"]} == {
        "h100-grpc": 50,
        "l4-grpc": 50,
    }
    (mirror,) = route["request_mirror_policies"]
    assert mirror["cluster"] == "candidate-grpc"
    assert mirror["runtime_fraction"]["default_value"]["numerator"] == 5


def test_images_are_those_of_one_file() -> None:
    lines = (ROOT / "docker" / "versions.env").read_text("utf-8").splitlines()
    versions = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    for file, variable in (("cpu", "PYTHON_IMAGE"), ("gpu", "TRITON_IMAGE"), ("export", "PYTORCH_IMAGE")):
        assert f"ARG {variable}={versions[variable]}\n" in (ROOT / "docker" / f"{file}.Dockerfile").read_text("utf-8")
    proxy = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))["images"]["proxy"]
    assert versions["ENVOY_IMAGE"] == f"{proxy['repository']}:{proxy['tag']}@{proxy['digest']}"
    assert not [line for line in versions.values() if line.endswith(":latest") or ":" not in line]


def test_the_schema_is_one() -> None:
    assert json.loads((CHART / "values.schema.json").read_text("utf-8"))["additionalProperties"] is False
