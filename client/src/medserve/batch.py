"""Many items: what each came to, and what both clients share in asking for them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from medserve.description import Description
from medserve.errors import InvalidInput, MedServeError, lightened
from medserve.items import Sendable
from medserve.prediction import Prediction

AHEAD = 2  # items taken from the iterable for each that is under way: a slow one must not idle the others
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What one item of a batch came to: a prediction or an error, never both.

    Args:
        index: its place, from 0.
        item: as it was given.
        prediction: None where it failed.
        error: None where it did not.
    """

    index: int
    item: T
    prediction: Prediction | None = None
    error: MedServeError | None = None

    def result(self) -> Prediction:
        """The prediction. Raises the error where there is none."""
        if self.prediction is None:
            raise self.error or RuntimeError(f"item {self.index}: neither answered nor failed")
        return self.prediction


def inputs_of(described: Description, item: object) -> Mapping[str, Sendable]:
    """An item as keywords of `predict`: a mapping as it is; anything else is the only input.

    Raises:
        InvalidInput: a model of several inputs, and no mapping.
    """
    if isinstance(item, Mapping):
        return item
    if len(described.inputs) != 1:
        names = ", ".join(sent.name for sent in described.inputs)
        raise InvalidInput(
            f"{described.name}: expected items like {{input: value}} of {names}, got {type(item).__name__}"
        )
    return {described.inputs[0].name: cast(Sendable, item)}


def check_batch(items: object, concurrency: int) -> None:
    """Raises TypeError: one item in the place of many. ValueError: less than one call at a time."""
    if isinstance(items, (str, bytes, bytearray, Mapping)):
        raise TypeError(f"items: expected an iterable of items, got one {type(items).__name__}. Pass [item].")
    if concurrency < 1:
        raise ValueError(f"concurrency: expected at least 1, got {concurrency}")


def failed(index: int, item: T, exc: Exception) -> Outcome[T]:
    """Of an item whose call raised this; what is not of our tree is the item's own doing, or a library's."""
    error = exc if isinstance(exc, MedServeError) else InvalidInput(f"item {index}: {type(exc).__name__}: {exc}")
    lightened(exc)
    return Outcome(index, item, error=error)


class Bar:
    """A progress bar on stderr, or nothing."""

    def __init__(self, show: bool, label: str, total: int | None) -> None:
        self._progress: Any = None
        if show:
            try:
                from rich.console import Console
                from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
            except ImportError as exc:
                raise ImportError("progress: expected rich. Run `pip install 'medserve[cli]'`.") from exc
            columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
            self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._progress.add_task(label, total=total)

    def showing(self) -> AbstractContextManager[Any]:
        """While the batch runs."""
        return self._progress if self._progress is not None else nullcontext()

    def advance(self) -> None:
        """One item more."""
        if self._progress is not None:
            self._progress.advance(self._task)


def size_of(items: object) -> int | None:
    """How many, where that can be known without taking them."""
    try:
        return len(items)  # type: ignore[arg-type]
    except TypeError:
        return None
