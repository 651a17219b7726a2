"""benchmarks/slo.toml: what is promised, under which load."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec

FILE = Path(__file__).resolve().parent.parent / "slo.toml"
Positive = Annotated[float, msgspec.Meta(gt=0)]


class SloError(ValueError):
    """A file of promises that cannot be run."""


class Files(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is sent as one input of a model.

    Args:
        folder: of pictures, below the sample data.
        size: width and height of each; None: as they are.
        format: Pillow's name.
        table, column: of texts, below the sample data.
    """

    folder: str = ""
    size: tuple[int, int] | None = None
    format: str = "PNG"
    table: str = ""
    column: str = ""


class Slo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One promise.

    Args:
        name: of the promise.
        models: name → share of the traffic.
        users: callers at once, each asking again as soon as it is answered.
        per_second: calls that arrive, by Poisson's law, instead of `users` that ask again at once.
        one_each: of arrivals: who is due while its last call is under way does not come: `users` calls at most at once.
        phases: (seconds, users) one after the other, instead of `users` for the whole time.
        send: "files": the client's default call; "probabilities": that output alone; "tensors": the network's own
            input, and a report.
        batch: items of each call; more than one: as the protocol takes them, all outputs and reports.
        protocol: "grpc" or "http".
        size, as_they_are: of pictures, in the place of their model's.
        seconds, warm_s: that are measured, and before them; in the place of the file's.
        timeout_s: that a caller waits; None: the client's own default.
        may_refuse: whether the server may shed load; otherwise each refusal is a failure.
        p50_ms, p95_ms, p99_ms: at most; None: not promised.
        items_per_second: answered, at least; None: not promised.
    """

    name: str
    models: dict[str, Positive]
    users: Annotated[int, msgspec.Meta(ge=1)] = 100
    per_second: Positive | None = None
    one_each: bool = False
    phases: tuple[tuple[int, int], ...] = ()
    send: Literal["files", "probabilities", "tensors"] = "files"
    batch: Annotated[int, msgspec.Meta(ge=1)] = 1
    protocol: Literal["grpc", "http"] = "grpc"
    size: tuple[int, int] | None = None
    as_they_are: bool = False
    seconds: int | None = None
    warm_s: int | None = None
    timeout_s: Positive | None = None
    may_refuse: bool = False
    p50_ms: Positive | None = None
    p95_ms: Positive | None = None
    p99_ms: Positive | None = None
    items_per_second: Positive | None = None

    @property
    def load(self) -> str:
        """In a word or two."""
        if self.batch > 1:
            return f"{self.users} × {self.batch}"
        if self.per_second:
            return f"{self.per_second:g}/s" + f" of {self.users}" * self.one_each
        return " → ".join(str(users) for _, users in self.phases) or str(self.users)

    def limits(self) -> dict[str, float]:
        """Quantile → milliseconds, of those that are promised."""
        found = {"p50": self.p50_ms, "p95": self.p95_ms, "p99": self.p99_ms}
        return {name: limit for name, limit in found.items() if limit is not None}


class Campaign(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    files: dict[str, dict[str, Files]]
    slo: tuple[Slo, ...]
    runs: Annotated[int, msgspec.Meta(ge=1)] = 3
    seconds: Annotated[int, msgspec.Meta(ge=1)] = 20
    warm_s: int = 4

    @classmethod
    def read(cls, path: Path = FILE) -> Campaign:
        """Raises SloError: not TOML, nor JSON; an unknown key, a wrong type, a name twice, a model without files."""
        decode = msgspec.json.decode if path.suffix == ".json" else msgspec.toml.decode
        try:
            found: Campaign = decode(path.read_bytes(), type=cls)
        except (msgspec.DecodeError, OSError) as exc:
            raise SloError(f"{path}: {exc}") from exc
        names = [slo.name for slo in found.slo]
        if twice := {name for name in names if names.count(name) > 1}:
            raise SloError(f"{path}: expected each name once, got {', '.join(sorted(twice))} twice")
        for slo in found.slo:
            if missing := set(slo.models) - set(found.files) or not slo.models:
                raise SloError(f"{path}: {slo.name}: expected models with files, got {missing}")
            if not slo.limits() and slo.items_per_second is None:
                raise SloError(
                    f"{path}: {slo.name}: expected a limit (p50_ms, p95_ms, p99_ms, items_per_second), got none"
                )
            if slo.batch > 1 and slo.send != "files":
                raise SloError(f'{path}: {slo.name}: batch: expected send = "files" beside it, got {slo.send}')
        return found

    def chosen(self, names: Sequence[str], models: Collection[str] = ()) -> list[Slo]:
        """Those, or all that ask no other models than these.

        Raises:
            SloError: a name that is not in the file; the message lists those that are.
        """
        known = {slo.name: slo for slo in self.slo}
        if unknown := [name for name in names if name not in known]:
            raise SloError(f"SLO: expected some of {', '.join(known)}; got {', '.join(unknown)}")
        if names:
            return [known[name] for name in names]
        found = [slo for slo in self.slo if not models or set(slo.models) <= set(models)]
        if not found:
            raise SloError(f"MODELS: expected models with a promise, got {', '.join(models)}")
        return found

    def sent(self, slo: Slo, model: str) -> dict[str, Files]:
        """What goes into each input of one of its models."""
        files = self.files[model]
        if slo.as_they_are:
            return {name: msgspec.structs.replace(one, size=None) for name, one in files.items()}
        if slo.size is not None:
            return {name: msgspec.structs.replace(one, size=slo.size) for name, one in files.items()}
        return files

    def phases(self, slo: Slo) -> tuple[tuple[int, int], ...]:
        """(seconds, users) one after the other, the warm-up included."""
        seconds = slo.seconds or self.seconds
        return slo.phases or ((self.warm(slo) + seconds, slo.users),)

    def warm(self, slo: Slo) -> int:
        """Seconds before anything is measured."""
        return self.warm_s if slo.warm_s is None else slo.warm_s
