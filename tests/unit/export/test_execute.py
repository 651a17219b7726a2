"""A plan's answers: memory, shapes and batches, through an engine that has TensorRT's interface and runs on the CPU."""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from export.engines import EngineFailed, answered
from export.plans.execute import PlanEngine
from export.plans.plan import EngineError
from tests.support import tiny_onnx as tiny

LARGEST = 4
STREAM = 7


class _HostMemory:
    """Memory that counts what is held; it stands in for a GPU's."""

    stream = STREAM

    def __init__(self) -> None:
        self.held: dict[int, object] = {}

    def allocate(self, size: int) -> int:
        content = (ctypes.c_char * max(1, size))()
        self.held[ctypes.addressof(content)] = content
        return ctypes.addressof(content)

    def upload(self, address: int, array: np.ndarray) -> None:
        ctypes.memmove(address, array.ctypes.data, array.nbytes)

    def download(self, array: np.ndarray, address: int) -> None:
        ctypes.memmove(array.ctypes.data, address, array.nbytes)

    def wait(self) -> None:
        pass

    def free(self, address: int) -> None:
        del self.held[address]


class _Context:
    """TensorRT's IExecutionContext, as far as it is used: addresses in, addresses out."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self.fails = False

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._shapes[name] = shape
        return 1 <= shape[0] <= LARGEST

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        (output,) = (each for each in self._session.get_outputs() if each.name == name)
        return (self._shapes["pixels"][0], *output.shape[1:])

    def set_tensor_address(self, name: str, address: int) -> None:
        self._addresses[name] = address

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == STREAM
        names = [output.name for output in self._session.get_outputs()]
        found = self._session.run(names, {"pixels": self._memory("pixels", np.uint8, self._shapes["pixels"])})
        for name, array in zip(names, found, strict=True):
            self._memory(name, np.float32, array.shape)[...] = array
        return not self.fails

    def _memory(self, name: str, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        raw = (ctypes.c_char * size).from_address(self._addresses[name])
        return np.frombuffer(raw, dtype).reshape(shape)


@pytest.fixture
def plan(tmp_path: Path) -> tuple[PlanEngine, onnxruntime.InferenceSession, _Context]:
    session = onnxruntime.InferenceSession(tiny.fp32(tmp_path))
    context = _Context(session)
    names = ["pixels", *(output.name for output in session.get_outputs())]
    engine = SimpleNamespace(
        create_execution_context=lambda: context,
        num_io_tensors=len(names),
        get_tensor_name=lambda index: names[index],
        get_tensor_dtype=lambda _name: "FLOAT",
    )
    memory = _HostMemory()
    trt = ModuleType("tensorrt")
    trt.nptype = {"FLOAT": np.float32}.__getitem__
    return PlanEngine(trt, engine, memory), session, context


def _pixels(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 3, tiny.SIDE, tiny.SIDE), np.uint8)


def test_it_answers_as_the_file_does_in_batches_it_was_built_for(plan) -> None:
    engine, session, _ = plan
    pixels = _pixels(11)  # the spec's largest batch is 4: 4, 4 and 3
    found = answered(tiny.spec(), engine, {"pixels": pixels}, "tensorrt")
    for name in ("probabilities", "summary"):
        (expected,) = session.run([name], {"pixels": pixels})
        np.testing.assert_allclose(found[name], expected, atol=1e-6)


def test_the_outputs_come_in_the_order_asked_for_and_stay(plan) -> None:
    engine, _, _ = plan
    summary, probabilities = engine.run({"pixels": _pixels(2)}, ["summary", "probabilities"])
    kept = probabilities.copy()
    engine.run({"pixels": _pixels(4)[2:]}, ["probabilities"])
    np.testing.assert_array_equal(probabilities, kept)
    assert summary.shape == (2, 5)


def test_inputs_may_lie_anyhow_in_memory(plan) -> None:
    engine, _, _ = plan
    pixels = _pixels(2)
    turned = np.asfortranarray(pixels)
    np.testing.assert_array_equal(
        engine.run({"pixels": pixels}, ["probabilities"]), engine.run({"pixels": turned}, ["probabilities"])
    )


def test_what_it_cannot_do_is_an_error(plan) -> None:
    engine, _, context = plan
    with pytest.raises(EngineError, match=r"pixels: expected a shape of its profile, got \(5, 3, 16, 16\)"):
        engine.run({"pixels": _pixels(5)}, ["probabilities"])
    context.fails = True
    with pytest.raises(EngineFailed, match=r"tensorrt: EngineError: plan: expected answers, got none"):
        answered(tiny.spec(), engine, {"pixels": _pixels(2)}, "tensorrt")
    assert engine._memory.held == {}  # a run that failed keeps nothing either


def test_without_a_gpu_it_names_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("export.plans.memory.driver", lambda: None)
    with pytest.raises(EngineError, match="expected an NVIDIA GPU whose driver answers"):
        PlanEngine(ModuleType("tensorrt"), None)
