"""A real server under the project's own load generator, and what nvidia-smi reports of the GPU meanwhile."""

from __future__ import annotations

import contextlib
import shutil
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from benchmarks.gpu.networks import Network
from benchmarks.gpu.report import P95_MS, Rate, Served
from benchmarks.load.generator import Generator
from benchmarks.load.slo import Campaign, Slo
from benchmarks.load.target import own_target

SIZES = ((299, 299), (1024, 1024))
WARM_S = 4
_SMI = ("nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits", "--loop=1")


def served(
    networks: Sequence[Network],
    repository: Path,
    folder: Path,
    rates: Sequence[Rate],
    *,
    data: Path | None,
    users: int,
    seconds: int,
) -> Iterator[Served]:
    """Load one server that has all the networks, model by model and size by size.

    Args:
        networks: see Network; all of one profile.
        repository: to serve.
        folder: for logs and the load generator's files.
        rates: of the engine alone; [] where they were not measured.
        data: folder of sample data; None: synthetic images.
        users: callers that each wait for the response.
        seconds: of each measurement, after WARM_S.

    Raises:
        benchmarks.live.ServerEnded: it did not become ready; the message ends with its log.
    """
    names, profile = [network.spec.name for network in networks], networks[0].profile
    campaign = msgspec.structs.replace(Campaign.read(), seconds=seconds, warm_s=WARM_S)
    generator = Generator(campaign, data, folder)
    options = ["--profile", profile or "cpu"]
    with own_target(repository, names, options=options) as target:
        for network in networks:
            for size in SIZES:
                name = f"{network.spec.name}-{size[0]}"
                slo = Slo(name=name, models={network.spec.name: 1}, users=users, size=size, p95_ms=P95_MS)
                with _watched() as gpu:
                    run, _ = generator.run(slo, target)
                complaints = run.complaints()
                yield Served(
                    model=network.spec.name,
                    images=f"{size[0]} x {size[1]}",
                    users=users,
                    per_s=run.per_second,
                    p50_ms=run.answered.p50,
                    p95_ms=run.answered.p95,
                    p99_ms=run.answered.p99,
                    failed=sum(run.failed.values()) + run.refused.count,
                    why="; ".join(complaints),
                    engine_share=_share(network, run.per_second, rates),
                    gpu_use=statistics.mean(gpu.use) if gpu.use else None,
                    gpu_mb=max(gpu.megabytes, default=None),
                )


def _share(network: Network, per_s: float, rates: Sequence[Rate]) -> float | None:
    best = [one.per_s for one in rates if (one.model, one.file) == (network.spec.name, network.served())]
    return per_s / max(best) if best else None


@dataclass
class _Gpu:
    use: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)


@contextlib.contextmanager
def _watched() -> Iterator[_Gpu]:
    """What nvidia-smi reported in the block, once it has ended; nothing where there is no nvidia-smi."""
    found = _Gpu()
    if shutil.which(_SMI[0]) is None:
        yield found
        return
    smi = subprocess.Popen(_SMI, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield found
    finally:
        smi.terminate()
        lines, _ = smi.communicate()
        for line in lines.splitlines():
            with contextlib.suppress(ValueError):  # "[N/A]" with MIG
                use, megabytes = map(float, line.split(","))
                found.use.append(use)
                found.megabytes.append(megabytes)
