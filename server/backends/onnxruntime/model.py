"""A Triton backend called `onnxruntime`, written in Python for a server that carries no other.

Serves every model whose config says `backend: "onnxruntime"`, so that the repository which runs
under NVIDIA's image runs here unchanged. Triton loads this class once for each model instance.
"""

from __future__ import annotations

import json
from pathlib import Path

import triton_python_backend_utils as pb_utils

from server.backends.onnxruntime.batching import answer_all
from server.backends.onnxruntime.completion import complete
from server.backends.onnxruntime.engine import open_engine, signature
from server.backends.onnxruntime.options import ConfigError, from_config


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
        if args["model_instance_kind"] == "GPU":
            raise ConfigError(
                f"{name}: instance_group: expected KIND_CPU, got KIND_GPU. This wheel's Triton serves on the CPU; "
                "use NVIDIA's image for a GPU."
            )
        options = from_config(config, Path(args["model_repository"], args["model_version"]))
        self._engine = open_engine(options)
        self._inputs = [tensor["name"] for tensor in config["input"]]
        self._batched = config["max_batch_size"] > 0
        pb_utils.Logger.log_info(f"{name}: {options.file.name} on {self._engine.name}")

    def execute(self, requests):
        answers, asked = {}, {}
        for place, request in enumerate(requests):
            if request.is_cancelled():
                continue
            try:
                asked[place] = (self._arrays(request), request.requested_output_names())
            except Exception as exc:  # one unreadable request is its own answer, not everybody's
                answers[place] = exc
        found = answer_all(list(asked.values()), self._engine.run, batched=self._batched)
        answers |= dict(zip(asked, found, strict=True))
        return [_response(answers.get(place)) for place in range(len(requests))]

    def _arrays(self, request):
        tensors = ((name, pb_utils.get_input_tensor_by_name(request, name)) for name in self._inputs)
        return {name: tensor.as_numpy() for name, tensor in tensors if tensor is not None}


def _response(answer):
    if answer is None:
        return _error("[cancelled] the caller went away", pb_utils.TritonError.CANCELLED)
    if isinstance(answer, Exception):
        return _error(f"[internal] {type(answer).__name__}: {answer}", pb_utils.TritonError.INTERNAL)
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in answer.items()])


def _error(sentence, code):
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(sentence, code))
