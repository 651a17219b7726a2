"""The arrows of the house: who may import whom, and that serving never touches torch."""

from __future__ import annotations

import ast
import tomllib
from fnmatch import fnmatch
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

PACKAGES = {"export": "export", "preprocess": "preprocess", "report": "report", "server": "server"}
PACKAGES |= {"benchmarks": "benchmarks", "gateway": "gateway", "queueing": "queueing"}
PACKAGES |= {"medserve": "client/src/medserve", "model_repository": "model_repository"}
# package → packages of ours that it may import.
ALLOWED = {
    "export": {
        "preprocess",
        "queueing",
        "report",
        "server",
    },  # the engines that serve are those that are compared and timed
    "preprocess": set(),
    "queueing": set(),
    "report": set(),
    "server": {"queueing", "report"},
    "model_repository": {"preprocess", "queueing", "report"},
    "medserve": {"preprocess"},  # on request, in one module: see the test below
    "benchmarks": {"export", "medserve", "report", "server"},
    "gateway": {"medserve"},
}
# Inside export: spec ← rooms ← tools ← command line. A module may import those of its own or an earlier line.
LAYERS = [
    {"export.spec", "export.digest"},
    {"export.steps", "export.outputs", "export.staging", "export.artefact", "export.precision.nodes"},
    {"export.models", "export.nets", "export.figures", "export.plans"},
    {"export.checkpoints", "export.graphs", "export.samples", "export.adapters", "export.sources", "export.profiles"},
    {
        "export.item_files",
        "export.loading",
        "export.reference_distribution",
        "export.references",
        "export.pictures",
        "export.engines",
        "export.suspects",
        "export.verdict",
    },
    {"export.to_onnx", "export.to_engine", "export.parity", "export.repository", "export.calibrate", "export.training"},
    {"export.precision"},
    {"export.lanes", "export.variant"},
    {"export.variants", "export.tune", "export.plan_all", "export.gate_plots"},
    {"export.card", "export.model_card", "export.precision_table", "export.gate_report"},
    {"export.publish"},
    {"export.mobile"},
    {"export.commands"},
    {"export.__main__"},
]


def modules() -> dict[str, Path]:
    """Module name → file, of everything of ours."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join((package, *(part for part in parts if part != "__init__")))] = path
    return found


def _imports(path: Path) -> set[str]:
    """Modules that a file names in an import, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_packages_import_only_what_they_may() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, path in modules().items()
        for name in _imports(path)
        if (target := name.split(".")[0]) in PACKAGES and target != module.split(".")[0]
        if target not in ALLOWED[module.split(".")[0]]
    ]
    assert not wrong


def test_one_module_of_the_client_imports_preprocess() -> None:
    found = [
        module for module, path in modules().items()
        if module.split(".")[0] == "medserve" and {name.split(".")[0] for name in _imports(path)} & {"preprocess"}
    ]  # fmt: skip
    assert found == ["medserve.preprocessing"]


def test_one_module_imports_tensorrt() -> None:
    found = [module for module, path in modules().items() if _imports(path) & {"tensorrt", "tensorrt_rtx"}]
    assert found == ["export.to_engine"]


def _layer(module: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if any(module == m or module.startswith(m + ".") for m in layer))


def test_data_flows_one_way_through_the_exporter() -> None:
    files = {name: path for name, path in modules().items() if name.startswith("export.")}
    wrong = [
        f"{module} imports {name}"
        for module, path in files.items()
        for name in _imports(path)
        if name in files and _layer(name) > _layer(module)
    ]
    assert not wrong


def test_no_import_cycles() -> None:
    files = modules()
    graph = {module: {name for name in _imports(path) if name in files} for module, path in files.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("package", ["server", "preprocess", "queueing", "report", "model_repository", "medserve"])
def test_what_serves_names_no_torch(package: str) -> None:
    for module, path in modules().items():
        if module.split(".")[0] == package:
            assert not {name.split(".")[0] for name in _imports(path)} & {"torch", "torchvision", "torch_geometric"}


def test_no_model_is_named_outside_its_room() -> None:
    """A tenth model is one new file: nothing else may know the nine."""
    names = {path.stem for path in (ROOT / "export" / "models").glob("[a-z]*.py")}
    wrong = [
        f"{path}:{node.lineno}"
        for module, path in modules().items()
        if not module.startswith(("export.models.", "model_repository."))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert not wrong


def test_what_the_gateway_reads_is_installed_with_it() -> None:
    """Its image has what `pip install` copies, and no checkout."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
    files = [path for path in (ROOT / "gateway").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    assert len(files) > 20
    for path in files:
        package = ".".join(path.relative_to(ROOT).parent.parts)
        assert any(fnmatch(path.name, pattern) for pattern in patterns.get(package, ())), path
