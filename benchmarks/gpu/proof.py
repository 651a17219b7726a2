"""python -m benchmarks.gpu.proof: what a machine with one NVIDIA GPU and no network can show.

parity     each network's files on CUDA, judged by the project's own gate
engine     rate of each file by batch, in the engine that profile `cuda` serves it with
decode     rate of the preprocessing step's own function, and of the GPU's JPEG decoder
gate       what a network answers to images that the GPU decoded
serve      a real Triton under load: p50, p95, p99, GPU use

What the driver reports is always among the figures. A section that fails is named, and the next one begins; figures
are written after each. With --cpu the CPU stands in for the GPU: that shows that the proof runs, and nothing of a
GPU. Status 1: a section failed, or a promise was missed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.figures import write
from benchmarks.gpu import images
from benchmarks.gpu.carried import Carried
from benchmarks.gpu.networks import Network, networks, parity, rates
from benchmarks.gpu.report import Facts, GpuProof, tables
from benchmarks.gpu.serving import served
from benchmarks.load.slo import Campaign
from benchmarks.load.traffic import files_description
from benchmarks.options import add_data, end_on_signals, named, positive
from benchmarks.setting import Setting
from export.card import tool_versions
from report.answer import CUDA_PROFILE
from server.gpu import first_gpu

PACKAGES = ("nvidia-pytriton", "onnxruntime-gpu", "onnxruntime", "torch", "torchvision", "numpy", "pillow")
BATCHES, CPU_BATCHES = (1, 4, 16, 64), (1, 4)
# What a section adds to the proof, by name of the field.
Section = Callable[[argparse.Namespace, Sequence[Network], GpuProof], Mapping[str, object]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 1 if a section failed or a promise was missed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    end_on_signals()
    if not options.cpu and first_gpu() is None:
        print(
            "gpu: expected an NVIDIA GPU whose driver answers, found none. Run with --cpu to try it without.",
            file=sys.stderr,
        )
        return 1
    profile = "" if options.cpu else CUDA_PROFILE
    found = list(networks(options.repository, profile, options.models))
    if not found:
        print(
            f"gpu: expected exported models in {options.repository}, some of {', '.join(options.models)}; found none. "
            "Run `make export`.",
            file=sys.stderr,
        )
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    proof = GpuProof(setting=_setting(options, found), facts=_facts(gpu=not options.cpu))
    file = write(proof, options.out, "gpu")
    for name in options.only:
        print(f"\n== {name}", flush=True)
        began = time.monotonic()
        try:
            proof = msgspec.structs.replace(proof, **SECTIONS[name](options, found, proof))
        except Exception as exc:  # the next section may run, and a lease of the machine is short
            traceback.print_exc()
            proof = msgspec.structs.replace(proof, failed=proof.failed | {name: f"{type(exc).__name__}: {exc}"[:2000]})
        proof = msgspec.structs.replace(proof, seconds=proof.seconds | {name: round(time.monotonic() - began, 1)})
        file = write(proof, options.out, "gpu")
    missed = proof.missed()
    print("\n".join([tables(proof), "", *missed, str(file)]))
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.proof", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cpu", action="store_true", help="without a GPU: that the proof itself runs")
    parser.add_argument(
        "--only",
        type=lambda text: named(text, list(SECTIONS)),
        default=",".join(SECTIONS),
        help="sections, separated by commas",
    )
    parser.add_argument("--models", type=lambda text: named(text, Carried.read().names()), default="")
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    add_data(parser)
    parser.add_argument("--users", type=positive, default="100", help="callers of the server")
    parser.add_argument("--seconds", type=positive, default="10", help="of each measurement of the server")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ".run/gpu")))
    return parser


def _parity(options: argparse.Namespace, found: Sequence[Network], _: GpuProof) -> Mapping[str, object]:
    folder = options.data / "cxr" if options.data else None
    return {"parity": [row for network in found for row in parity(network, folder)]}


def _engine(options: argparse.Namespace, found: Sequence[Network], _: GpuProof) -> Mapping[str, object]:
    batches = CPU_BATCHES if options.cpu else BATCHES
    return {"rates": [row for network in found for row in rates(network, batches, _brief(options))]}


def _decode(options: argparse.Namespace, found: Sequence[Network], _: GpuProof) -> Mapping[str, object]:
    return {
        "decoding": list(
            images.decode_rates(found[0].spec.name, options.data, gpu=not options.cpu, seconds=_brief(options))
        )
    }


def _gate(options: argparse.Namespace, found: Sequence[Network], _: GpuProof) -> Mapping[str, object]:
    decoder, name = (images.by_pillow, images.PILLOW) if options.cpu else (images.on_gpu, images.NVJPEG)
    return {"decode_gate": [images.decode_gate(network, options.data, decoder, name) for network in found]}


def _serve(options: argparse.Namespace, found: Sequence[Network], proof: GpuProof) -> Mapping[str, object]:
    load = {"data": options.data, "users": options.users, "seconds": options.seconds}
    return {"served": list(served(found, options.repository, options.out, proof.rates, **load))}


def _brief(options: argparse.Namespace) -> float:
    """Seconds of one measurement without a server."""
    return 0.3 if options.cpu else 1.5


SECTIONS: Mapping[str, Section] = {
    "parity": _parity,
    "engine": _engine,
    "decode": _decode,
    "gate": _gate,
    "serve": _serve,
}


def _setting(options: argparse.Namespace, found: Sequence[Network]) -> Setting:
    names = [network.spec.name for network in found]
    return Setting.here(options.repository, files_description(Campaign.read(), options.data, names), names)


def _facts(*, gpu: bool) -> Facts:
    versions = tool_versions(PACKAGES)
    if not gpu or (device := first_gpu()) is None:
        return Facts(gpu="", capability="", multiprocessors=0, driver="", versions=versions)
    command = ["nvidia-smi", "--query-gpu=driver_version,memory.total,mig.mode.current", "--format=csv,noheader"]
    smi = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return Facts(
        gpu=device.product,
        capability=device.capability,
        multiprocessors=device.multiprocessors,
        driver=f"driver, memory, MIG: {smi}",
        versions=versions,
    )


if __name__ == "__main__":
    sys.exit(main())
