"""The client without a server: errors, inputs, the command line."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from export.samples import picture
from medserve import Client, InvalidInput, MedServeError, Prediction, ServerFault, TimedOut, Unavailable, UnknownModel
from medserve.cli import main
from medserve.errors import translated
from tests.serving.live import free_ports


@pytest.mark.parametrize(
    ("status", "kind", "builtin"),
    [
        ("StatusCode.INVALID_ARGUMENT", InvalidInput, ValueError),
        ("400", InvalidInput, ValueError),
        ("StatusCode.NOT_FOUND", UnknownModel, LookupError),
        ("404", UnknownModel, LookupError),
        ("StatusCode.UNAVAILABLE", Unavailable, ConnectionError),
        ("503", Unavailable, ConnectionError),
        ("StatusCode.DEADLINE_EXCEEDED", TimedOut, TimeoutError),
        ("504", TimedOut, TimeoutError),
        ("StatusCode.INTERNAL", ServerFault, RuntimeError),
        ("500", ServerFault, RuntimeError),
        (None, ServerFault, RuntimeError),
    ],
)
def test_each_status_is_one_error(status: str | None, kind: type[MedServeError], builtin: type[Exception]) -> None:
    error = translated(InferenceServerException("in ensemble 'm', [bad_base64] item 0: no", status), "m")
    assert type(error) is kind
    assert isinstance(error, builtin)
    assert error.code == "bad_base64"
    assert str(error).startswith("m: ")


@pytest.mark.parametrize(("raised", "kind"), [(TimeoutError(), TimedOut), (ConnectionRefusedError(), Unavailable)])
def test_each_socket_error_is_one_error(raised: Exception, kind: type[MedServeError]) -> None:
    assert type(translated(raised, "m")) is kind


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_no_server(scheme: str) -> None:
    (port,) = free_ports(1)
    with Client(f"{scheme}://127.0.0.1:{port}", timeout_s=5) as client, pytest.raises(Unavailable):
        client.predict("chest_xray", image=b"x")


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_server_that_never_answers(scheme: str) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        start = time.monotonic()
        with (
            Client(f"{scheme}://127.0.0.1:{deaf.getsockname()[1]}", timeout_s=1) as client,
            pytest.raises((TimedOut, Unavailable)),
        ):
            client.predict("chest_xray", image=b"x")
        assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "url", ["localhost:8001", "ftp://x:1", "grpc://", "http://127.0.0.1:99999", "grpc://h:abc", "grpc://h"]
)
def test_a_wrong_url_is_named(url: str) -> None:
    with pytest.raises(ValueError, match="expected grpc://host:port"):
        Client(url)


def test_a_prediction_reads_its_report() -> None:
    report = {"prediction": "A", "confidence": 0.9, "probabilities": {"A": 0.9}, "needs_review": False}
    answer = Prediction("m", report | {"provenance": {"weights": "trained"}}, {"heatmap": np.zeros((7, 7))}, 0.25)
    assert (answer.prediction, answer.confidence, answer.needs_review) == ("A", 0.9, False)
    assert answer.provenance["weights"] == "trained"
    assert json.loads(json.dumps(answer.to_dict()))["processing_time"] == 0.25
    assert Prediction("m", {"prediction": -1.0}, {}, 0.1).confidence is None


def test_the_command_line_without_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    (port,) = free_ports(1)
    assert main(["predict", "chest_xray", "x", "--url", f"grpc://127.0.0.1:{port}", "--timeout-s", "3"]) == 1
    assert "medserve: describe: " in capsys.readouterr().err
    assert main(["predict", "chest_xray", "x", "--url", "nonsense"]) == 2


def test_against_a_live_server(triton, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "film.png"
    file.write_bytes(picture(1))
    answers = []
    for url in (triton.grpc_url, triton.http_url):
        with Client(url) as client:
            with file.open("rb") as handle:
                answers += [client.predict("chest_xray", image=sent) for sent in (file, file.read_bytes(), handle)]
            for wrong in ({}, {"image": b"x", "ct": b"y"}, {"image": str(file)}, {"image": 3}, {"image": Path("gone")}):
                with pytest.raises(InvalidInput, match="chest_xray"):
                    client.predict("chest_xray", **wrong)
            for unknown in ("chest_xray_net", "preprocess_xray", "report", "no_such_model"):
                with pytest.raises(UnknownModel, match="expected one of brain_ct"):
                    client.predict(unknown, image=b"x")
            assert client.describe("chest_xray")["labels"][0] == "Normal"
            assert client.seen("chest_xray", image=file)["image"].shape == (224, 224, 3)
            assert client.seen("solubility", smiles="CCO") == {}
    assert len({answer.prediction for answer in answers}) == 1
    assert all(answer.outputs["heatmap"].shape == (7, 7) for answer in answers)
    broken = tmp_path / "broken.png"
    broken.write_bytes(picture(1)[:-900])
    assert main(["predict", "chest_xray", str(file), str(broken), "--json", "--url", triton.grpc_url]) == 1
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert report["model"] == "chest_xray"
    source_fields = {"prediction", "confidence", "probabilities", "uncertainty", "processing_time", "timestamp"}
    assert source_fields | {"disclaimer", "needs_review"} <= set(report)
    assert 0 < report["processing_time"] < 30
    assert "corrupt_image" in printed.err
    assert main(["predict", "solubility", "CCO", "c1ccccc1", "--url", triton.http_url]) == 0
    assert "log mol/L" in capsys.readouterr().out
