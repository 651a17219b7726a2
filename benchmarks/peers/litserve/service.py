# mypy: ignore-errors
"""LitServe: decoding and the network in the worker, batches of up to eight."""

import base64

import litserve

from benchmarks.peers.task import HOST, Task
from benchmarks.peers.work import open_work


class Api(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002
        self._work = open_work()

    def decode_request(self, request: dict[str, str]) -> object:
        return self._work.prepare(base64.b64decode(request["image"]))

    def batch(self, inputs: list[object]) -> list[object]:
        return inputs

    def predict(self, batch: list[object]) -> list[list[float]]:
        return self._work.predict(batch)

    def unbatch(self, output: list[list[float]]) -> list[list[float]]:
        return output

    def encode_response(self, output: list[float]) -> dict[str, list[float]]:
        return {"probabilities": output}


if __name__ == "__main__":
    task = Task.read()
    server = litserve.LitServer(
        Api(max_batch_size=8, batch_timeout=0.1), accelerator="cpu", workers_per_device=task.workers
    )
    server.run(host=HOST, port=task.port, generate_client_file=False, access_log=False)
