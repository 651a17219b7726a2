"""A stand-in for TensorRT's Python module: a plan is the ONNX file itself, and onnxruntime runs it.

Names and calls are those that `export.plans` uses of TensorRT 11. Addresses are the stand-in driver's: the host's.
"""

from __future__ import annotations

import ctypes
import json
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime

__version__ = "11.4.0.106"
_MULTIPLYING = {"Conv": "CONVOLUTION", "MatMul": "MATRIX_MULTIPLY", "Gemm": "MATRIX_MULTIPLY"}
_DTYPES = {1: "FLOAT", 10: "HALF", 2: "UINT8", 3: "INT8", 6: "INT32", 7: "INT64", 9: "BOOL", 11: "DOUBLE"}
_NUMPY = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "UINT8": np.uint8,
    "INT32": np.int32,
    "INT64": np.int64,
    "BOOL": bool,
}


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    def __init__(self):
        pass


class BuilderFlag:
    TF32 = 1


class ProfilingVerbosity:
    DETAILED = 2


class LayerInformationFormat:
    JSON = 1


class OnnxParser:
    num_errors = 0

    def __init__(self, network, logger):
        self._network = network

    def parse_from_file(self, path):
        self._network.load(path)
        return True


def _tensor(name, elem_type, shape=()):
    return SimpleNamespace(name=name, dtype=SimpleNamespace(name=_DTYPES.get(elem_type, "FLOAT")), shape=shape)


class _Network:
    def load(self, path):
        model = onnx.load(path)
        self.content = model.SerializeToString()
        graph = onnx.shape_inference.infer_shapes(model).graph
        known = {
            value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.input, *graph.output)
        }
        known |= {tensor.name: tensor.data_type for tensor in graph.initializer}
        self._inputs, self._outputs = map(self._declared, (graph.input, graph.output))
        self._layers = [self._layer(node, known) for node in graph.node]

    def _declared(self, values):
        return [
            _tensor(
                value.name,
                value.type.tensor_type.elem_type,
                [size.dim_value or -1 for size in value.type.tensor_type.shape.dim],
            )
            for value in values
        ]

    def _layer(self, node, known):
        inputs = [_tensor(name, known.get(name, 1)) for name in node.input]
        outputs = [_tensor(name, known.get(name, 1)) for name in node.output]
        return SimpleNamespace(
            name=node.name,
            type=SimpleNamespace(name=_MULTIPLYING.get(node.op_type, node.op_type.upper())),
            num_inputs=len(inputs),
            num_outputs=len(outputs),
            get_input=inputs.__getitem__,
            get_output=outputs.__getitem__,
        )

    num_inputs = property(lambda self: len(self._inputs))
    num_outputs = property(lambda self: len(self._outputs))
    num_layers = property(lambda self: len(self._layers))

    def get_input(self, index):
        return self._inputs[index]

    def get_output(self, index):
        return self._outputs[index]

    def get_layer(self, index):
        return self._layers[index]


class _Times:
    def serialize(self):
        return b"times"


class _Config:
    def clear_flag(self, flag):
        assert flag == BuilderFlag.TF32

    def add_optimization_profile(self, profile):
        assert profile.shapes

    def create_timing_cache(self, content):
        return _Times()

    def set_timing_cache(self, times, ignore_mismatch):
        return not ignore_mismatch


class _Profile:
    def __init__(self):
        self.shapes = {}

    def set_shape(self, name, smallest, optimal, largest):
        self.shapes[name] = (smallest, optimal, largest)


class Builder:
    def __init__(self, logger):
        pass

    def create_network(self, flags):
        return _Network()

    def create_builder_config(self):
        return _Config()

    def create_optimization_profile(self):
        return _Profile()

    def build_serialized_network(self, network, config):
        return network.content


class Runtime:
    def __init__(self, logger):
        pass

    def deserialize_cuda_engine(self, content):
        return _Engine(bytes(content))


class _Engine:
    def __init__(self, content):
        self.session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        self._tensors = [*self.session.get_inputs(), *self.session.get_outputs()]
        self.num_io_tensors = len(self._tensors)

    def get_tensor_name(self, index):
        return self._tensors[index].name

    def get_tensor_dtype(self, name):
        words = {"tensor(float)": "FLOAT", "tensor(uint8)": "UINT8", "tensor(int64)": "INT64", "tensor(int32)": "INT32"}
        (found,) = (words[tensor.type] for tensor in self._tensors if tensor.name == name)
        return found

    def create_execution_context(self):
        return _Context(self)

    def create_engine_inspector(self):
        return SimpleNamespace(get_engine_information=lambda _format: json.dumps({"Layers": []}))


class _Context:
    def __init__(self, engine):
        self._engine, self._shapes, self._addresses = engine, {}, {}

    def set_input_shape(self, name, shape):
        self._shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name):
        batch = next(iter(self._shapes.values()))[0]
        (output,) = (tensor for tensor in self._engine.session.get_outputs() if tensor.name == name)
        atoms = max((shape[1] for shape in self._shapes.values() if len(shape) > 1), default=1)
        return (batch, *(size if isinstance(size, int) else atoms for size in output.shape[1:]))

    def set_tensor_address(self, name, address):
        self._addresses[name] = address

    def execute_async_v3(self, stream):
        if stream != 0x7FFF00000022:
            return False
        ctypes.CDLL("libcuda.so.1").stand_in_run()  # copies that the stream was given before
        session = self._engine.session
        sent = {name: self._memory(name, shape) for name, shape in self._shapes.items()}
        names = [output.name for output in session.get_outputs()]
        for name, array in zip(names, session.run(names, sent), strict=True):
            self._memory(name, array.shape)[...] = array
        return True

    def _memory(self, name, shape):
        dtype = np.dtype(nptype(self._engine.get_tensor_dtype(name)))
        size = int(np.prod(shape)) * dtype.itemsize
        return np.frombuffer((ctypes.c_char * size).from_address(self._addresses[name]), dtype).reshape(shape)


def nptype(dtype):
    return _NUMPY[dtype]
