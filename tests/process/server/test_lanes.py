"""A batch cut into pieces: the same answers, in order, whatever the lanes do."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from server.backends.onnxruntime.engine import open_engine
from server.backends.onnxruntime.lanes import Lanes
from server.backends.onnxruntime.options import Options
from server.machine import usable_cores


class Doubling:
    """An engine of one's own: doubles, and remembers the sizes that it got."""

    name = "doubling"

    def __init__(self, fails_at: int | None = None) -> None:
        self.sizes: list[int] = []
        self._fails_at = fails_at
        self._busy = threading.Lock()

    def run(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        assert self._busy.acquire(blocking=False), "two runs of one lane at once"
        try:
            values = inputs["x"]
            self.sizes.append(len(values))
            if self._fails_at is not None and self._fails_at in values:
                raise RuntimeError("broken")
            return [values * 2 if name == "twice" else values for name in outputs]
        finally:
            self._busy.release()


@pytest.fixture(scope="module")
def repository(tiny_repository: Path) -> Path:
    """Tiny networks: nothing below judges accuracy or size."""
    return tiny_repository


@pytest.mark.parametrize("count", [1, 2, 3, 5, 16, 17])
@pytest.mark.parametrize("piece", [1, 2, 4, 8])
def test_every_item_has_its_own_answer_in_its_own_place(count: int, piece: int) -> None:
    lanes = [Doubling(), Doubling(), Doubling()]
    values = np.arange(count)
    twice, same = Lanes(Doubling(), lanes, piece).run({"x": values}, ["twice", "once"])
    assert np.array_equal(twice, values * 2)
    assert np.array_equal(same, values)
    assert max((size for lane in lanes for size in lane.sizes), default=0) <= piece


def test_one_item_gets_every_core_and_two_share_them() -> None:
    whole, lanes = Doubling(), [Doubling(), Doubling()]
    engine = Lanes(whole, lanes, piece=8)
    engine.run({"x": np.arange(1)}, ["twice"])
    assert whole.sizes == [1]
    engine.run({"x": np.arange(2)}, ["twice"])
    assert whole.sizes == [1]
    assert sorted(lanes[0].sizes + lanes[1].sizes) == [1, 1]


def test_a_lane_that_fails_fails_the_batch_and_not_the_next() -> None:
    engine = Lanes(Doubling(), [Doubling(fails_at=3), Doubling(fails_at=3)], piece=2)
    with pytest.raises(RuntimeError, match="broken"):
        engine.run({"x": np.arange(16)}, ["twice"])
    (twice,) = engine.run({"x": np.arange(10, 26)}, ["twice"])
    assert np.array_equal(twice, np.arange(10, 26) * 2)


@pytest.mark.parametrize("openvino", [False, True])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_real_engines_answer_in_lanes_as_whole(repository: Path, openvino: bool, count: int) -> None:
    file = repository / "pneumonia_net" / "1" / "fp32.onnx"
    pixels = {"pixels": np.random.default_rng(1).integers(0, 255, (count, 3, 224, 224), np.uint8)}
    expected = open_engine(Options(file=file, openvino=openvino)).run(pixels, ["probabilities", "summary"])
    engine = open_engine(Options(file=file, openvino=openvino, threads=2, lane_batch=2))
    assert isinstance(engine, Lanes)
    found = engine.run(pixels, ["probabilities", "summary"])
    assert np.abs(found[0] - expected[0]).max() < (0.02 if openvino else 1e-5)
    assert np.array_equal(found[1][:, :2], expected[1][:, :2])  # the fingerprint


@pytest.mark.parametrize(
    ("text", "most"), [("150000 100000", 2), ("100000 100000", 1), ("10000 100000", 1), ("max 100000", 999), ("", 999)]
)
def test_a_containers_quota_is_fewer_cores(tmp_path: Path, text: str, most: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(text)
    assert usable_cores(file) == min(most, usable_cores(tmp_path / "absent"))
