"""What a user may write, for the type checkers: every line has the type that it is said to have."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import assert_type

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image

from medserve import (
    TLS,
    AsyncClient,
    Client,
    Description,
    Health,
    InvalidInput,
    MedServeError,
    Outcome,
    Prediction,
    Provenance,
    Retry,
)  # fmt: skip
from medserve.testing import FakeModel, FakeServer


def reads(answer: Prediction) -> None:
    assert_type(answer.label, str)
    assert_type(answer.confidence, float | None)
    assert_type(answer.probabilities, Mapping[str, float])
    assert_type(answer.provenance, Provenance)
    assert_type(answer.timestamp, datetime)
    assert_type(answer.heatmaps["image"], NDArray[np.generic])
    assert_type(answer.needs_review, bool)
    assert_type(answer.interval, tuple[float, float] | None)


def threads(film: Path) -> None:
    retry, tls = Retry(attempts=2), TLS(ca=Path("ca.pem"))
    with Client("grpcs://localhost:8001", timeout_s=5, retry=retry, tls=tls, headers={"a": "b"}) as triton:
        reads(triton.predict("chest_xray", image=film))
        reads(triton.predict("chest_xray", {"image": film.read_bytes()}, timeout_s=2))
        reads(triton.predict("chest_xray", image=np.zeros((9, 9), np.uint8)))
        reads(triton.predict("chest_xray", image=Image.new("L", (9, 9))))
        reads(triton.predict("brain_ct", image=pydicom.Dataset()))
        with film.open("rb") as handle:
            reads(triton.predict("chest_xray", image=handle))
        for outcome in triton.predict_batch("chest_xray", [film, film], progress=True):
            assert_type(outcome, Outcome[Path])
            assert_type(outcome.item, Path)
            assert_type(outcome.error, MedServeError | None)
            reads(outcome.result())
        assert_type(triton.models(), dict[str, Description])
        assert_type(triton.health(), Health)
        assert_type(triton.seen("chest_xray", image=film), dict[str, NDArray[np.uint8]])
        triton.wait_until_ready("chest_xray", timeout_s=3)


async def loops(film: Path) -> None:
    async with AsyncClient("http://localhost:8000") as triton:
        reads(await triton.predict("chest_xray", image=film))
        async for outcome in triton.predict_batch("solubility", ["CCO"], concurrency=2):
            assert_type(outcome, Outcome[str])
        assert_type((await triton.describe("chest_xray")).labels, tuple[str, ...])


def tested() -> None:
    server = FakeServer({"m": FakeModel(labels=("A",), probabilities=(1.0,))})
    with Client(transport=server) as triton:
        try:
            triton.predict("m", image=b"")
        except InvalidInput as refused:
            assert_type(refused.code, str | None)
    asyncio.run(AsyncClient(transport=server.asynchronous()).close())
