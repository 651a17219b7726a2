"""Build TensorRT plans of what is published."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from export.commands.options import add_folders, add_models, add_pictures, chosen, pictures_of, variable
from export.plans.plan import EngineError, check_served_by, library_version
from export.plans.store import key, own_copy, timings
from export.publish import published
from export.sources import folder_labels, sources
from server import nvinfer
from server.gpu import first_gpu

if TYPE_CHECKING:
    from export.plan_all import Site
    from export.plans.plan import Precision
    from export.spec import ModelSpec
    from report.plan import Plan

SERVED: tuple[Precision, ...] = ("fp16", "fp32")  # of plans that are built for a server, the first that passes


def add(parser: ArgumentParser) -> None:
    """Its options."""
    add_models(parser)
    add_pictures(parser)
    add_folders(parser)
    parser.add_argument(
        "--precision", default=variable("PRECISION", ""), help="fp32, fp16, int8; default: all that are published"
    )
    parser.add_argument(
        "--server-tensorrt",
        default=variable("SERVER_TENSORRT", ""),
        help="version in the server's image: 10.12.0.36; default: that of the library here, where there is one",
    )
    parser.add_argument(
        "--into",
        type=Path,
        help="leave the repository as it is: build in a copy below this folder, once, and link it as INTO/models",
    )
    parser.add_argument("--link", type=Path, help="with --into: link the copy here too, for one server alone")
    parser.add_argument(
        "--proofs", type=Path, help="for plans that Triton cannot load; default: .proofs in the repository"
    )


def run(options: Namespace) -> int:
    """Build them one after the other."""
    if options.into is None:
        return _build(Namespace(**vars(options) | {"timings": None}))
    from export.to_engine import library  # imports much

    gpu, built_by = first_gpu(), library()
    version = library_version(built_by)
    if gpu is None or not version.startswith("tensorrt "):
        raise ValueError(
            f"INTO: expected a GPU and its tensorrt, got {gpu.product if gpu else 'no GPU'} and {version}."
        )
    if server := options.server_tensorrt or nvinfer.library_version():
        check_served_by(version, server)  # before a copy is made, which would be kept without a plan
    asked = f"{','.join(spec.name for spec in chosen(options.models))} {options.precision}"
    name = key(options.repository, gpu, version, asked)
    with own_copy(options.repository, options.into, name, options.link) as copy:
        if copy is None:
            print(f"{name}: unchanged", flush=True)
            return 0
        own = {"repository": copy, "proofs": copy / ".proofs", "timings": timings(options.into, gpu, version)}
        return _build(Namespace(**vars(options) | own))


def _build(options: Namespace) -> int:
    from export.plan_all import SOURCES, Site, plans  # imports much

    named = set(filter(None, map(str.strip, options.precision.split(","))))
    asked: list[Precision] = [each for each in SOURCES if each in named]
    if len(asked) < len(named):
        raise ValueError(f"PRECISION: expected some of {', '.join(SOURCES)}, got {options.precision}")
    pictures, labels = sources("PICTURES", options.pictures), folder_labels(options.folders)
    for spec in chosen(options.models):
        site = Site(
            repository=options.repository,
            proofs=options.proofs or options.repository / ".proofs",
            server_version=options.server_tensorrt or nvinfer.library_version(),
            pictures=pictures_of(spec, pictures, labels),
            timings=options.timings,
        )
        card = published(spec, options.repository)
        if options.into is not None:
            _serve_one(spec, site, asked or [each for each in SERVED if card and SOURCES[each] in card.artefacts])
            continue
        # FP16 first: it is what a GPU is to serve unless told otherwise.
        first: tuple[Precision, ...] = ("fp16", "fp32", "int8")
        known = [each for each in first if card and SOURCES[each] in card.artefacts]
        for plan in plans(spec, site, asked or known or ["fp32"]):
            _print(spec, plan)
    return 0


def _serve_one(spec: ModelSpec, site: Site, precisions: Sequence[Precision]) -> None:
    """Build the first plan that passes, and no proof of another: one that fails must keep nothing else from serving."""
    from export.plan_all import plans

    for precision in precisions:
        try:
            for plan in plans(spec, site, [precision]):
                _print(spec, plan)
        except EngineError as error:
            print(f"{spec.name}: no plan in {precision}: {error}", file=sys.stderr, flush=True)
        else:
            return
    print(f"{spec.name}: no plan: the launcher serves it by onnxruntime on CUDA", file=sys.stderr, flush=True)


def _print(spec: ModelSpec, plan: Plan) -> None:
    print(
        f"{spec.name}: {plan.file}, {plan.precision}, {plan.size_bytes / 1e6:.1f} MB, batch {plan.batch[0]} to "
        f"{plan.batch[2]}, {plan.library}, compute capability {', '.join(plan.compute_capabilities)}, "
        f"{plan.build_s:.1f} s, precision read from the {plan.checked_by}",
        flush=True,
    )
