"""`medserve` as a program of its own: what it reads from a pipe, and a real server at the other end."""

from __future__ import annotations

import json
import subprocess
import sys

from export.samples import picture
from medserve.cli import main
from tests.support.server_stub import films, listening


def test_a_picture_from_a_pipe_is_answered() -> None:
    with listening(films()) as ports:
        done = subprocess.run(
            [sys.executable, "-m", "medserve.cli", "predict", "chest_xray", "-", "--json", "--url", ports.url("http")],
            input=picture(1), capture_output=True, check=True,
        )  # fmt: skip
    answer = json.loads(done.stdout)
    assert (answer["item"], answer["prediction"]) == ("-", "COVID-19")


def test_nobody_at_the_url_is_told_in_a_sentence(capsys) -> None:
    assert main(["models", "--url", "grpc://127.0.0.1:9"]) == 1
    assert "Is the server running, and is the port right?" in capsys.readouterr().err
    assert main(["health", "--json", "--url", "http://127.0.0.1:9"]) == 1
    assert json.loads(capsys.readouterr().out)["live"] is False
