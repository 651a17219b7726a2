"""A campaign's results as Markdown for people and pull requests, and as HTML with pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import jinja2
import matplotlib as mpl

from benchmarks.load.table import HEADER, row, steps
from benchmarks.load.verdict import Judged
from benchmarks.setting import Setting

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

TEMPLATE = Path(__file__).with_name("report.html.j2")


def markdown(setting: Setting, results: Sequence[Judged]) -> str:
    """A table of the promises, and for each what the server's time went into."""
    lines = [f"Measured on {setting}.", "", HEADER]
    lines += [row(each) for each in results]
    for each in results:
        lines += ["", f"### {each.slo.name}", "", *_missed(each), *steps(each)]
    return "\n".join(lines) + "\n"


def html(setting: Setting, results: Sequence[Judged]) -> str:
    """The same with pictures, in one file that needs nothing else."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    sections = [{"result": each, "picture": _picture(each)} for each in results]
    return environment.from_string(TEMPLATE.read_text("utf-8")).render(setting=setting, sections=sections)


def _missed(each: Judged) -> list[str]:
    return [f"- missed: {sentence}" for sentence in each.missed] + ([""] if each.missed else [])


def _picture(each: Judged) -> str:
    """Histogram, timeline, queue and batches, CPU: a PNG in base64."""
    figure, ((histogram, timeline), (batches, cpu)) = plt.subplots(2, 2, figsize=(11, 6.5), layout="constrained")
    _histogram(histogram, each)
    _timeline(timeline, each)
    _batches(batches, each)
    _cpu(cpu, each)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=80)
    plt.close(figure)
    return base64.b64encode(file.getvalue()).decode()


def _histogram(axes: Axes, each: Judged) -> None:
    for number, run in enumerate(each.runs, 1):
        axes.step([at for at, _ in run.buckets], [count for _, count in run.buckets], label=f"run {number}")
    for name, limit in each.slo.limits().items():
        axes.axvline(limit, linestyle="--", color="grey")
        axes.annotate(name, (limit, 0), rotation=90, va="bottom")
    axes.set(xscale="log", xlabel="latency, ms", ylabel="answers", title="Latency")
    axes.legend()


def _timeline(axes: Axes, each: Judged) -> None:
    for number, run in enumerate(each.runs, 1):
        axes.plot(
            [second.at for second in run.timeline],
            [second.answered.count for second in run.timeline],
            label=f"run {number}",
        )
        if run.refused.count:
            axes.plot([second.at for second in run.timeline], [second.refused for second in run.timeline], "--")
    axes.set(xlabel="s", ylabel="answers a second (dashed: refused)", ylim=(0, None), title="Throughput")


def _batches(axes: Axes, each: Judged) -> None:
    for step in each.served[-1].steps if each.served else []:
        sizes = sorted((int(size), count) for size, count in step.batches.items())
        axes.plot(
            [size for size, _ in sizes],
            [count for _, count in sizes],
            "o-",
            label=f"{step.name}: {step.queue_ms:.0f} ms in its queue",
        )
    axes.set(xlabel="batch size", ylabel="runs", title="Batches, and queue time")
    if each.served:
        axes.set(yscale="log")
        axes.legend(fontsize="small")


def _cpu(axes: Axes, each: Judged) -> None:
    served = each.served[-1] if each.served else None
    spent = {**(served.cpu_s if served else {}), "load generator": each.runs[-1].client_cpu_s}
    names = sorted(spent, key=lambda name: spent[name])
    axes.barh(names, [spent[name] for name in names])
    share = f"; nv_cpu_utilization {served.cpu_share:.0%}" if served and served.cpu_share is not None else ""
    axes.set(xlabel="CPU s", title="CPU of the last run" + share)
