"""What the environment says of the gateway itself: its server, and whose certificate that shows."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from gateway.settings import Settings, SettingsError
from tests.support.gateway_process import gateway
from tests.support.server_stub import Certificates, films, listening

TLS_URL = "grpcs://127.0.0.1:1"


@pytest.mark.parametrize("scheme", ["grpcs", "https"])
def test_a_server_is_known_by_an_authority_of_ones_own(tmp_path: Path, scheme: str) -> None:
    authority, other = trustme.CA(), trustme.CA()
    own = authority.issue_cert("127.0.0.1")
    chain = b"".join(part.bytes() for part in own.cert_chain_pems)
    files = {"right": authority, "wrong": other}
    for name, of in files.items():
        of.cert_pem.write_to_path(tmp_path / f"{name}.pem")
    statuses = {}
    with listening(films(), Certificates(own.private_key_pem.bytes(), chain)) as ports:
        for name in files:
            trusted = {"GATEWAY_SERVER_CA": str(tmp_path / f"{name}.pem")}
            with gateway(ports.url(scheme), tmp_path / name, **trusted) as door, door.client() as client:
                sent = {"files": {"file": ("x.png", b"x")}}
                statuses[name] = client.post("/predict/chest_xray", **sent).status_code
    assert statuses == {"right": 200, "wrong": 503}


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
