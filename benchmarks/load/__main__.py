"""python -m benchmarks.load: hold a server to benchmarks/slo.toml.

Starts a server for each promise, or asks the one at --url; runs the load generator beside it; prints a table, writes
report.md, report.html and results.json. Exit status 1 where a promise is missed, or a run proves nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.live import ServerEnded, machine
from benchmarks.load import report, table
from benchmarks.load.generator import Generator
from benchmarks.load.slo import FILE, Campaign, Slo, SloError
from benchmarks.load.target import Target, own_target
from benchmarks.load.verdict import Judged, judged
from benchmarks.load.watch import Watch
from benchmarks.page.results import Load, write
from medserve import Client


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        campaign = Campaign.read(options.slo_file)
        chosen = campaign.chosen([name for name in options.slo.split(",") if name])
        folder = options.out / time.strftime("%Y%m%d-%H%M%S")
        folder.mkdir(parents=True)
        print(f"{machine()}; {options.runs or campaign.runs} runs of each\n\n{table.HEADER}", flush=True)
        results = []
        for slo in chosen:
            with _target(options, slo) as target:
                results.append(_runs(Generator(campaign, options.data, folder), slo, target, options.runs))
            print(table.row(results[-1]), flush=True)
    except (SloError, ServerEnded) as exc:
        print(f"load: {exc}", file=sys.stderr)
        return 1
    write(Load(machine=machine(), results=results), folder, "results")
    (folder / "report.md").write_text(report.markdown(machine(), results), "utf-8")
    (folder / "report.html").write_text(report.html(machine(), results), "utf-8")
    missed = [f"{each.slo.name}: {sentence}" for each in results for sentence in each.missed]
    print("\n" + "\n".join([*missed, f"{len(results)} promises, {sum(bool(each.missed) for each in results)} missed"]))
    print(folder / "report.html")
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    variable = os.environ.get
    parser.add_argument("--slo", default=variable("SLO", ""), help="names from the file, separated by commas")
    parser.add_argument("--slo-file", type=Path, default=FILE)
    parser.add_argument("--url", default=variable("URL", ""), help="grpc://…[,http://…] of a running server")
    parser.add_argument("--metrics", default=variable("METRICS", ""), help="URL of that server's metrics")
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    parser.add_argument(
        "--data", default=variable("DATA", ""), help="folder of sample data; without it, files are made"
    )
    parser.add_argument("--runs", type=int, default=int(variable("RUNS") or 0), help="in the place of the file's")
    parser.add_argument("--out", type=Path, default=Path(".run/load"))
    return parser


@contextlib.contextmanager
def _target(options: argparse.Namespace, slo: Slo) -> Iterator[Target]:
    """The server at --url, or one of our own with just the models of this promise."""
    if options.url:
        urls = {url.partition("://")[0]: url for url in options.url.split(",")}
        if missing := {"grpc", slo.protocol} - set(urls):
            raise SloError(f"URL: {slo.name}: expected {' and '.join(missing)}://host:port in it, got {options.url}")
        _check_there(urls["grpc"], slo)
        watch = Watch(urls["grpc"].removeprefix("grpc://"), options.metrics)
        yield Target(urls, watch)
        watch.close()
        return
    with own_target(options.repository, list(slo.models)) as target:
        yield target


def _check_there(url: str, slo: Slo) -> None:
    """Raises SloError: no server, or not with these models."""
    with Client(url) as client:
        health = client.health(timeout_s=10)
    if not health.ready:
        raise SloError(f"URL: {slo.name}: expected a server that is ready at {url}: {health.reason}")
    if missing := [model for model in slo.models if not health.models.get(model)]:
        raise SloError(f"URL: {slo.name}: expected {', '.join(missing)} to be ready at {url}, got {health.models}")


def _runs(generator: Generator, slo: Slo, target: Target, runs: int) -> Judged:
    numbers = range(1, (runs or generator.campaign.runs) + 1)
    found = [generator.run(slo, target, number) for number in numbers]
    return judged(slo, [run for run, _ in found], [served for _, served in found])


if __name__ == "__main__":
    sys.exit(main())
