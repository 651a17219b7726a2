"""The python-based `onnxruntime` backend on files that are not MedServe's: types, shapes, batching, completion."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
import tritonclient.grpc as grpc
from onnx import TensorProto, helper
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from benchmarks.ports import free_ports
from server.installation import find_triton, lay_out_backends
from server.leftovers import clean_up, own_tag
from server.triton import Address, Triton
from tests.support.clock import until
from tests.support.live import Live

NUMERIC = {
    "UINT8": TensorProto.UINT8,
    "INT8": TensorProto.INT8,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BOOL": TensorProto.BOOL,
}


def _save(folder: Path, nodes, inputs, outputs, filename: str = "model.onnx") -> None:
    graph = helper.make_graph(nodes, "test", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    version = folder / "1"
    version.mkdir(parents=True)
    onnx.save(model, version / filename)


def _value(name: str, kind: int, *dims: int | str):
    return helper.make_tensor_value_info(name, kind, dims)


class Bare(Live):
    """A Triton without a launcher."""

    def triton(self) -> psutil.Process:
        return psutil.Process(self.process.pid)


@pytest.fixture(scope="module")
def client(live: Bare) -> Iterator[grpc.InferenceServerClient]:
    with grpc.InferenceServerClient(f"127.0.0.1:{live.grpc}") as connection:
        yield connection


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bare]:
    """A Triton that completes configs, over three small models."""
    folder = tmp_path_factory.mktemp("backend")
    models = folder / "models"
    # Every numeric type at once, in and out; the config is two words.
    _save(
        models / "types",
        [helper.make_node("Identity", [f"in_{name}"], [f"out_{name}"]) for name in NUMERIC],
        [_value(f"in_{name}", kind, "batch", "size") for name, kind in NUMERIC.items()],
        [_value(f"out_{name}", kind, "batch", "size") for name, kind in NUMERIC.items()],
    )
    (models / "types" / "config.pbtxt").write_text('backend: "onnxruntime"\n')
    # No batch axis.
    _save(
        models / "unbatched",
        [helper.make_node("Add", ["a", "b"], ["sum"])],
        [_value("a", TensorProto.FLOAT, 3), _value("b", TensorProto.FLOAT, 3)],
        [_value("sum", TensorProto.FLOAT, 3)],
    )
    (models / "unbatched" / "config.pbtxt").write_text('backend: "onnxruntime"\n')
    # Batched, slow enough to gather a queue, another file name, threads set.
    layers = [helper.make_node("MatMul", [f"x{i}" if i else "x", "w"], [f"x{i + 1}"]) for i in range(40)]
    weights = helper.make_node(
        "Constant", [], ["w"], value=onnx.numpy_helper.from_array(np.eye(1024, dtype=np.float32))
    )
    last = [helper.make_node("Identity", ["x40"], ["y"]), helper.make_node("Neg", ["x"], ["z"])]
    _save(
        models / "batched",
        [weights, *layers, *last],
        [_value("x", TensorProto.FLOAT, "batch", "rows", 1024)],
        [_value("y", TensorProto.FLOAT, "batch", "rows", 1024), _value("z", TensorProto.FLOAT, "batch", "rows", 1024)],
        "net.onnx",
    )
    (models / "batched" / "config.pbtxt").write_text(
        'backend: "onnxruntime"\nmax_batch_size: 32\ndefault_model_filename: "net.onnx"\n'
        "dynamic_batching { max_queue_delay_microseconds: 50000 }\n"
        'parameters { key: "intra_op_thread_count" value { string_value: "1" } }\n'
    )
    runtime, tag = folder / "run", own_tag()
    lay_out_backends(find_triton(), runtime / tag / "backends")
    address = Address("127.0.0.1", *free_ports(3))
    triton = Triton(
        find_triton(),
        models,
        runtime / tag / "backends",
        folder / "cache",
        tag,
        address,
        verbose=True,
        complete_configs=True,
    )
    try:
        triton.wait_until_ready(["types", "unbatched", "batched"], lambda _: None)
        yield Bare(psutil.Process(triton.pid), address.http, address.grpc, address.metrics, 0, folder / "none.log")
    finally:
        triton.drain(30)
        clean_up(runtime, tag)


def _infer(client, model: str, outputs: list[str] | None = None, **arrays: np.ndarray):
    inputs = []
    for name, array in arrays.items():
        tensor = grpc.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    wanted = [grpc.InferRequestedOutput(name) for name in outputs] if outputs else None
    return client.infer(model, inputs, outputs=wanted)


def test_requests_are_joined_and_each_gets_its_own_rows(client, live: Bare) -> None:
    """First: it counts all that this model has been asked."""
    requests, counted = 48, ("medserve_worker_requests", "batched", "")

    def ask(number: int) -> bool:
        rows = 1 if number < requests else 1 + number % 2  # then two shapes in turn: never in one run
        x = np.full((1 + number % 3, rows, 1024), number, np.float32)
        answer = _infer(client, "batched", ["y"], x=x).as_numpy("y")
        return answer.shape == x.shape and bool((answer == x).all())

    def in_batches() -> int:
        return sum(size * runs for size, runs in live.batch_sizes("batched").items())

    items = sum(1 + number % 3 for number in range(requests))
    with ThreadPoolExecutor(requests) as pool:
        assert all(pool.map(ask, range(requests)))
        found = live.wait_for_metrics(lambda found: found.get(counted) == requests)
        until(lambda: in_batches() >= items, "Triton to count what it has answered")
        batches = live.batch_sizes("batched")
        assert all(pool.map(ask, range(requests, 2 * requests)))
    assert found["medserve_worker_items", "batched", ""] == items
    assert sum(batches.values()) < requests
    assert sum(size * runs for size, runs in batches.items()) == items
    assert max(batches) <= 32


def test_a_config_is_completed_from_the_file(client) -> None:
    config = client.get_model_config("types", as_json=True)["config"]
    assert config["max_batch_size"] == 4
    assert {tensor["name"]: tensor["data_type"] for tensor in config["input"]} == {
        f"in_{name}": f"TYPE_{name}" for name in NUMERIC
    }
    assert client.get_model_config("unbatched", as_json=True)["config"].get("max_batch_size", 0) == 0


def test_every_numeric_type_goes_in_and_out(client) -> None:
    kinds = [np.uint8, np.int8, np.int32, np.int64, np.float16, np.float32, np.float64, np.bool_]
    arrays = {f"in_{name}": np.array([[0, 1, 7]], kind) for name, kind in zip(NUMERIC, kinds, strict=True)}
    result = _infer(client, "types", **arrays)
    for name, kind in zip(NUMERIC, kinds, strict=True):
        answer = result.as_numpy(f"out_{name}")
        assert answer.dtype == kind
        assert (answer == arrays[f"in_{name}"]).all()


def test_a_model_without_a_batch_axis(client) -> None:
    result = _infer(client, "unbatched", a=np.float32([1, 2, 3]), b=np.float32([10, 20, 30]))
    assert result.as_numpy("sum").tolist() == [11, 22, 33]


def test_only_requested_outputs_come_back(client) -> None:
    result = _infer(client, "batched", ["z"], x=np.ones((1, 2, 1024), np.float32))
    assert [output.name for output in result.get_response().outputs] == ["z"]


def test_a_wrong_shape_is_refused_and_the_model_lives(client) -> None:
    with pytest.raises(InferenceServerException, match="shape"):
        _infer(client, "batched", x=np.ones((1, 2, 7), np.float32))
    assert _infer(client, "batched", ["z"], x=np.ones((1, 1, 1024), np.float32)).as_numpy("z")[0, 0, 0] == -1
