# mypy: ignore-errors
"""BentoML: an adaptively batched endpoint over pictures' files."""

from pathlib import Path

import bentoml

from benchmarks.peers.task import Task
from benchmarks.peers.work import open_work


@bentoml.service(workers=Task.read().workers, logging={"access": {"enabled": False}})
class Service:
    def __init__(self) -> None:
        self._work = open_work()

    @bentoml.api(batchable=True)
    def predict(self, images: list[Path]) -> list[list[float]]:
        return self._work.predict([self._work.prepare(image.read_bytes()) for image in images])
