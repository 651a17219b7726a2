"""The chart as a cluster would get it: valid for each Kubernetes, pinned, and saying what it is meant to say."""

from __future__ import annotations

import copy
import subprocess
from pathlib import Path

import pytest
import trustme
import yaml

from tests.support import custom_resources as custom
from tests.support.chart import CHART, VALUES, containers, helm, kinds, pods, rendered
from tests.support.checkout import ROOT
from tests.support.proxy import configuration, envoy, moved

kubernetes_validate = pytest.importorskip("kubernetes_validate")

KUBERNETES = ("1.29", "1.33", "1.37")
EXPECTED = {
    "default": {"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy", "ConfigMap"},
    "gpu": {"Deployment", "ScaledObject", "ServiceMonitor", "PrometheusRule"},
    "mig": {"Deployment"},
    "shared": {"Deployment"},
    "gateway": {"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"},
    "kserve": {"ServingRuntime", "InferenceService", "ServiceMonitor", "PrometheusRule", "NetworkPolicy"},
}
# Ours are built by whoever deploys, and NVIDIA's registry was out of reach: tags without a digest, by name.
UNPINNED_HERE = {f"medserve-{name}:0.1.0" for name in ("cpu", "gpu", "gateway")}
UNPINNED_IN_VERSIONS = {"TRITON_IMAGE"}
PINNED = {"proxy": "ENVOY_IMAGE", "oci": "ORAS_IMAGE", "s3": "RCLONE_IMAGE"}


@pytest.mark.parametrize("name", VALUES)
def test_helm_finds_nothing(name: str) -> None:
    chosen = ["--values", str(VALUES[name])] if VALUES[name] else []
    result = subprocess.run([helm(), "lint", "--strict", str(CHART), *chosen], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert "[WARNING]" not in result.stdout


def _validated(document: dict, version: str) -> None:
    """Raises, for a kind that is neither Kubernetes' nor one of custom.KINDS too."""
    if document["kind"] in custom.KINDS:
        assert custom.faults(document) == []
    else:
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", VALUES)
def test_every_manifest_is_kubernetes(name: str, version: str) -> None:
    documents = rendered(VALUES[name], "--kube-version", version)
    assert EXPECTED[name] <= {document["kind"] for document in documents}
    for document in (*documents, *pods(documents)):
        _validated(document, version)


def _harmed(document: dict, *path: str | int, value: object = 7) -> dict:
    harmed = copy.deepcopy(document)
    place = harmed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return harmed


def test_a_manifest_with_a_fault_is_none() -> None:
    """A key that nobody knows, a type that is another, a kind that does not exist: of each object that is here."""
    gpu, kserve = rendered(VALUES["gpu"]), rendered(VALUES["kserve"])
    (deployment, *_), (scaled, *_) = kinds(gpu, "Deployment"), kinds(gpu, "ScaledObject")
    (monitor, *_), (rule,) = kinds(gpu, "ServiceMonitor"), kinds(gpu, "PrometheusRule")
    (runtime,), (service,) = kinds(kserve, "ServingRuntime"), kinds(kserve, "InferenceService")
    faulty = [
        _harmed(deployment, "spec", "template", "spec", "unknown"),
        _harmed(deployment, "spec", "replicas", value="two"),
        _harmed(deployment, "kind", value="Deploymint"),
        _harmed(scaled, "spec", "unknown"),
        _harmed(scaled, "spec", "maxReplicaCount", value="many"),
        _harmed(scaled, "spec", "triggers", 0, "unknown"),
        _harmed(monitor, "spec", "endpoints", 0, "unknown"),
        _harmed(monitor, "spec", "endpoints", 0, "interval", value=5),
        _harmed(rule, "spec", "groups", 0, "rules", 0, "unknown"),
        _harmed(runtime, "spec", "unknown"),
        _harmed(runtime, "spec", "supportedModelFormats", 0, "version", value=1),
        _harmed(service, "spec", "predictor", "model", "unknown"),
        _harmed(service, "spec", "predictor", "minReplicas", value="two"),
        _harmed(service, "apiVersion", value="serving.kserve.io/v1"),
    ]
    for document in faulty:
        with pytest.raises(
            (AssertionError, kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError)
        ):
            _validated(document, KUBERNETES[-1])
    (pod,) = pods([_harmed(runtime, "spec", "containers", 0, "unknown"), service])
    with pytest.raises(kubernetes_validate.ValidationError):
        _validated(pod, KUBERNETES[-1])


def _versions() -> dict[str, str]:
    lines = (ROOT / "docker" / "versions.env").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_images_are_those_of_one_file() -> None:
    versions = _versions()
    of = {"cpu": "PYTHON_IMAGE", "gateway": "PYTHON_IMAGE", "gpu": "TRITON_IMAGE"}
    for file, variable in of.items():
        assert f"ARG {variable}={versions[variable]}\n" in (ROOT / "docker" / f"{file}.Dockerfile").read_text("utf-8")
    images = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))["images"]
    for image, variable in PINNED.items():
        one = images[image]
        assert versions[variable] == f"{one['repository']}:{one['tag']}@{one['digest']}"
    assert {name for name, image in versions.items() if "@sha256:" not in image} == UNPINNED_IN_VERSIONS


