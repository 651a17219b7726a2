"""More calls than the server can answer: it says so, in time, and is itself again at once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from medserve import AsyncClient, MedServeError, Overloaded, Prediction, Retry, TimedOut
from tests.support.checkout import ROOT
from tests.support.live import Live, serving

PICTURE = (ROOT / "examples" / "phantom.png").read_bytes()
Ended = tuple[float, Prediction | MedServeError]


async def _one(client: AsyncClient) -> Ended:
    started = time.perf_counter()
    try:
        found: Prediction | MedServeError = await client.predict("pneumonia_cnn", {"image": PICTURE})
    except MedServeError as exc:
        found = exc
    return time.perf_counter() - started, found


async def _many(url: str, count: int, timeout_s: float) -> tuple[list[Ended], Ended, dict[str, object]]:
    """(all at once, one right after them, what the client still knows of the models)."""
    async with AsyncClient(url, timeout_s=timeout_s, retry=Retry(attempts=1)) as client:
        await client.predict("pneumonia_cnn", {"image": PICTURE})
        ended = await asyncio.gather(*(_one(client) for _ in range(count)))
        return list(ended), await _one(client), dict(client._core._described)


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_who_cannot_be_answered_in_time_hears_so_in_time(triton_real: Live, scheme: str) -> None:
    url = triton_real.grpc_url if scheme == "grpc" else triton_real.http_url
    ended, after, described = asyncio.run(_many(url, 400, timeout_s=4.0))
    refused = [took for took, found in ended if isinstance(found, Overloaded)]
    answered = [found for _, found in ended if isinstance(found, Prediction)]
    late = [found for _, found in ended if isinstance(found, TimedOut)]
    assert answered
    assert len(refused) > 50
    assert max(refused) < 4.05
    assert len(answered) + len(refused) + len(late) == len(ended)
    assert len(late) <= 0.05 * len(ended)  # none but where the machine itself stood still for a while
    assert isinstance(after[1], Prediction), after
    assert described  # nobody asks anew what the models are, while the server has its hands full


def test_a_full_queue_refuses_at_once(repository: Path, tmp_path: Path) -> None:
    with serving(repository, tmp_path, MODELS="pneumonia_cnn", QUEUE_SIZE="8", STEP_WORKERS="1") as live:
        assert "preprocess_xray_0_1" not in live.workers()
        ended, after, _ = asyncio.run(_many(live.grpc_url, 100, timeout_s=30))
        refused = [took for took, found in ended if isinstance(found, Overloaded)]
        assert sum(isinstance(found, Prediction) for _, found in ended) + len(refused) == 100
        assert len(refused) > 50
        assert sorted(refused)[len(refused) // 2] < 2  # not after 13 of 30 s
        assert isinstance(after[1], Prediction)
