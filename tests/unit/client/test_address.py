"""Where a client may connect to, and what it may send there."""

from __future__ import annotations

from pathlib import Path

import pytest

from medserve import TLS, AsyncClient, Client


@pytest.mark.parametrize(
    "url",
    ["localhost:8001", "ftp://x:1", "grpc://", "http://127.0.0.1:99999", "grpc://h:abc", "grpc://h", "http://h:1/v2"],
)
@pytest.mark.parametrize("shell", [Client, AsyncClient])
def test_a_wrong_url_is_named(url: str, shell: type) -> None:
    with pytest.raises(ValueError, match="url: expected grpc or grpcs or http or https://host:port, got"):
        shell(url)


@pytest.mark.parametrize("headers", [{"x": "a\r\nx-other: b"}, {"a b": "c"}, {"": "c"}, {"x": "größe"}])
def test_a_header_is_one_line(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="headers: expected a header's name and a line of ASCII"):
        Client("http://localhost:1", headers=headers)
    with pytest.raises(ValueError, match="api_key: expected a line"):
        Client("http://localhost:1", api_key="secret\nx: y")


def test_a_key_does_not_travel_in_the_open() -> None:
    with pytest.raises(ValueError, match="api_key: expected grpcs:// or https://"):
        Client("http://triton.example:8000", api_key="secret")


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "x-bin", "x!y"])
def test_headers_that_frame_a_message_are_ours(name: str) -> None:
    with pytest.raises(ValueError, match="headers: expected"):
        Client("http://localhost:1", headers={name: "a"})


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="no user and password") as refused:
        Client("http://me:secret@localhost:1")
    assert "secret" not in str(refused.value)


def test_what_makes_no_sense(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a certificate and its key, or neither"):
        TLS(certificate=tmp_path / "cert.pem")
    with pytest.raises(ValueError, match="expected a url with grpcs:// or https://"):
        Client("http://localhost:1", tls=TLS())
    for scheme in ("grpcs", "https"):
        with pytest.raises(OSError, match=r"gone\.pem|No such file"):
            Client(f"{scheme}://localhost:1", tls=TLS(ca=tmp_path / "gone.pem"))