@pytest.mark.parametrize("name", VALUES)
def test_every_image_is_pinned(name: str) -> None:
    images = {container["image"] for pod in pods(rendered(VALUES[name])) for container in containers(pod)}
    assert images
    for image in images:
        tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
        assert tag, image
        assert not tag.startswith("latest"), image
        assert "@sha256:" in image or image in UNPINNED_HERE, image


def test_the_envoy_that_is_tested_is_the_one_that_runs() -> None:
    told = subprocess.run([envoy(), "--version"], capture_output=True, text=True, check=True).stdout
    version = told.split("version:")[1].split("/")[1]
    assert f":v{version}@" in _versions()["ENVOY_IMAGE"]


@pytest.mark.parametrize("name", [name for name in VALUES if name != "kserve"])
def test_envoy_accepts_the_configuration(name: str, tmp_path: Path) -> None:
    result = _checked_by_envoy(configuration(VALUES[name]), tmp_path)
    assert result.returncode == 0, result.stderr
    assert "warning" not in result.stderr.lower()  # nothing deprecated


@pytest.mark.parametrize(
    ("right", "wrong"), [("lb_policy: LEAST_REQUEST", "lb_policy: LEAST"), ("weight: 100", "wait: 100")]
)
def test_envoy_would_not_accept_another(right: str, wrong: str, tmp_path: Path) -> None:
    files = configuration(None)
    assert right in files["envoy.yaml"]
    harmed = files | {"envoy.yaml": files["envoy.yaml"].replace(right, wrong)}
    assert _checked_by_envoy(harmed, tmp_path).returncode != 0


def _checked_by_envoy(files: dict[str, str], folder: Path) -> subprocess.CompletedProcess:
    (folder / "etc" / "envoy").mkdir(parents=True)
    (folder / "tls").mkdir()
    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_pem.write_to_path(folder / "tls" / "tls.key")
    issued.cert_chain_pems[0].write_to_path(folder / "tls" / "tls.crt")
    for name in files.keys() - {"drain.sh"}:
        text = yaml.safe_dump(moved(yaml.safe_load(files[name]), folder))
        (folder / "etc" / "envoy" / name).write_text(text, "utf-8")
    command = [envoy(), "--mode", "validate", "--config-path", str(folder / "etc" / "envoy" / "envoy.yaml")]
    return subprocess.run([*command, "--log-level", "warn"], capture_output=True, text=True)


def test_names_fit_however_long_they_are(tmp_path: Path) -> None:
    """A release's has 53 letters at most, a class's as many as the schema says."""
    schema = yaml.safe_load((CHART / "values.schema.json").read_text("utf-8"))
    longest = schema["properties"]["classes"]["propertyNames"]["maxLength"]
    file = tmp_path / "values.yaml"
    own = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))["classes"]["cpu"]
    file.write_text(yaml.safe_dump({"classes": {"cpu": None, "c" * longest: own}}), "utf-8")
    for values in (VALUES["gpu"], VALUES["kserve"]):
        command = [helm(), "template", "r" * 53, str(CHART), "--values", str(values), "--values", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        names = [one["metadata"]["name"] for one in yaml.safe_load_all(done.stdout) if one]
        assert any("c" * longest in name for name in names)
        assert max(map(len, names)) <= 63


def test_what_no_cluster_needs_is_not_packed(tmp_path: Path) -> None:
    subprocess.run([helm(), "package", str(CHART), "--destination", str(tmp_path)], check=True, capture_output=True)
    (archive,) = tmp_path.iterdir()
    names = subprocess.run(["tar", "-tzf", str(archive)], capture_output=True, text=True, check=True).stdout.split()
    assert "medserve/rules/medserve.yaml" in names
    assert "medserve/dashboards/medserve.json" in names
    assert not [name for name in names if "/ci/" in name or "/tests/" in name]
