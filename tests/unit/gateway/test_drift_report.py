"""`drift report` of what a gateway answers, and of what it should not."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from gateway.drift import Monitor, commands
from gateway.drift.commands import DRIFT, NO_DRIFT, NOT_TRIED, app
from tests.unit.gateway.test_drift_monitor import (  # noqa: F401  `same_draws` is a fixture
    case,
    item,
    observation,
    same_draws,
    watching,
)

EMPTY = json.dumps(Monitor().state()).encode()
EVIL = "<script>alert(1)</script>|[x](http://evil)"


@dataclass
class Gateway:
    """Answers GET /drift with what it is given."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    headers: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    found = Gateway("http://gateway.example")

    def handle(request: httpx.Request) -> httpx.Response:
        found.headers.append({"path": request.url.path, **request.headers})
        return httpx.Response(found.status, content=found.body, headers={"Location": "/elsewhere"})

    client = httpx.Client(transport=httpx.MockTransport(handle))
    monkeypatch.setattr(commands.httpx, "get", client.get)
    return found


def answered(*, drifted: bool) -> bytes:
    monitor = watching(labels=("normal",) * 200 + (EVIL,) * 100)
    for place in range(200):
        monitor.observe(
            observation(item(brightness=20.0 + place / 9) if drifted else item(), ("normal", EVIL)[place % 3 > 1])
        )
    for place in range(30):
        monitor.told("m", case("normal", ("normal", EVIL)[place % 2]), ("normal", EVIL, "no case"))
    monitor.refer("without", None)
    return json.dumps(monitor.state()).encode()


def reported(url: str, out: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["report", "--url", url, "--out", str(out), *more])


def test_drift_ends_with_1_and_is_written(gateway: Gateway, tmp_path: Path):
    gateway.body = answered(drifted=True)
    result = reported(gateway.url + "/", tmp_path / "a" / "b")
    assert result.exit_code == DRIFT, result.output
    assert "m: brightness: median" in result.output
    html, markdown = ((tmp_path / "a" / "b" / name).read_text() for name in ("drift.html", "drift.md"))
    assert html.count("data:image/png;base64,") == 3
    assert not re.search(r'(src|href)="(?!data:|#)', html)  # self-contained
    assert "<script" not in html
    assert not re.search(r"(?<!\\)[<\[]", markdown)
    assert "| brightness | input | 200 |" in markdown
    assert "| no case | no case | 100% (89% to 100%; 30 of 30) |" in markdown
    assert "no reference was written" in markdown


def test_no_drift_ends_with_0(gateway: Gateway, tmp_path: Path):
    gateway.body = answered(drifted=False)
    result = reported(gateway.url, tmp_path)
    assert result.exit_code == NO_DRIFT, result.output
    assert "no drift, 2 models" in result.output


def test_a_gateway_that_nobody_has_asked_yet(gateway: Gateway, tmp_path: Path):
    gateway.body = json.dumps(watching().state()).encode()
    assert reported(gateway.url, tmp_path).exit_code == NO_DRIFT


def test_the_key_is_sent_and_told_nobody(gateway: Gateway, tmp_path: Path):
    gateway.body = EMPTY
    (tmp_path / "key").write_text("mk_secret\n")
    result = reported(gateway.url, tmp_path, "--key-file", str(tmp_path / "key"))
    assert gateway.headers[0]["authorization"] == "Bearer mk_secret"
    assert gateway.headers[0]["path"] == "/drift"
    assert (
        "mk_secret" not in result.output + (tmp_path / "drift.html").read_text() + (tmp_path / "drift.md").read_text()
    )


@pytest.mark.parametrize("key", ["", "two words", "line\nline", "schlüssel", "\x00"])
def test_a_file_that_holds_no_key_is_refused_unseen(gateway: Gateway, tmp_path: Path, key: str):
    (tmp_path / "key").write_text(key)
    result = reported(gateway.url, tmp_path, "--key-file", str(tmp_path / "key"))
    assert result.exit_code == NOT_TRIED
    assert not gateway.headers
    assert "expected one key" in result.output


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, b"", "this key may not read it"),
        (404, b"", "expected status 200, got 404"),
        (302, b"", "expected status 200, got 302"),
        (200, b"<html>", "something else"),
        (200, b"\xff\xfe", "something else"),
        (200, b"{}", "something else"),
        (200, b'{"at": "", "length": 1, "alert": true, "models": {"m": {}}}', "something else"),
        (200, b"[" * 100_000, "something else"),
    ],
)
def test_what_is_no_gateways_answer_ends_with_2(gateway: Gateway, tmp_path: Path, status: int, body: bytes, said: str):
    gateway.status, gateway.body = status, body
    result = reported(gateway.url, tmp_path / "out")
    assert result.exit_code == NOT_TRIED, result.output
    assert said in result.output
    assert not (tmp_path / "out").exists()


def test_a_full_disk_and_a_file_in_the_way_end_with_2(gateway: Gateway, tmp_path: Path):
    gateway.body = EMPTY
    (tmp_path / "file").write_text("")
    assert reported(gateway.url, tmp_path / "file").exit_code == NOT_TRIED
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "drift.html").symlink_to("/dev/full")
    result = reported(gateway.url, tmp_path / "full")
    assert result.exit_code == NOT_TRIED
    assert "No space left" in result.output


def test_a_missing_key_file_ends_with_2(gateway: Gateway, tmp_path: Path):
    assert reported(gateway.url, tmp_path, "--key-file", str(tmp_path / "none")).exit_code == NOT_TRIED
