"""What the environment says of the gateway itself: its server, and whose certificate that shows."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from gateway.settings import Settings, SettingsError

TLS_URL = "grpcs://127.0.0.1:1"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"GATEWAY_SERVER": "grpc://127.0.0.1:1", "GATEWAY_SERVER_CA": "ca.pem"}, "expected grpcs:// or https://"),
        ({"GATEWAY_SERVER": TLS_URL, "GATEWAY_SERVER_CA": "gone.pem"}, "expected a PEM file, got none at"),
        ({"GATEWAY_SERVER": TLS_URL, "GATEWAY_SERVER_CA": __file__}, "expected a PEM file, got none at"),
    ],
)
def test_authorities_that_cannot_be_meant(said: dict[str, str], expected: str) -> None:
    with pytest.raises(SettingsError, match=expected):
        Settings.from_environment(said)


def test_a_canary_in_plain_text_is_asked_without_it(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(file)
    settings = Settings.from_environment({"GATEWAY_SERVER": TLS_URL, "GATEWAY_SERVER_CA": str(file)})
    assert settings.tls("grpcs://elsewhere:1").ca == file
    assert settings.tls("grpc://elsewhere:1") is None
    assert Settings.from_environment({"GATEWAY_SERVER": TLS_URL}).tls(TLS_URL) is None
