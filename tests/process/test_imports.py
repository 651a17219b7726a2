"""What is loaded, by programs of their own: serving never loads torch, and declarations cost nothing to read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.checkout import ROOT
from tests.unit.test_architecture import modules


def test_what_serves_loads_no_torch() -> None:
    serving = [
        module
        for module in modules()
        if module.split(".")[0] in ("server", "preprocess", "queueing", "report")
        and not module.endswith(
            (".__main__", "onnxruntime.model", "queueing.metrics", "queueing.step", "queueing.worker")
        )
    ]
    code = f"import importlib, sys\nfor name in {serving!r}: importlib.import_module(name)\n"
    code += "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'torchvision', 'export'}))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_specs_load_no_torch() -> None:
    code = "import sys; from export.models import all_specs; all_specs(); print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_a_start_with_nothing_to_export_imports_no_torch(tiny_repository: Path) -> None:
    code = (
        "import sys, pathlib; from export.models import all_specs; from export.publish import Order, stale; "
        f"found = [stale(s, pathlib.Path({str(tiny_repository)!r}), Order()) for s in all_specs().values()]; "
        "print(found, 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == f"{[''] * 9} False"


def test_client_imports_no_preprocess_unless_requested() -> None:
    code = "import sys, medserve.testing; print(sorted({n.split('.')[0] for n in sys.modules} & {'preprocess', 'PIL'}))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "client", capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_image_step_loads_no_rdkit() -> None:
    """There are as many workers of it as cores, and none of them reads a molecule."""
    code = "import sys, preprocess.image, preprocess.pair; print('rdkit' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
