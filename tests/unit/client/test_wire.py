"""Messages of both protocols, held to tritonclient's own; and answers that are none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from tritonclient import grpc as triton_grpc
from tritonclient import http as triton_http
from tritonclient.grpc import service_pb2 as pb

from medserve.calls import DTYPES, Ask, Infer, Tensor, decoded
from medserve.errors import BrokenAnswer, InvalidInput, UnknownModel
from medserve.wire import grpc, http
from tests.support.server_stub import raw_of

PIXELS = np.arange(24, dtype=np.uint8).reshape(1, 2, 3, 4)
CALL = Infer("a model", (Tensor.of_bytes("image", b"a film"), Tensor.of_array("pixels", PIXELS)), ("out", "report"))


def _theirs(protocol) -> list:
    film = protocol.InferInput("image", [1, 1], "BYTES")
    film.set_data_from_numpy(np.array([[b"a film"]], np.object_))
    pixels = protocol.InferInput("pixels", list(PIXELS.shape), "UINT8")
    pixels.set_data_from_numpy(PIXELS)
    return [film, pixels]


def test_an_http_request_is_tritonclients() -> None:
    outputs = [triton_http.InferRequestedOutput(name) for name in CALL.outputs]
    body, length = triton_http.InferenceServerClient.generate_request_body(
        _theirs(triton_http), request_id=CALL.id, outputs=outputs, timeout=500_000
    )
    ours = http.request(CALL, 2.0)
    place = int(ours.headers[http.HEADER_LENGTH])
    assert json.loads(ours.body[:place]) == json.loads(body[:length])
    assert ours.body[place:] == body[length:]
    assert (ours.method, ours.path) == ("POST", "/v2/models/a%20model/infer")


def test_a_grpc_request_is_tritonclients() -> None:
    ours = grpc.message(CALL, 2.0)
    assert [each.name for each in ours.outputs] == list(CALL.outputs)
    assert ours.parameters["timeout"].int64_param == 500_000  # a quarter, in each of two queues
    for mine, theirs in zip(ours.inputs, _theirs(triton_grpc), strict=True):
        tensor = theirs._get_tensor()
        assert (mine.name, mine.datatype, list(mine.shape)) == (tensor.name, tensor.datatype, list(tensor.shape))
    assert list(ours.raw_input_contents) == [each._get_content() for each in _theirs(triton_grpc)]


@pytest.mark.parametrize(
    "array",
    [
        np.array([[b"", b"a", b"\0" * 300]], np.object_),
        *(np.arange(6).reshape(1, 6).astype(d) for d in DTYPES.values()),
    ],
)
def test_every_type_comes_back_as_it_was(array: np.ndarray) -> None:
    datatype, raw = raw_of(array)
    for content in (raw, memoryview(raw)):
        found = decoded("out", datatype, array.shape, content)
        assert_array_equal(found, array)
        assert found.flags.writeable


@pytest.mark.parametrize(
    ("datatype", "shape", "raw", "told"),
    [
        ("FP32", (1, 2), b"\0" * 7, "expected 8 bytes"),
        ("BYTES", (1, 2), b"\1\0\0\0a", "end in the middle"),
        ("BYTES", (1, 1), b"\5\0\0\0a", "end in the middle"),
        ("BYTES", (1, 1), b"\1\0\0\0ab", "in 5 bytes, got 6"),
        ("BF16", (1,), b"\0\0", "expected one of BYTES"),
    ],
)
def test_other_bytes_are_no_answer(datatype: str, shape: tuple[int, ...], raw: bytes, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        decoded("out", datatype, shape, raw)
    call = Infer("m", (), ("out",))
    answer = pb.ModelInferResponse(id=call.id)
    answer.outputs.add(name="out", datatype=datatype, shape=shape)
    answer.raw_output_contents.append(raw)
    with pytest.raises(BrokenAnswer, match=f"m: out: .*{told}|m: out: {told}"):
        grpc.arrays(call, answer)


def test_outputs_that_are_missing() -> None:
    call = Infer("m", (), ("report",))
    with pytest.raises(BrokenAnswer, match="m: expected the outputs report, got none"):
        grpc.arrays(call, pb.ModelInferResponse(id=call.id))
    answer = pb.ModelInferResponse()
    answer.outputs.add(name="report", datatype="BYTES", shape=(1, 1))
    with pytest.raises(BrokenAnswer, match="expected the bytes of 1 outputs, got 0"):
        grpc.arrays(Infer("m", (), ("report",)), answer)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b"<html>hello</html>"),
        ({}, b"{}"),
        ({}, b'{"outputs": [{"name": "out"}]}'),
        ({"inference-header-content-length": "x"}, b"{}"),
        ({"inference-header-content-length": "9"}, b"{}"),
        ({}, b"[]"),
    ],
)
def test_what_is_not_the_protocol(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(BrokenAnswer, match="m: expected"):
        http.answer(Infer("m", (), ("out",)), 200, headers, body)


def test_errors_speak_in_the_servers_words() -> None:
    call = Infer("m", (), ("out",))
    with pytest.raises(InvalidInput, match=r"m: \[empty\] no bytes") as caught:
        http.answer(call, 400, {}, b'{"error": "[empty] no bytes"}')
    assert caught.value.code == "empty"
    with pytest.raises(UnknownModel, match="m: nginx says no"):
        http.answer(call, 404, {}, b"nginx says no")


def test_questions() -> None:
    assert http.request(Ask("live"), 1).path == "/v2/health/live"
    assert http.request(Ask("model_ready", "a/b"), 1).path == "/v2/models/a%2Fb/ready"
    for status, said in ((200, True), (400, False), (404, False)):
        assert http.answer(Ask("ready"), status, {}, b"")["answer"][0] == said
    assert grpc.arrays(Ask("live"), pb.ServerLiveResponse(live=True))["answer"][0]
    assert not grpc.arrays(Ask("model_ready", "m"), pb.ModelReadyResponse(ready=False))["answer"][0]


def test_another_requests_answer_is_nobodys() -> None:
    call = Infer("m", (), ())
    with pytest.raises(BrokenAnswer, match=f"m: expected the answer to request {call.id}, got one to 0"):
        grpc.arrays(call, pb.ModelInferResponse(id="0"))
    with pytest.raises(BrokenAnswer, match=f"m: expected the answer to request {call.id}, got one to none"):
        http.answer(call, 200, {}, b'{"outputs": []}')
    assert http.answer(call, 200, {}, json.dumps({"id": call.id, "outputs": []}).encode()) == {}
    assert Infer("m", (), ()).id != call.id


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_the_server_is_told_how_long_anybody_waits(scheme: str) -> None:
    """Over gRPC by its deadline, over both by the request's own parameter, in microseconds."""
    from medserve.calls import Infer
    from medserve.wire import grpc, http

    call = Infer("m", (), ("out",))
    assert grpc.message(call, 1.5).parameters["timeout"].int64_param == 375_000
    assert b'"timeout":375000' in http.request(call, 1.5).body
    assert b'"timeout":13000000' in http.request(call, 30).body  # work takes no longer for who waits longer
