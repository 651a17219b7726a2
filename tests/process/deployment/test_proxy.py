"""What the chart's proxy does with calls: real Envoy, the rendered configuration, stand-ins for servers."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
import trustme

from server.asking import get
from server.triton import Address, _arguments
from tests.support.clock import HANG_S, until
from tests.support.proxy import HOST, Proxy, proxied
from tests.support.upstream import METHOD, Stand, standing

MIB = 1 << 20
STREAM = METHOD.replace("ModelInfer", "ModelStreamInfer")
Start = Callable[[str], Stand]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(standing(name, tmp_path))


def _call(proxy: Proxy, request: bytes, method: str = METHOD, **options: object) -> str:
    with grpc.insecure_channel(f"{HOST}:{proxy.calls}", options=[("grpc.max_send_message_length", -1)]) as channel:
        return channel.unary_unary(method)(request, timeout=HANG_S, **options).decode()


def _later(proxy: Proxy, request: bytes) -> Future[str]:
    pool = ThreadPoolExecutor(1)
    future = pool.submit(_call, proxy, request)
    pool.shutdown(wait=False)
    return future


def _whoever_has(stands: list[Stand], word: str) -> Stand:
    def found() -> list[Stand]:
        return [stand for stand in stands if any(line.startswith(word) for line in stand.asked())]

    until(found, f"{word!r} to reach a server")
    return found()[0]


def _classes(**classes: dict[str, object]) -> dict[str, object]:
    """Values with these classes alone."""
    amounts = {"cpu": "1", "memory": "1Gi"}
    general = {"replicas": 1, "resources": {"requests": amounts, "limits": amounts}}
    return {"classes": {"cpu": None} | {name: general | own for name, own in classes.items()}}


OWN = {"repository": {"claim": "other"}}


def test_a_large_picture_is_asked_again_too_when_its_server_is_killed(start: Start, tmp_path: Path) -> None:
    """An answer may be lost with a server, its question not: the proxy keeps it until it is answered."""
    servers = [start("a"), start("b")]
    with proxied({"cpu": servers}, tmp_path) as proxy:
        call = _later(proxy, b"hold ".ljust(16 * MIB))
        first = _whoever_has(servers, "hold")
        first.process.kill()
        other = next(server for server in servers if server is not first)
        until(other.asked, "the call to reach the other server")
        other.release()
        assert call.result() == other.name


def test_a_refusal_is_an_answer(start: Start, tmp_path: Path) -> None:
    """Not asked again of the next, which has as much to do; not even where a caller says so in Envoy's own words."""
    servers = [start("a"), start("b")]
    insisting = (
        ("x-envoy-retry-grpc-on", "unavailable"),
        ("x-envoy-retry-on", "5xx"),
        ("x-envoy-max-retries", "9"),
        ("x-forwarded-for", "255.255.255.255"),  # whom Envoy is told to trust, since it wants somebody
    )
    with proxied({"cpu": servers}, tmp_path) as proxy:
        for metadata in ((), insisting):
            with pytest.raises(grpc.RpcError) as caught:
                _call(proxy, b"refuse", metadata=metadata)
            assert caught.value.details() == "Exceeds maximum queue size"
    assert sum(len(server.asked()) for server in servers) == 2


def test_who_refuses_gets_the_next_call_all_the_same(start: Start, tmp_path: Path) -> None:
    """Left alone, an overloaded server's calls would be the next one's, until nobody is left."""
    servers = [start("a"), start("b")]
    with proxied({"cpu": servers}, tmp_path) as proxy:
        for _ in range(30):
            with pytest.raises(grpc.RpcError):
                _call(proxy, b"refuse")
        time.sleep(1.5)  # whoever were to be left alone would be by now
        assert {_call(proxy, b"answer") for _ in range(20)} == {"a", "b"}


def test_what_is_too_large_reaches_no_server(start: Start, tmp_path: Path) -> None:
    server = start("a")
    with proxied({"cpu": [server]}, tmp_path, {"proxy": {"requestMebibytes": 1}}) as proxy:
        assert _call(proxy, b"answer ".ljust(MIB - 100)) == "a"
        with pytest.raises(grpc.RpcError) as caught:
            _call(proxy, b"answer ".ljust(MIB + 100))
        assert "Payload Too Large" in caught.value.details()
        with pytest.raises(grpc.RpcError) as caught:
            _call(proxy, b"answer", STREAM)
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert len(server.asked()) == 1


@pytest.mark.slow
def test_a_long_call_is_not_broken_by_the_pings_that_find_frozen_servers(start: Start, tmp_path: Path) -> None:
    """gRPC's servers hang up on whoever pings more often than every five minutes, unless told not to (measured: after
    9 s). The stand-in is told as the launcher tells Triton."""
    arguments = _arguments(Path(), Path(), "", Address("", 0, 0, 0), verbose=False, gpu_metrics=False)
    assert "--grpc-http2-max-ping-strikes=0" in arguments
    with proxied({"cpu": [start("a")]}, tmp_path) as proxy:
        assert _call(proxy, b"sleep 12") == "a"


def test_calls_of_a_class_that_has_nobody_go_to_the_others(start: Start, tmp_path: Path) -> None:
    """Dead, and not yet found so; found so; and no address at all."""
    lone, other = start("lone"), start("other")
    values = _classes(one={"weight": 50}, two={"weight": 50})
    with proxied({"one": [lone], "two": [other]}, tmp_path / "a", values) as proxy:
        assert {_call(proxy, b"answer") for _ in range(30)} == {"lone", "other"}
        lone.process.kill()
        for _ in range(2):
            assert {_call(proxy, b"answer") for _ in range(30)} == {"other"}
            time.sleep(2)
    with proxied({"one": [], "two": [other]}, tmp_path / "b", values) as proxy:
        assert {_call(proxy, b"answer") for _ in range(30)} == {"other"}


