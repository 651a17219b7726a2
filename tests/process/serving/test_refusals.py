"""What the launcher refuses before it starts a server, and the sentence that it refuses with."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import server.__main__ as launcher
from benchmarks.ports import free_ports
from server import supervisor
from tests.support.live import PORTS
from tests.support.repositories import copy_repository, replace_file

SMALL = "solubility"
Refusal = Callable[..., str]


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Refusal]:
    """refusal(repository, VARIABLE=…): what `python -m server` prints, run in this process, where it does not start."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(supervisor, "Triton", lambda *_, **__: pytest.fail("it started"))

    def run(repository: Path, **variables: str) -> str:
        ports = dict(zip(PORTS, map(str, free_ports(4)), strict=True))
        for name, value in (ports | {"MODELS": SMALL} | variables).items():
            monkeypatch.setenv(name, value)
        assert launcher.main(["--repository", str(repository), "--runtime", str(tmp_path / "run")]) == 1
        return capsys.readouterr().err

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_a_port_in_use_is_named(tiny_repository: Path, refusal: Refusal) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refusal(tiny_repository, GRPC_PORT=str(port))
    assert f"127.0.0.1:{port}" in said
    assert "GRPC_PORT=" in said


def test_an_address_that_others_reach_is_refused(tiny_repository: Path, refusal: Refusal) -> None:
    said = refusal(tiny_repository, HOST="0.0.0.0")
    assert "security" in said
    assert "ALLOW_REMOTE=1" in said


def test_an_unknown_model_is_refused_with_the_valid_names(tiny_repository: Path, refusal: Refusal) -> None:
    said = refusal(tiny_repository, MODELS="chest_xrey")
    assert "chest_xrey" in said
    assert "chest_xray" in said


def _changed(artefact: bytes) -> bytes:
    return artefact[:-1] + bytes([artefact[-1] ^ 1])


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_changed, "not the artefact that was verified"),
        (lambda artefact: artefact[:-10], "half-written"),
        (lambda artefact: b"", "half-written"),
    ],
)
def test_an_artefact_that_is_not_its_cards_is_not_served(
    tiny_repository: Path, refusal: Refusal, tmp_path: Path, harm, words: str
) -> None:
    folder = copy_repository(tiny_repository, tmp_path / "repository")
    file = folder / "solubility_net" / "1" / "fp32.onnx"
    replace_file(file, harm(file.read_bytes()))
    said = refusal(folder)
    assert words in said
    assert "make export MODELS=solubility" in said


@pytest.mark.parametrize("missing", ["fp32.onnx", "card.json"])
def test_a_missing_artefact_or_card_is_named(
    tiny_repository: Path, refusal: Refusal, tmp_path: Path, missing: str
) -> None:
    folder = copy_repository(tiny_repository, tmp_path / "repository")
    (folder / "solubility_net" / "1" / missing).unlink()
    assert "make export MODELS=solubility" in refusal(folder)
