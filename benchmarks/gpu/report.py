"""The figures of the GPU proof, what they missed, and their tables."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from benchmarks.setting import Setting

P95_MS = 500.0  # of 100 callers
FP32_DP = 1e-4  # |Δ probability| of exact FP32 on CUDA from FP32 on the CPU


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the proof ran on.

    Args:
        gpu: as the driver calls it; "": none, the CPU stood in for it.
        capability: compute capability, "9.0".
        multiprocessors: of the GPU, or of its MIG slice.
        driver: version and memory, as nvidia-smi reports them.
        versions: of the packages that were used, by name.
    """

    gpu: str
    capability: str
    multiprocessors: int
    driver: str
    versions: dict[str, str]


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """One file on the GPU, held to the file that the gate proved, on the CPU.

    Args:
        model, file, precision: of the artifact.
        against: the file that ran on the CPU.
        items: how many.
        largest: max |Δ| of the first output.
        flips: items whose label differs; `ties`: of those, the undecided ones.
        lost_reviews: items that would no longer be reviewed.
        refused: what broke the precision's bounds, one sentence each.
    """

    model: str
    file: str
    precision: str
    against: str
    items: int
    largest: float
    flips: int
    ties: int
    lost_reviews: int
    refused: list[str]


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """Items a second of one file in the engine that serves it, without a server."""

    model: str
    file: str
    batch: int
    per_s: float


class Decoding(msgspec.Struct, frozen=True, kw_only=True):
    """Images a second of one decoder, resized where `resized`.

    Args:
        images: kind, such as "299 x 299 gray JPEG".
        decoder: what read them.
        processes: at once; `batch`: images a call.
    """

    images: str
    decoder: str
    resized: bool
    processes: int
    batch: int
    per_s: float


class DecodeGate(msgspec.Struct, frozen=True, kw_only=True):
    """Answers of one network to images that a GPU decoded, against Pillow's.

    Args:
        images: how many; `identical`: of those, decoded to the same bytes.
        levels: largest difference of a decoded byte, 0..255.
        largest: max |Δ probability|; `flips`: images whose label differs.
    """

    model: str
    decoder: str
    images: int
    identical: int
    levels: int
    largest: float
    flips: int


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A real server under load.

    Args:
        model, images, users: what was sent, and by how many callers that wait for each response.
        per_s: responses a second.
        p50_ms, p95_ms, p99_ms: latency in milliseconds.
        failed: calls without a response; `why`: the first one's reason.
        engine_share: per_s ÷ the engine's best rate; None where that was not measured.
        gpu_use: mean utilization in per cent, as nvidia-smi reports it; `gpu_mb`: most memory in use.
    """

    model: str
    images: str
    users: int
    per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    failed: int
    why: str = ""
    engine_share: float | None = None
    gpu_use: float | None = None
    gpu_mb: float | None = None


class GpuProof(msgspec.Struct, frozen=True, kw_only=True, tag="gpu", tag_field="kind"):
    """Everything that one run measured.

    Args:
        failed: section → reason, of sections that ended with an error.
        seconds: section → how long it took.
    """

    setting: Setting
    facts: Facts
    parity: list[Parity] = []
    rates: list[Rate] = []
    decoding: list[Decoding] = []
    decode_gate: list[DecodeGate] = []
    served: list[Served] = []
    failed: dict[str, str] = {}
    seconds: dict[str, float] = {}

    def missed(self) -> list[str]:
        """Return what was promised and did not hold, one sentence each. Promises of speed are for GPUs alone."""
        found = [f"{section}: {reason}" for section, reason in self.failed.items()]
        for one in self.parity:
            found += [f"{one.model}/{one.file}: {sentence}" for sentence in one.refused]
            if one.precision == "fp32" and one.largest > FP32_DP:
                found.append(f"{one.model}/{one.file}: expected max |Δ| ≤ {FP32_DP:g}, got {one.largest:.1e}")
        for call in self.served:
            if call.failed:
                found.append(f"{call.model}, {call.images}: {call.failed} calls failed: {call.why}")
            if self.facts.gpu and call.p95_ms >= P95_MS:
                found.append(f"{call.model}, {call.images}: expected p95 < {P95_MS:g} ms, got {call.p95_ms:.0f} ms")
        return found


def tables(found: GpuProof) -> str:
    """Return every table in Markdown, without those that hold nothing."""
    facts = found.facts
    headline = (
        f"{facts.gpu}, compute capability {facts.capability}, {facts.multiprocessors} multiprocessors; {facts.driver}"
        if facts.gpu
        else "No GPU: the CPU stood in for it, so that these figures say nothing of one."
    )
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    parts = [f"{headline}. {versions}." if facts.gpu else f"{headline} {versions}."]
    parts += _table(
        "Answers on the GPU against the proved file on the CPU",
        ("model", "file", "against", "items", "max abs. Δp", "flips (ties)", "lost reviews", "bounds"),
        (
            (
                *(one.model, one.file, one.against, one.items, f"{one.largest:.1e}", f"{one.flips} ({one.ties})"),
                *(one.lost_reviews, "broken" if one.refused else "kept"),
            )
            for one in found.parity
        ),
    )
    parts += _table(
        "The engine alone, items a second",
        ("model", "file", "batch", "a second"),
        ((one.model, one.file, one.batch, f"{one.per_s:,.0f}") for one in found.rates),
    )
    parts += _table(
        "Decoding, images a second",
        ("images", "decoder", "resized", "processes", "batch", "a second"),
        (
            (one.images, one.decoder, "yes" if one.resized else "no", one.processes, one.batch, f"{one.per_s:,.0f}")
            for one in found.decoding
        ),
    )
    parts += _table(
        "Would the gate let a GPU decode?",
        ("model", "decoder", "images", "same bytes", "largest difference", "max abs. Δp", "flips"),
        (
            (one.model, one.decoder, one.images, one.identical, one.levels, f"{one.largest:.1e}", one.flips)
            for one in found.decode_gate
        ),
    )
    parts += _table(
        "Served",
        ("model", "images", "callers", "a second", "p50 ms", "p95 ms", "p99 ms", "failed", "of the engine", "GPU use"),
        (
            (
                *(one.model, one.images, one.users, f"{one.per_s:,.0f}"),
                *(f"{one.p50_ms:.0f}", f"{one.p95_ms:.0f}", f"{one.p99_ms:.0f}", one.failed),
                "?" if one.engine_share is None else f"{one.engine_share:.0%}",
                "?" if one.gpu_use is None else f"{one.gpu_use:.0f} %",
            )
            for one in found.served
        ),
    )
    return "\n\n".join(parts)


def _table(title: str, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> list[str]:
    lines = [f"| {' | '.join(map(str, row))} |" for row in rows]
    if not lines:
        return []
    return [f"### {title}", "\n".join([f"| {' | '.join(header)} |", f"|{'---|' * len(header)}", *lines])]
