"""Calls as protobuf messages. Source: Triton's grpc_service.proto, through tritonclient."""

from __future__ import annotations

from typing import Any

from tritonclient.grpc import service_pb2 as pb

from medserve.calls import Arrays, Ask, Call, Infer, checked, decoded, queue_us, yes
from medserve.errors import BrokenAnswer


def method(call: Call) -> str:
    """The stub's method."""
    if isinstance(call, Infer):
        return "ModelInfer"
    return {"live": "ServerLive", "ready": "ServerReady", "model_ready": "ModelReady"}[call.question]


def message(call: Call, timeout_s: float) -> Any:
    """What the method takes. `timeout_s` tells queues when nobody will wait any more."""
    if isinstance(call, Ask):
        return {
            "live": pb.ServerLiveRequest(),
            "ready": pb.ServerReadyRequest(),
            "model_ready": pb.ModelReadyRequest(name=call.model),
        }[call.question]
    request = pb.ModelInferRequest(model_name=call.model, id=call.id)
    request.parameters["timeout"].int64_param = queue_us(timeout_s)
    for tensor in call.inputs:
        request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        request.raw_input_contents.append(tensor.raw)
    for name in call.outputs:
        request.outputs.add(name=name)
    return request


def arrays(call: Call, answer: Any) -> Arrays:
    """What the method returned.

    Raises:
        BrokenAnswer: not what was asked for.
    """
    if isinstance(call, Ask):
        return yes(bool(answer.live if call.question == "live" else answer.ready))
    if len(answer.outputs) != len(answer.raw_output_contents):
        raise BrokenAnswer(
            f"{call.where}: expected the bytes of {len(answer.outputs)} outputs, got {len(answer.raw_output_contents)}"
        )
    try:
        found = {
            output.name: decoded(output.name, output.datatype, tuple(output.shape), raw)
            for output, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
        }
    except ValueError as exc:
        raise BrokenAnswer(f"{call.where}: {exc}") from exc
    return checked(call, answer.id, found)
