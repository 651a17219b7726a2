"""Traces of networks, kept below build/ from one run to the next: tracing takes most of an export's time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from tests.support.checkout import BUILD, ROOT

if TYPE_CHECKING:
    import onnx

    from export.graphs.base import ServingGraph
    from export.spec import ModelSpec

_FOLDER = BUILD / "traces"
_UNUSED_S = 14 * 24 * 3600
_SOURCES = ("export/to_onnx.py", "tests/support/tiny_nets.py", *("export/graphs/*.py", "export/nets/*.py"))
_libraries: dict[type, Callable] = {}
_TOOLS = ("torch", "torchvision", "torch-geometric", "transformers", "onnx", "onnxscript", "onnx-ir")


@pytest.fixture(scope="session")
def kept_traces() -> Iterator[None]:
    """Publish without tracing again what was traced before, in this run or an earlier one."""
    with keeping_traces():
        yield


@contextmanager
def keeping_traces() -> Iterator[None]:
    """For the block, a network that was traced before is not traced again: only its stored ONNX graph is read.

    The key is everything that decides a trace: sources, tools, the modules' settings, and the weights.
    """
    import torch

    from export import to_onnx

    trace = to_onnx.traced
    if trace.__module__ == __name__:  # a block inside another
        yield
        return

    def kept(graph: ServingGraph, spec: ModelSpec) -> onnx.ModelProto:
        return _kept(trace, graph, spec)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a second thread costs more than it brings, and waits for a core that others use
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(to_onnx, "traced", kept)
        yield
    torch.set_num_threads(threads)


def _kept(trace, graph: ServingGraph, spec: ModelSpec) -> onnx.ModelProto:
    import onnx

    _FOLDER.mkdir(parents=True, exist_ok=True)
    file = _FOLDER / f"{spec.name}-{_key(graph, spec)}.onnx"
    with FileLock(file.with_name(f".{file.name}.lock")):
        if file.is_file():
            file.touch()
            return onnx.load(file)
        _forget_unused()
        with _library_read_once():
            model = trace(graph, spec)
        partial = file.with_suffix(".partial")
        partial.write_bytes(model.SerializeToString(deterministic=True))
        partial.replace(file)
    return model


@contextmanager
def _library_read_once() -> Iterator[None]:
    """Each export parses all functions of the operator library, and changes none of them."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    read = _libraries.setdefault(ONNXRegistry, cache(ONNXRegistry.from_torchlib))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(read))
        yield


def _key(graph: ServingGraph, spec: ModelSpec) -> str:
    digest = sha256(_sources())
    digest.update(repr((spec.step.outputs, spec.outputs, graph)).encode())
    for name, module in graph.named_modules():
        settings = {key: value for key, value in vars(module).items() if isinstance(value, (bool, int, float, str))}
        digest.update(repr((name, sorted(settings.items()))).encode())
    for name, tensor in graph.state_dict().items():
        digest.update(repr((name, tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()[:24]


@cache
def _sources() -> bytes:
    from export.card import tool_versions

    digest = sha256(repr(tool_versions(_TOOLS)).encode())
    for pattern in _SOURCES:
        for source in sorted(ROOT.glob(pattern)):
            digest.update(source.read_bytes())
    return digest.digest()


def _forget_unused() -> None:
    for old in _FOLDER.glob("*.onnx"):
        if time.time() - old.stat().st_mtime > _UNUSED_S:
            old.unlink(missing_ok=True)
