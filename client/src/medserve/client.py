"""The synchronous client."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO
from urllib.parse import SplitResult, urlsplit

import numpy as np
from numpy.typing import NDArray

from medserve.errors import InvalidInput, UnknownModel, translated
from medserve.prediction import Prediction

Sendable = bytes | str | Path | BinaryIO
_DESCRIBE = "describe"  # the model by which the server describes itself


class Client:
    """Calls the models of one server. Knows none by name: it asks the server to describe them.

    Use one for each thread: tritonclient's HTTP connections are not thread-safe.

    Args:
        url: grpc://host:port or http://host:port.
        timeout_s: for each call.

    Raises:
        ValueError: another kind of URL.
    """

    def __init__(self, url: str = "grpc://127.0.0.1:8001", *, timeout_s: float = 30.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("grpc", "http") or not parts.hostname or not _port(parts):
            raise ValueError(f"url: expected grpc://host:port or http://host:port, got {url!r}")
        if timeout_s <= 0:
            raise ValueError(f"timeout_s: expected more than 0 seconds, got {timeout_s}")
        self._timeout_s = timeout_s
        self._described: dict[str, dict[str, Any]] = {}
        if parts.scheme == "grpc":
            import tritonclient.grpc as protocol

            self._call_options: dict[str, Any] = {"client_timeout": timeout_s}
            self._client = protocol.InferenceServerClient(parts.netloc)
        else:
            import tritonclient.http as protocol

            self._call_options = {}
            self._client = protocol.InferenceServerClient(
                parts.netloc, connection_timeout=timeout_s, network_timeout=timeout_s
            )
        self._protocol = protocol

    def predict(self, model: str, **inputs: Sendable) -> Prediction:
        """Ask one model about one item.

        Args:
            model: its name on the server, such as "chest_xray".
            inputs: by the model's input names; an optional one may be left out. A Path, bytes or an
                open file is sent as the file's bytes; a str is sent as text: a SMILES, base64 or a
                `data:` URI.

        Raises:
            InvalidInput: the server refused the input, or a name or type is wrong.
            UnknownModel, Unavailable, TimedOut, ServerFault: see `medserve.errors`.
        """
        described = self.describe(model)
        sent = {spec["name"]: _given(f"{model}.inputs", spec, inputs) for spec in described["inputs"]}
        if unknown := sorted(set(inputs) - set(sent)):
            raise InvalidInput(f"{model}.inputs: expected {', '.join(sent)}; got also {', '.join(unknown)}")
        started = time.monotonic()
        arrays = self._infer(model, sent, [*(spec["name"] for spec in described["outputs"]), "report"])
        seconds = time.monotonic() - started
        return Prediction(model, json.loads(arrays.pop("report")[0]), arrays, seconds)

    def describe(self, model: str) -> Mapping[str, Any]:
        """What the server says of a model: task, labels, inputs, outputs, rules, limits, weights, artefacts.

        Fetched once, for all models together.

        Raises:
            UnknownModel: the server describes no such model; the message lists those that it does.
        """
        if model not in self._described:
            self._described = json.loads(self._infer(_DESCRIBE, {"model": b""}, ["description"])["description"][0])
        if model not in self._described:
            raise UnknownModel(f"{model}: expected one of {', '.join(self._described)}: no such model on this server")
        return self._described[model]

    def seen(self, model: str, **inputs: Sendable) -> dict[str, NDArray[np.uint8]]:
        """The pictures of one item as the network sees them: UINT8 [h, w, 3] by input name, RGB."""
        pictures = [spec for spec in self.describe(model)["inputs"] if spec["pixels"] and spec["name"] in inputs]
        sent = {spec["name"]: _given(f"{model}.inputs", spec, inputs) for spec in pictures}
        if not pictures:
            return {}
        arrays = self._infer(pictures[0]["step"], sent, [spec["pixels"] for spec in pictures])
        return {spec["name"]: arrays[spec["pixels"]].transpose(1, 2, 0) for spec in pictures}

    def close(self) -> None:
        """End the connection. May be called twice."""
        self._client.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _infer(self, model: str, sent: Mapping[str, bytes], wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
        """One item's outputs by name, without the batch axis."""
        tensors = []
        for name, content in sent.items():
            value = np.array([[content]], np.object_)
            tensor = self._protocol.InferInput(name, value.shape, "BYTES")
            tensor.set_data_from_numpy(value)
            tensors.append(tensor)
        outputs = [self._protocol.InferRequestedOutput(name) for name in wanted]
        try:
            result = self._client.infer(model, tensors, outputs=outputs, **self._call_options)
        except Exception as exc:  # tritonclient's, geventhttpclient's and the socket's have no common base
            raise translated(exc, model) from exc
        return {name: result.as_numpy(name)[0] for name in wanted}


def _given(where: str, spec: Mapping[str, Any], inputs: Mapping[str, Sendable]) -> bytes:
    """What goes over the wire for one input."""
    name = spec["name"]
    if name in inputs:
        return _content(f"{where}.{name}", inputs[name])
    if spec["optional"]:
        return b""
    raise InvalidInput(f"{where}.{name}: expected a value, got none")


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:  # no number, or beyond 65535
        return None


def _content(where: str, value: Sendable) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        if os.path.isfile(value):
            raise InvalidInput(f"{where}: expected a Path for a file, got the str {value!r}. Pass Path({value!r}).")
        return value.encode()
    try:
        return value.read_bytes() if isinstance(value, Path) else value.read()
    except OSError as exc:
        raise InvalidInput(f"{where}: cannot be read: {exc}") from exc
    except AttributeError as exc:
        raise InvalidInput(f"{where}: expected Path, bytes, file or str, got {type(value).__name__}") from exc
