# mypy: ignore-errors
"""TorchServe: a handler of batches."""

from benchmarks.peers.work import open_work


class Handler:
    def initialize(self, context: object) -> None:  # noqa: ARG002
        self._work = open_work()

    def handle(self, data: list[dict[str, bytes]], context: object) -> list[list[float]]:  # noqa: ARG002
        return self._work.predict([self._work.prepare(bytes(row["body"])) for row in data])
