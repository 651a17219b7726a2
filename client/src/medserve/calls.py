"""What is said to a server and what it answers, whatever the protocol: values without I/O."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from medserve.errors import BrokenAnswer


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input, as it goes over the wire.

    Args:
        name: the model's.
        datatype: Triton's: "BYTES", "UINT8", "FP32".
        shape: with the batch axis.
        raw: little-endian, row-major; a BYTES element is its length in four bytes and then itself.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    raw: bytes

    @classmethod
    def of_bytes(cls, name: str, content: bytes) -> Tensor:
        """One item of BYTES [1, 1]."""
        return cls(name, "BYTES", (1, 1), len(content).to_bytes(4, "little") + content)

    @classmethod
    def of_array(cls, name: str, array: NDArray[np.generic]) -> Tensor:
        """A whole batch.

        Raises:
            ValueError: a dtype that no model of ours takes.
        """
        datatype = next((name for name, dtype in DTYPES.items() if dtype == array.dtype), None)
        if datatype is None:
            raise ValueError(f"{name}: expected one of {', '.join(map(str, DTYPES.values()))}, got {array.dtype}")
        return cls(name, datatype, array.shape, np.ascontiguousarray(array).tobytes())


# Source: KServe Predict Protocol 2, tensor data types.
DTYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_), "UINT8": np.dtype(np.uint8), "UINT16": np.dtype("<u2"), "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"), "INT8": np.dtype(np.int8), "INT16": np.dtype("<i2"), "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"), "FP16": np.dtype("<f2"), "FP32": np.dtype("<f4"), "FP64": np.dtype("<f8"),
}  # fmt: skip


# A file waits in two queues, its first step's and its network's, each of which is told the same, and the rest is for
# the work: who spent the caller's time in the first queue would be read and computed for nobody. Measured with ten
# times as many calls as a server can answer and callers who wait 2 s: with all of the time in each, next to nothing was
# answered in time; with 0.3 of it some calls were late, with 0.25 none. Work does not take longer for who waits longer.
_QUEUES = 2
_WORK_SHARE, _WORK_S = 0.5, 4.0


def queue_us(timeout_s: float) -> int:
    """Microseconds after which a queue of the server's drops what waits in it, of a caller who waits `timeout_s`."""
    work_s = min(timeout_s * _WORK_SHARE, _WORK_S)
    return max(1, int((timeout_s - work_s) / _QUEUES * 1e6))


_IDS = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Infer:
    """Run a model.

    Args:
        model: by name.
        inputs: all that it needs.
        outputs: the ones that are wanted: steps of an ensemble that make no wanted one are left out.
        id: comes back with the answer, so that nobody's answer is taken for another's.
    """

    model: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...]
    id: str = field(default_factory=lambda: str(next(_IDS)), compare=False)

    @property
    def where(self) -> str:
        """For messages."""
        return self.model


@dataclass(frozen=True, slots=True)
class Ask:
    """A yes-or-no question: is the server live, is it ready, is a model ready?"""

    question: Literal["live", "ready", "model_ready"]
    model: str = ""

    @property
    def where(self) -> str:
        """For messages."""
        return self.model or "server"


Call = Infer | Ask
# Arrays by output name, with the batch axis; BYTES are arrays of bytes objects. Of an Ask, {"answer": [bool]}.
Arrays = dict[str, NDArray[Any]]


class Transport(Protocol):
    """Brings calls to a server. Raises nothing but `medserve.errors`; any thread may use it."""

    def send(self, call: Call, timeout_s: float) -> Arrays:
        """The answer, within timeout_s of wall-clock time."""

    def close(self) -> None:
        """May be called twice."""


class AsyncTransport(Protocol):
    """The same for one event loop."""

    async def send(self, call: Call, timeout_s: float) -> Arrays:
        """The answer, within timeout_s of wall-clock time."""

    async def close(self) -> None:
        """May be called twice."""


def yes(answer: bool) -> Arrays:
    """The answer to an Ask."""
    return {"answer": np.array([answer])}


def decoded(name: str, datatype: str, shape: tuple[int, ...], raw: bytes | memoryview) -> NDArray[Any]:
    """An output out of its bytes.

    Raises:
        ValueError: other bytes than this datatype and shape have.
    """
    count = math.prod(shape)
    if datatype == "BYTES":
        elements = np.empty(count, np.object_)
        place = 0
        for index in range(count):
            length = int.from_bytes(raw[place : place + 4], "little")
            element = bytes(raw[place + 4 : place + 4 + length])
            if len(element) < length or place + 4 > len(raw):
                raise ValueError(f"{name}: expected {count} elements, got {len(raw)} bytes that end in the middle")
            elements[index] = element
            place += 4 + length
        if place != len(raw):
            raise ValueError(f"{name}: expected {count} elements in {place} bytes, got {len(raw)} bytes")
        return elements.reshape(shape)
    if datatype not in DTYPES:
        raise ValueError(f"{name}: expected one of BYTES, {', '.join(DTYPES)}, got {datatype}")
    dtype = DTYPES[datatype]
    if len(raw) != count * dtype.itemsize:
        raise ValueError(f"{name}: expected {count * dtype.itemsize} bytes of {datatype} {shape}, got {len(raw)}")
    return np.frombuffer(raw, dtype).reshape(shape).copy()


def checked(call: Infer, answered: str, found: Arrays) -> Arrays:
    """Raises BrokenAnswer: the answer is another call's, or a wanted output is not in it."""
    if answered != call.id:
        raise BrokenAnswer(f"{call.where}: expected the answer to request {call.id}, got one to {answered or 'none'}")
    if missing := [name for name in call.outputs if name not in found]:
        raise BrokenAnswer(f"{call.where}: expected the outputs {', '.join(missing)}, got {', '.join(found) or 'none'}")
    return found
