"""Ports that somebody else listens on."""

from __future__ import annotations

import socket

import pytest

from server import preflight
from server.preflight import PreflightError


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PreflightError, match=f"HTTP_PORT: expected a free port, but 127.0.0.1:{port}"):
            preflight.check_ports("127.0.0.1", {"HTTP_PORT": port})
    preflight.check_ports("127.0.0.1", {"HTTP_PORT": port})
