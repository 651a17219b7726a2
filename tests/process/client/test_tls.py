"""Encrypted, over both protocols: own authorities, callers with certificates, and what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import trustme

from medserve import TLS, AsyncClient, Client, MedServeError, Unavailable
from tests.support.server_stub import Certificates, films, listening


def _ask(url: str, tls: TLS | None, asynchronous: bool) -> str:
    if not asynchronous:
        with Client(url, tls=tls, timeout_s=60) as client:
            return client.predict("chest_xray", image=b"x").label

    async def ask() -> str:
        async with AsyncClient(url, tls=tls, timeout_s=60) as client:
            return (await client.predict("chest_xray", image=b"x")).label

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def _files(folder: Path, authority: trustme.CA, caller: bool) -> TLS:
    (folder / "ca.pem").write_bytes(authority.cert_pem.bytes())
    if not caller:
        return TLS(ca=folder / "ca.pem")
    own = authority.issue_cert("ward7@hospital.example")
    (folder / "key.pem").write_bytes(own.private_key_pem.bytes())
    (folder / "cert.pem").write_bytes(b"".join(part.bytes() for part in own.cert_chain_pems))
    return TLS(ca=folder / "ca.pem", certificate=folder / "cert.pem", key=folder / "key.pem")


def _server(authority: trustme.CA, callers: trustme.CA | None = None) -> Certificates:
    own = authority.issue_cert("127.0.0.1", "localhost")
    chain = b"".join(part.bytes() for part in own.cert_chain_pems)
    return Certificates(own.private_key_pem.bytes(), chain, callers.cert_pem.bytes() if callers else None)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("scheme", ["grpcs", "https"])
def test_own_authorities(tmp_path: Path, authority: trustme.CA, scheme: str, asynchronous: bool) -> None:
    with listening(films(), _server(authority)) as ports:
        assert _ask(ports.url(scheme), _files(tmp_path, authority, caller=False), asynchronous) == "COVID-19"
        with pytest.raises(Unavailable):  # nobody whom the system trusts
            _ask(ports.url(scheme), None, asynchronous)
        other = tmp_path / "other"
        other.mkdir()
        with pytest.raises(Unavailable):
            _ask(ports.url(scheme), _files(other, trustme.CA(), caller=False), asynchronous)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("scheme", ["grpcs", "https"])
def test_callers_with_certificates(tmp_path: Path, authority: trustme.CA, scheme: str, asynchronous: bool) -> None:
    with listening(films(), _server(authority, callers=authority)) as ports:
        assert _ask(ports.url(scheme), _files(tmp_path, authority, caller=True), asynchronous) == "COVID-19"
        with pytest.raises(MedServeError):
            _ask(ports.url(scheme), _files(tmp_path, authority, caller=False), asynchronous)
