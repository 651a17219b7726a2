"""One way of asking a server, and whether what comes back is right."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.load.traffic import Item
from medserve import AsyncClient, Description, Retry
from medserve.address import Address
from medserve.calls import Arrays, Infer, Tensor
from medserve.core import REPORT, SUMMARY, outputs_of, prediction
from medserve.items import contents
from medserve.prediction import Prediction
from medserve.preprocessing import first_step
from medserve.transports import connected_async

# A batch of another size rounds otherwise, and a heat map divides by its own largest value. Another item's answer is
# farther away: see `Caller.learn`.
TOLERANCES = {"heatmap": 0.2}
TOLERANCE = 0.02
LEARN_S = 30.0  # a run before may have left a queue that callers of two seconds would not outwait
Answer = Mapping[str, NDArray[Any]]


class WrongAnswer(AssertionError):
    """Not what the same server said of the same item when it was asked alone."""


class Caller:
    """Asks one server, in one event loop. Never twice: a benchmark that asks again hides what failed.

    Args:
        url: of the server.
        send: see Slo.
        timeout_s: of each call.
        batch: items of each call.
    """

    def __init__(self, url: str, send: str, timeout_s: float, batch: int = 1) -> None:
        self._client = AsyncClient(url, timeout_s=timeout_s, retry=Retry(attempts=1))
        self._transport = connected_async(Address.read(url, None, None, None))
        self._timeout_s, self._batch = timeout_s, batch
        self.compared = 0  # calls whose every answer was found to be its item's
        self._ask = {"files": self._files, "probabilities": self._probabilities, "tensors": self._tensors}[send]
        self._read: dict[tuple[str, int], tuple[tuple[Tensor, ...], Arrays]] = {}
        self._known: dict[tuple[str, int], Answer] = {}
        self._items: Mapping[str, Sequence[Item]] = {}

    async def learn(self, items: Mapping[str, Sequence[Item]]) -> None:
        """Ask for each item once, one after the other: what every later answer is compared with.

        Args:
            items: by model.

        Raises:
            WrongAnswer: items of one model whose answers are all alike would let mistaken ones pass.
        """
        self._items = items
        for model, several in items.items():
            for place, item in enumerate(several):
                if self._ask == self._tensors:
                    self._read[model, place] = await self._first_step(model, item)
                self._known[model, place] = await self._ask(model, place, max(self._timeout_s, LEARN_S))
            answers = [self._known[model, place] for place in range(len(several))]
            unlike = sum(not _alike(answers[0], other) for other in answers)
            if len(answers) > 1 and unlike < len(answers) / 4:
                raise WrongAnswer(f"{model}: expected items with different answers, {unlike} of {len(answers)} differ")

    async def call(self, model: str, place: int) -> float:
        """Ask for one item, or for a batch that begins with it; seconds that it took, the comparison not included.

        Raises:
            WrongAnswer: the server was asked the same before, and said otherwise.
            MedServeError: see `medserve.errors`.
        """
        count = len(self._items[model])
        places = [(place + further) % count for further in range(self._batch)]
        started = time.perf_counter()
        found = (
            [await self._ask(model, place, self._timeout_s)] if self._batch == 1 else await self._several(model, places)
        )
        took = time.perf_counter() - started
        for one, answer in zip(places, found, strict=True):
            if not _alike(self._known[model, one], answer):
                raise WrongAnswer(f"{model}: an answer that is not this item's")
        self.compared += 1
        return took

    @property
    def known(self) -> dict[tuple[str, int], Answer]:
        """What a quiet server said, by model and item."""
        return self._known

    async def close(self) -> None:
        """End the connections."""
        await self._client.close()
        await self._transport.close()

    async def _files(self, model: str, place: int, timeout_s: float) -> Answer:
        found = await self._client.predict(model, self._items[model][place], timeout_s=timeout_s)
        return _checked(found, await self._client.describe(model))

    async def _several(self, model: str, places: Sequence[int]) -> list[Answer]:
        """One call of many items, all of which are in the answer."""
        items = [self._items[model][place] for place in places]
        tensors = tuple(
            Tensor(name, "BYTES", (len(items), 1), b"".join(Tensor.of_bytes(name, item[name]).raw for item in items))
            for name in items[0]
        )
        described = await self._client.describe(model)
        asked = Infer(model, tensors, outputs_of(described))
        arrays = await self._transport.send(asked, self._timeout_s)
        parts = [{name: array[at : at + 1] for name, array in arrays.items()} for at in range(len(items))]
        names = list(items[0])
        return [_checked(prediction(described, part, names, 0.0), described) for part in parts]

    async def _probabilities(self, model: str, place: int, timeout_s: float) -> Answer:
        tensors = tuple(Tensor.of_bytes(name, content) for name, content in self._items[model][place].items())
        output = next(iter((await self._client.describe(model)).outputs))
        return _items(await self._transport.send(Infer(model, tensors, (output,)), timeout_s))

    async def _tensors(self, model: str, place: int, timeout_s: float) -> Answer:
        """As `Client(preprocess=True)` does, with the file read beforehand."""
        started, described = time.perf_counter(), await self._client.describe(model)
        tensors, statistics = self._read[model, place]
        asked = Infer(described.net, tensors, (*described.outputs, SUMMARY))
        arrays = await self._transport.send(asked, timeout_s)
        summary = Tensor.of_array(SUMMARY, arrays.pop(SUMMARY))
        arrays |= await self._transport.send(Infer(REPORT, (summary,), (REPORT,)), timeout_s) | statistics
        names = [each.name for each in described.inputs]
        return _checked(prediction(described, arrays, names, time.perf_counter() - started), described)

    async def _first_step(self, model: str, item: Item) -> tuple[tuple[Tensor, ...], Arrays]:
        described = await self._client.describe(model)
        return first_step(described, contents(model, described.optional, item))


def _items(arrays: Mapping[str, NDArray[Any]]) -> Answer:
    return {name: array[0] for name, array in arrays.items()}


def _checked(found: Prediction, described: Description) -> Answer:
    """The arrays, if the report says the same."""
    values = found.outputs[next(iter(described.outputs))]
    said = found.prediction
    fits = (
        said == described.labels[int(values.argmax())] if isinstance(said, str) else abs(values[0] - said) < TOLERANCE
    )
    if not fits:
        raise WrongAnswer(f"{found.model}: a report of another item: {said}")
    return found.outputs


def _alike(known: Answer, found: Answer) -> bool:
    if known.keys() != found.keys():
        return False
    return all(
        bool(
            np.abs(array - found[name]).max()
            <= TOLERANCES.get(name.removeprefix("ct_").removeprefix("mri_"), TOLERANCE)
        )
        for name, array in known.items()
    )
