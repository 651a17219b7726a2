"""A Triton backend called `onnxruntime`, written in Python for a server that carries no other.

Serves every model whose config says `backend: "onnxruntime"`, so that the repository which runs
under NVIDIA's image runs here unchanged. Triton loads this class once for each model instance.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

from queueing.worker import Worker
from server.backends.onnxruntime.batching import answer_all
from server.backends.onnxruntime.completion import complete
from server.backends.onnxruntime.engine import open_engine, signature
from server.backends.onnxruntime.options import from_config


class TritonPythonModel:
    """One instance: one engine."""

    @staticmethod
    def auto_complete_config(config):
        """Add what config.pbtxt leaves out, read from the newest version's file."""
        given = config.as_dict()
        options = from_config(given, Path(pb_utils.get_model_dir()))
        complete(config, *signature(options.file))
        return config

    def initialize(self, args):
        config = json.loads(args["model_config"])
        name = f"{args['model_instance_name']}"
        options = from_config(config, Path(args["model_repository"], args["model_version"]))
        self._engine = open_engine(options)
        self._inputs = [tensor["name"] for tensor in config["input"]]
        most = config["max_batch_size"]
        self._batched = most > 0
        self._worker = Worker(args, self._read, self._answer, most=most)
        pb_utils.Logger.log_info(f"{name}: {options.file.name} on {self._engine.name}")

    def execute(self, requests):
        self._worker.execute(requests)

    def finalize(self):
        self._worker.finalize()

    def _read(self, request):
        tensors = ((name, pb_utils.get_input_tensor_by_name(request, name)) for name in self._inputs)
        arrays = {name: np.array(tensor.as_numpy()) for name, tensor in tensors if tensor is not None}
        items = len(next(iter(arrays.values()))) if self._batched else 1
        return arrays, items, sum(array.nbytes for array in arrays.values())

    def _answer(self, requests):
        asked = [(request.content, request.wanted) for request in requests]
        return [self._response(answer) for answer in answer_all(asked, self._engine.run, batched=self._batched)]

    def _response(self, answer):
        if isinstance(answer, Exception):  # the engine tells of shapes and types, never of values
            return self._worker.failed(answer, str(answer))
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in answer.items()])
