"""A campaign's results as Markdown tables."""

from __future__ import annotations

from benchmarks.load.verdict import Judged

FIRST_STEPS = ("preprocess_", "featurize_")  # which read what callers send
HEADER = (
    "| | users | p50 ms | p95 ms | p99 ms | items/s | refused | client CPU ms | kept |\n"
    "|---|--:|--:|--:|--:|--:|--:|--:|---|"
)


def row(each: Judged) -> str:
    """One promise."""
    limits = each.slo.limits()
    figures = " | ".join(
        f"{value:.0f}" + (f" (≤ {limits[name]:g})" if name in limits else "") for name, value in each.figures.items()
    )
    run = each.runs[-1]
    cpu = run.client_cpu_s / max(1, run.offered) * 1e3
    kept = "yes" if not each.missed else "**no**"
    cells = (each.slo.name, each.slo.load, figures, f"{each.per_second:.1f}", run.refused.count, f"{cpu:.2f}", kept)
    return f"| {' | '.join(map(str, cells))} |"


def steps(each: Judged) -> list[str]:
    """The last run's steps; none where nobody watched the server."""
    if not each.served:
        return []
    served = each.served[-1]
    lines = [
        "| step | requests | mean batch | queue ms | input ms | compute ms | output ms |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for step in served.steps:
        batch = step.items / step.executions
        lines.append(
            f"| {step.name} | {step.requests} | {batch:.1f} | {step.queue_ms:.1f} | {step.input_ms:.2f} | "
            f"{step.infer_ms:.1f} | {step.output_ms:.2f} |"
        )
    lines += ["", spent(each)]
    if served.memory_mb is not None:
        lines += [f"Memory of the server: {served.memory_mb:.0f} MB."]
    return lines


def spent(each: Judged) -> str:
    """The last run's CPU time, by process; "" where nobody watched."""
    if not each.served or not each.served[-1].cpu_s:
        return ""
    served, run = each.served[-1], each.runs[-1]
    each_ms = {name: seconds / max(1, run.offered) * 1e3 for name, seconds in served.cpu_s.items()}
    parts = sorted(each_ms.items(), key=lambda one: -one[1])
    told = ", ".join(f"{name} {ms:.2f}" for name, ms in parts if ms >= 0.01)
    all_ms = sum(each_ms.values())
    reading = sum(ms for name, ms in each_ms.items() if name.startswith(FIRST_STEPS)) / (all_ms or 1)
    return f"CPU ms per call: {told}; all of the server {all_ms:.2f}, of which reading files takes {reading:.0%}."
