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

import msgspec
import tritonclient.utils

from benchmarks.figures import write
from benchmarks.live import ServerEnded
from benchmarks.load import report, table
from benchmarks.load.generator import Generator
from benchmarks.load.run import Run
from benchmarks.load.slo import FILE, Campaign, Slo, SloError
from benchmarks.load.target import Target, own_target
from benchmarks.load.traffic import files_description
from benchmarks.load.verdict import Judged, Load, judged
from benchmarks.load.watch import Watch
from benchmarks.options import add_data, add_runs, end_on_signals, named
from benchmarks.setting import Setting
from medserve import Client, MedServeError

FAILURES = (
    SloError,
    ServerEnded,
    MedServeError,
    tritonclient.utils.InferenceServerException,
    OSError,
    msgspec.DecodeError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    options = _parser().parse_args(arguments)
    end_on_signals()
    try:
        campaign = Campaign.read(options.slo_file)
        chosen = _chosen(options, campaign)
        models = [name for slo in chosen for name in slo.models]
        files = files_description(campaign, options.data, models)
        setting = Setting.here(options.repository, files, models, options.url)
        print(f"{setting}; {options.runs or campaign.runs} runs of each\n\n{table.HEADER}", flush=True)
        folder = options.out / time.strftime("%Y%m%d-%H%M%S")
        folder.mkdir(parents=True)
    except (SloError, ValueError) as exc:
        print(f"load: {exc}", file=sys.stderr)
        return 1
    results, failed = [], []
    for slo in chosen:
        try:
            results.append(_judged(options, campaign, slo, folder))
        except FAILURES as exc:  # half an hour of other promises is not lost over it
            failed.append(f"{slo.name}: {exc}")
            print(f"load: {failed[-1]}", file=sys.stderr, flush=True)
            continue
        print(table.row(results[-1]), flush=True)
        write(Load(setting=setting, results=results), folder, "results")
    missed = [*failed, *(f"{each.slo.name}: {sentence}" for each in results for sentence in each.missed)]
    if results:
        (folder / "report.md").write_text(report.markdown(setting, results), "utf-8")
        (folder / "report.html").write_text(report.html(setting, results), "utf-8")
    kept = sum(not each.missed for each in results)
    print("\n" + "\n".join([*missed, f"{len(chosen)} promises, {kept} kept", str(folder / "report.html")]))
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    variable = os.environ.get
    parser.add_argument("--slo", default=variable("SLO", ""), help="names from the file, separated by commas")
    parser.add_argument("--models", default=variable("MODELS", ""), help="only promises of these models")
    parser.add_argument("--slo-file", type=Path, default=FILE)
    parser.add_argument("--url", default=variable("URL", ""), help="grpc://…[,http://…] of a running server")
    parser.add_argument("--metrics", default=variable("METRICS", ""), help="URL of that server's metrics")
    parser.add_argument(
        "--judge", type=Path, nargs="+", default=[], metavar="RUN", help="what locust has written of the one promise"
    )
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    add_data(parser)
    add_runs(parser, "--runs", None, "in the place of the file's")
    parser.add_argument("--out", type=Path, default=Path(".run/load"))
    return parser


def _chosen(options: argparse.Namespace, campaign: Campaign) -> list[Slo]:
    promised = sorted({name for slo in campaign.slo for name in slo.models})
    found = campaign.chosen([name for name in options.slo.split(",") if name], named(options.models, promised))
    if options.judge and len(found) > 1:
        raise SloError(f"SLO: expected the one promise that {options.judge[0]} is of, got {len(found)}")
    return found


def _judged(options: argparse.Namespace, campaign: Campaign, slo: Slo, folder: Path) -> Judged:
    if options.judge:
        return judged(slo, [Run.read(file, slo.name) for file in options.judge], [])
    with _target(options, slo) as target:
        generator = Generator(campaign, options.data, folder)
        numbers = range(1, (options.runs or campaign.runs) + 1)
        found = [generator.run(slo, target, number) for number in numbers]
    return judged(slo, [run for run, _ in found], [served for _, served in found])


@contextlib.contextmanager
def _target(options: argparse.Namespace, slo: Slo) -> Iterator[Target]:
    """The server at --url, or one of our own with just the models of this promise."""
    if options.url:
        urls = {url.partition("://")[0].removesuffix("s"): url for url in options.url.split(",")}
        if missing := {"grpc", slo.protocol} - set(urls):
            raise SloError(f"URL: {slo.name}: expected {' and '.join(missing)}://host:port in it, got {options.url}")
        _check_there(urls["grpc"], slo)
        scheme, _, netloc = urls["grpc"].partition("://")
        watch = Watch(netloc, options.metrics, tls=scheme == "grpcs")
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


if __name__ == "__main__":
    sys.exit(main())
