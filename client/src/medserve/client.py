"""The synchronous client."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO
from urllib.parse import SplitResult, urlsplit

import numpy as np

from medserve.errors import InvalidInput, translated
from medserve.prediction import Prediction

Sendable = bytes | str | Path | BinaryIO


class Client:
    """Calls the models of one server. Knows none by name: it asks the server for their inputs.

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
        self._metadata: dict[str, dict[str, Any]] = {}
        if parts.scheme == "grpc":
            import tritonclient.grpc as protocol

            self._call_options: dict[str, Any] = {"client_timeout": timeout_s}
            self._metadata_options: dict[str, Any] = {"client_timeout": timeout_s, "as_json": True}
            self._client = protocol.InferenceServerClient(parts.netloc)
        else:
            import tritonclient.http as protocol

            self._call_options = self._metadata_options = {}
            self._client = protocol.InferenceServerClient(
                parts.netloc, connection_timeout=timeout_s, network_timeout=timeout_s
            )
        self._protocol = protocol

    def predict(self, model: str, **inputs: Sendable) -> Prediction:
        """Ask one model about one item.

        Args:
            model: its name on the server, such as "chest_xray".
            inputs: by the model's input names. A Path, bytes or an open file is sent as the file's
                bytes; a str is sent as text: a SMILES, base64 or a `data:` URI.

        Raises:
            InvalidInput: the server refused the input, or a name or type is wrong.
            UnknownModel, Unavailable, TimedOut, ServerFault: see `medserve.errors`.
        """
        described = self._describe(model)
        if not _is_for_callers(described):
            raise InvalidInput(f"{model}: expected a model that takes files or text, got a step inside one")
        sent = [self._tensor(model, spec, inputs) for spec in described["inputs"]]
        if unknown := sorted(set(inputs) - {spec["name"] for spec in described["inputs"]}):
            names = ", ".join(spec["name"] for spec in described["inputs"])
            raise InvalidInput(f"{model}.inputs: expected {names}; got also {', '.join(unknown)}")
        wanted = [self._protocol.InferRequestedOutput(spec["name"]) for spec in described["outputs"]]
        try:
            result = self._client.infer(model, sent, outputs=wanted, **self._call_options)
        except Exception as exc:  # tritonclient's, geventhttpclient's and the socket's have no common base
            raise translated(exc, model) from exc
        arrays = {spec["name"]: result.as_numpy(spec["name"])[0] for spec in described["outputs"]}
        report = json.loads(arrays.pop("report")[0])
        return Prediction(model, report, arrays)

    def input_names(self, model: str) -> list[str]:
        """What `predict` takes for this model, in the server's order."""
        return [spec["name"] for spec in self._describe(model)["inputs"]]

    def close(self) -> None:
        """End the connection. May be called twice."""
        self._client.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _describe(self, model: str) -> dict[str, Any]:
        if model not in self._metadata:
            try:
                self._metadata[model] = self._client.get_model_metadata(model, **self._metadata_options)
            except Exception as exc:
                raise translated(exc, model) from exc
        return self._metadata[model]

    def _tensor(self, model: str, spec: dict[str, Any], inputs: dict[str, Sendable]) -> Any:
        name = spec["name"]
        if name not in inputs:
            raise InvalidInput(f"{model}.inputs.{name}: expected a value, got none")
        value = np.array([[_content(f"{model}.inputs.{name}", inputs[name])]], np.object_)
        tensor = self._protocol.InferInput(name, value.shape, spec["datatype"])
        tensor.set_data_from_numpy(value)
        return tensor


def _is_for_callers(described: dict[str, Any]) -> bool:
    """Whether a model takes files or text and reports on them, unlike the steps that it is made of."""
    outputs = {spec["name"] for spec in described["outputs"]}
    return "report" in outputs and all(spec["datatype"] == "BYTES" for spec in described["inputs"])


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
