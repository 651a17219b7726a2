"""The plan as Markdown: the options, what each is based on, and what nobody knows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.capacity.measured import Call
from benchmarks.capacity.plan import (
    CEILINGS,
    Ceiling,
    Load,
    Promise,
    host_bound,
    least_per_second,
    outlook,
    replicas,
)

VCPUS = (16, 32, 64)  # of a node with a GPU
HEADER = (
    "| option | replicas | GPUs | calls/s | p95 ms | CPU cores | of them read files | MB each | based on |\n"
    "|---|--:|--:|--:|--:|--:|--:|--:|---|"
)


def table(call: Call, load: Load, promise: Promise, pictures: int, basis: str) -> str:
    """A row for CPUs, and one for each GPU with a ceiling and each size of its node.

    Args:
        call: that is made.
        load: of such calls.
        promise: to be kept.
        pictures: in a call; 0: none, and no ceiling says anything of it.
        basis: what the measured figures are figures of.
    """
    rows = [_on_cpu(call, load, promise, basis)]
    if pictures:
        rows += [_on_gpu(call, load, promise, ceiling, pictures, cores) for ceiling in CEILINGS for cores in VCPUS]
    return "\n".join([HEADER, *(f"| {' | '.join(row)} |" for row in rows)])


def _on_cpu(call: Call, load: Load, promise: Promise, basis: str) -> tuple[str, ...]:
    count = replicas(call, load, promise)
    per_second, p95_s = outlook(call, load, count)  # those to spare may be away
    return (
        f"CPU, {call.cores} cores each",
        f"{count} + {promise.spare}",
        "0",
        f"{per_second:.0f}",
        f"{p95_s * 1e3:.0f}",
        f"{(count + promise.spare) * call.cores}",
        f"{per_second * call.read_s:.2f}",
        f"{call.memory_mb:.0f}",
        f"measured: {basis}",
    )


def _on_gpu(call: Call, load: Load, promise: Promise, ceiling: Ceiling, pictures: int, cores: int) -> tuple[str, ...]:
    least, network, host = least_per_second(load, promise), ceiling.per_second / pictures, host_bound(call, cores)
    count = math.ceil(least / promise.fill / min(network, host))
    bound = f"the host: {host:,.0f} calls a second, {host / network:.0%} of the GPU's" if host < network else "the GPU"
    return (
        f"{ceiling.gpu}, one each, {cores} vCPU",
        f"{count} + {promise.spare}",
        f"{count + promise.spare}",
        f"≥ {least:.0f}",
        "?",
        f"{cores * (count + promise.spare)}",
        f"≥ {least * call.read_s:.2f}",
        "?",
        f"bound by {bound}; a ceiling, not measured: MLPerf {ceiling.source}, {ceiling.per_second:,.0f} decoded "
        "images a second",
    )


def costs(call: Call) -> str:
    """Of one call, in a sentence or two."""
    return (
        f"A call takes {call.cpu_s * 1e3:.2f} ms of CPU time: {call.read_s * 1e3:.2f} to read its file, "
        f"{call.network_s * 1e3:.2f} in the network, {(call.host_s - call.read_s) * 1e3:.2f} around them. Alone it "
        f"takes {call.alone_s * 1e3:.0f} ms, p95 {call.alone_p95_s * 1e3:.0f} ms. Next to a GPU a host reads and "
        f"reports at most {' / '.join(f'{host_bound(call, cores):,.0f}' for cores in VCPUS)} calls a second with "
        f"{' / '.join(map(str, VCPUS))} vCPU."
    )


def unknown(call: Call, models: Sequence[str], pictures: int) -> list[str]:
    """What the figures do not tell, a sentence or two each."""
    found = [
        f"Replicas of more than {call.cores} cores, and how much several on one machine slow each other: not measured.",
        "Other CPUs and other files: large pictures take longer to read.",
        "Batches: the CPU time is that of full ones; smaller ones cost more for each call.",
    ]
    if pictures:
        found += [
            "GPUs: latency, memory, how near a ceiling a server comes; no GPU has run this. The ceilings are "
            "ResNet-50's in INT8: another network has another.",
            "CPU cores next to a GPU: estimated from what reading and reporting took on the measured CPU.",
        ]
    else:
        found.append("GPUs: no ceiling is known for calls without a picture.")
    if len(models) > 1:
        found.append(
            "Each model's own p95: in one server cheap calls wait behind dear ones, and a mix costs more than its "
            "parts. The memory is that of a server for each model, added up."
        )
    if call.guessed:
        found.append(f"The latency of a single caller of {', '.join(call.guessed)}: its CPU time stands for it.")
    return found
