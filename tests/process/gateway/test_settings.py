"""Whose certificate a server shows."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from tests.support.gateway_app import gateway_app
from tests.support.server_stub import Certificates, films, listening


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
            with gateway_app(tmp_path / name, GATEWAY_SERVER=ports.url(scheme), **trusted) as client:
                sent = {"files": {"file": ("x.png", b"x")}}
                statuses[name] = client.post("/predict/chest_xray", **sent).status_code
    assert statuses == {"right": 200, "wrong": 503}
