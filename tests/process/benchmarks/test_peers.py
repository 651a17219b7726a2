"""The peers that do not need their environments: what is pinned, asked and computed."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.peers.eager import Eager
from benchmarks.peers.reference import Reference
from benchmarks.peers.registry import PEERS, select
from benchmarks.peers.task import SPEC, Task
from export.artefact import folder_of
from report.card import Card
from tests.support.samples import SampleData


@pytest.mark.parametrize("peer", PEERS.values(), ids=list(PEERS))
def test_every_package_is_pinned_and_every_setting_has_its_source(peer: object) -> None:
    lines = [line for line in peer.requirements.read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.match(r"[A-Za-z0-9._\[\]-]+==\S+", line) for line in lines), lines
    assert lines or not peer.own_environment
    assert peer.settings
    assert all(file.is_file() for file in peer.sources)
    assert peer.lines() > 3


@pytest.mark.parametrize("peer", PEERS.values(), ids=list(PEERS))
def test_the_file_itself_is_sent(peer: object) -> None:
    content = bytes(range(256)) * 4
    body = peer.body(content)
    assert content in body or base64.b64encode(content) in body


def test_an_unknown_peer_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"litserve.*got abacus"):
        select(["abacus"])


@pytest.mark.slow  # exports a network of real size
def test_eager_pytorch_computes_what_is_served(
    real_repository: Path, checkpoints: Path | None, sample_data: SampleData
) -> None:
    if checkpoints is None:
        pytest.skip("needs the sample checkpoints")
    (checkpoint,) = checkpoints.glob(SPEC.weights.filename)
    folder = folder_of(SPEC, real_repository)
    card = Card.read(folder / "card.json")
    threads = torch.get_num_threads()
    task = Task(
        variant="documented", checkpoint=str(checkpoint), temperature=card.calibration.temperature,
        config={}, artefacts=str(folder), port=1, workers=1,
    )  # fmt: skip
    try:
        eager, reference = Eager(task), Reference(real_repository)
        files = [file.path.read_bytes() for file in sample_data.files("cxr")[::40]]
        found = eager.predict([eager.prepare(file) for file in files])
        assert np.abs(np.array(found) - [reference(file) for file in files]).max() < 1e-3
    finally:
        torch.set_num_threads(threads)
