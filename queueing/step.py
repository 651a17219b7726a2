"""A pure function behind a Triton model of the python backend: what the generated model.py files share."""

from __future__ import annotations

from functools import partial

import triton_python_backend_utils as pb_utils

from queueing.worker import Worker, error


class StepWorker:
    """Calls a function for one request at a time: a bad file fails its own request and no other.

    Args:
        arguments: of TritonPythonModel.initialize.
        function: each input's items, as lists of bytes → arrays by output name; it tells `note` what it read.
        inputs: names, in the function's order.
        options: its keyword arguments.
        refusal: what the function raises for a file that it does not take: its sentence goes to the caller, its
            `reason` is counted.
        nice: see Worker.
    """

    def __init__(self, arguments, function, *, inputs, options, refusal, nice):
        self._function = partial(function, note=self._note, **options)
        self._inputs, self._refusal = inputs, refusal
        self._worker = Worker(arguments, self._read, self._answers, most=1, nice=nice)

    def execute(self, requests):
        """TritonPythonModel.execute."""
        self._worker.execute(requests)

    def finalize(self):
        """TritonPythonModel.finalize."""
        self._worker.finalize()

    def _read(self, request):
        """What came for each input, item by item; zero bytes for each item of an optional one that was left out."""
        tensors = [pb_utils.get_input_tensor_by_name(request, name) for name in self._inputs]
        items = [[] if tensor is None else list(tensor.as_numpy().ravel()) for tensor in tensors]
        count = max(map(len, items)) or 1
        return [found or [b""] * count for found in items], count, sum(len(one) for found in items for one in found)

    def _note(self, seen):
        self._worker.metrics.read(seen)

    def _answers(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        try:
            arrays = self._function(*request.content)
        except self._refusal as refused:
            self._worker.metrics.unreadable(str(refused.reason))
            return error(str(refused), pb_utils.TritonError.INVALID_ARG)
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, arrays[name]) for name in request.wanted])