def test_nobody_gets_a_canary_instead_of_what_is_established(start: Start, tmp_path: Path) -> None:
    """But a canary's callers what is established, where it has died."""
    canary, stable = start("canary"), start("stable")
    values = _classes(stable={"weight": 50}, canary={"weight": 50} | OWN)
    with proxied({"stable": [stable], "canary": [canary]}, tmp_path / "a", values) as proxy:
        assert {_call(proxy, b"answer") for _ in range(30)} == {"canary", "stable"}
        canary.process.kill()
        assert {_call(proxy, b"answer") for _ in range(30)} == {"stable"}
    values = _classes(stable={"weight": 999}, canary={"weight": 1} | OWN)
    with proxied({"stable": [], "canary": [start("another")]}, tmp_path / "b", values) as proxy:
        for _ in range(5):
            with pytest.raises(grpc.RpcError):
                _call(proxy, b"answer")


def test_weights_share_the_calls(start: Start, tmp_path: Path) -> None:
    stable, canary = start("stable"), start("canary")
    values = _classes(stable={"weight": 90}, canary={"weight": 10} | OWN)
    with (
        proxied({"stable": [stable], "canary": [canary]}, tmp_path, values) as proxy,
        grpc.insecure_channel(f"{HOST}:{proxy.calls}") as channel,
    ):
        answers = [channel.unary_unary(METHOD)(b"answer") for _ in range(1000)]
    assert 60 <= answers.count(b"canary") <= 145  # 100 ± 4.7 standard deviations


def test_a_shadow_gets_copies_and_answers_nobody(start: Start, tmp_path: Path) -> None:
    """Large ones too; slow, refusing or dead it is nobody's trouble."""
    stable, shadow = start("stable"), start("shadow")
    values = _classes(stable={"weight": 1}, shadow={"weight": 0, "shadow": 100} | OWN)
    with proxied({"stable": [stable], "shadow": [shadow]}, tmp_path, values) as proxy:
        assert {_call(proxy, b"answer ".ljust(4 * MIB)) for _ in range(5)} == {"stable"}
        until(lambda: len(shadow.asked()) == 5, "the copies")
        shadow.process.kill()
        assert {_call(proxy, b"answer") for _ in range(5)} == {"stable"}


def test_a_proxy_that_is_to_go_answers_what_it_has(start: Start, tmp_path: Path) -> None:
    """preStop, as the chart mounts it: not ready from its beginning, and over when the last call is."""
    server = start("a")
    with proxied({"cpu": [server]}, tmp_path) as proxy:
        call = _later(proxy, b"hold")
        _whoever_has([server], "hold")
        script = subprocess.Popen(["/bin/bash", str(proxy.folder / "etc/envoy/drain.sh")], stdout=subprocess.DEVNULL)
        until(lambda: not proxy.ready(), "the proxy to be unready")
        assert _call(proxy, b"answer") == "a"  # clients that have not noticed yet
        with pytest.raises(subprocess.TimeoutExpired):
            script.wait(8)  # longer than its shortest run, of 5 s: it waits for the call
        assert not call.done()
        server.release()
        assert script.wait(HANG_S) == 0
        assert call.result() == "a"


def _certificate(ca: trustme.CA, place: Path, version: int) -> None:
    """As kubelet writes a Secret: files of a new folder, behind a link that is replaced in one step."""
    issued = ca.issue_cert("localhost")
    folder = place / f"..{version}"
    folder.mkdir(parents=True)
    issued.private_key_pem.write_to_path(folder / "tls.key")
    (folder / "tls.crt").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    (place / "..new").symlink_to(folder.name)
    (place / "..new").replace(place / "..data")
    for name in ("tls.key", "tls.crt"):
        if not (place / name).is_symlink():
            (place / name).symlink_to(f"..data/{name}")


def test_callers_come_by_tls_and_a_renewed_certificate_is_used(start: Start, tmp_path: Path) -> None:
    old, new = trustme.CA(), trustme.CA()
    _certificate(old, tmp_path / "tls", 1)

    def _trusted(ca: trustme.CA) -> bool:
        """Whether one call, by a client that trusts this authority alone, is answered."""
        trusted = grpc.ssl_channel_credentials(ca.cert_pem.bytes())
        with grpc.secure_channel(f"localhost:{proxy.calls}", trusted) as channel:
            try:
                return channel.unary_unary(METHOD)(b"answer", timeout=HANG_S) == b"a"
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
                return False

    with proxied({"cpu": [start("a")]}, tmp_path, {"proxy": {"tls": {"secret": "any"}}}) as proxy:
        assert _trusted(old)
        _certificate(new, tmp_path / "tls", 2)
        until(lambda: _trusted(new), "the new certificate")
        assert not _trusted(old)
        assert get(HOST, proxy.calls, "/v2", 2)[0] == 0  # nothing without TLS


def test_the_proxy_itself_tells_nobody_anything(start: Start, tmp_path: Path) -> None:
    with proxied({"cpu": [start("a")]}, tmp_path) as proxy:
        assert get(HOST, proxy.health, "/stats", 2)[0] == 404
        assert get(HOST, proxy.calls, "/stats", 2)[0] == 404
        assert get(HOST, proxy.calls, "/v2%2f..%2fstats", 2)[0] == 400
