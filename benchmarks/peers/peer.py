"""The declaration of a peer: how it is started, and how it is asked for one picture."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.task import VARIANTS, Task, Variant

HERE = Path(__file__).parent
ROOT = HERE.parent.parent  # where our packages are imported from
BOUNDARY = "medserve-peer-boundary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run in a peer's environment.

    Args:
        arguments: the program first, by name where it is the environment's.
        variables: of the environment, beside those that every peer gets.
    """

    arguments: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One way to serve the model.

    Args:
        name: of its folder, and of its environment (but see `package`).
        version: for people.
        start: writes what this start needs into a fresh folder, and tells the command.
        path: of the URL that answers.
        headers: of a request.
        body: of a request, from a picture's file.
        parse: a response's body into the probabilities.
        service: what somebody who serves this way writes, below the peer's folder; the model's own lines are
            counted apart: `lines`.
        settings: what was chosen, and who advises it.
        workers: processes that compute, by default.
        package: the folder of its files, where that has another name.
        own_environment: False: runs in the project's.
        method: of HTTP.
        variants: that it has.
    """

    name: str
    version: str
    start: Callable[[Task, Path], Command]
    path: str
    headers: Mapping[str, str]
    body: Callable[[bytes], bytes]
    parse: Callable[[bytes], list[float]]
    service: tuple[str, ...]
    settings: tuple[str, ...]
    workers: Mapping[Variant, int] = field(default_factory=lambda: dict.fromkeys(VARIANTS, 1))
    package: str = ""
    own_environment: bool = True
    method: str = "POST"
    variants: tuple[Variant, ...] = VARIANTS

    @property
    def place(self) -> str:
        """The name of its folder and of its environment."""
        return self.package or self.name

    @property
    def folder(self) -> Path:
        return HERE / self.place

    @property
    def requirements(self) -> Path:
        """Its pins; for people alone where it runs in the project's environment."""
        return self.folder / "requirements.txt"

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files that somebody who serves this way writes."""
        return tuple(self.folder / name for name in self.service)

    def lines(self) -> int:
        """Of those files, without blank lines, comments and docstrings of one line."""
        texts = (file.read_text("utf-8").splitlines() for file in self.sources)
        return sum(bool(line := raw.strip()) and not line.startswith(("#", '"""')) for text in texts for raw in text)


def multipart(name: str) -> tuple[Mapping[str, str], Callable[[bytes], bytes]]:
    """(headers, body) of a form with one file."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="picture"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    tail = f"\r\n--{BOUNDARY}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return headers, lambda file: b"".join((head, file, tail))


RAW: Mapping[str, str] = {"Content-Type": "application/octet-stream"}
JSON: Mapping[str, str] = {"Content-Type": "application/json"}


def as_it_is(file: bytes) -> bytes:
    """The body that is the file."""
    return file


def text(file: bytes) -> str:
    """A file inside JSON."""
    return base64.b64encode(file).decode()


def numbers(answer: bytes) -> list[float]:
    """A body that is a JSON list."""
    found: list[float] = json.loads(answer)
    return found
