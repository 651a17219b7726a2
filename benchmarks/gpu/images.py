"""The images that the GPU proof sends, re-encoded to known sizes; and their decoders."""

from __future__ import annotations

import io
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.gpu.carried import Carried
from benchmarks.gpu.networks import Network
from benchmarks.gpu.report import DecodeGate, Decoding
from benchmarks.load.slo import Files
from benchmarks.load.traffic import items
from export.models import all_specs
from export.samples import first_step
from server.backends.onnxruntime.lanes import Engine

BATCH = 64
NVJPEG, PILLOW = "torchvision, nvJPEG", "Pillow"
Decoder = Callable[[Sequence[bytes]], Sequence[NDArray[np.uint8]]]


def files(data: Path | None, kind: Files) -> list[bytes]:
    """Return JPEG files of one kind, from the sample data or synthetic."""
    return [item["image"] for item in items({"image": kind}, data)]


def on_gpu(contents: Sequence[bytes]) -> list[NDArray[np.uint8]]:
    """Decode JPEG files on the GPU with torchvision's nvJPEG: UINT8 [H, W, 3] each."""
    return [image.permute(1, 2, 0).cpu().numpy() for image in _nvjpeg(contents)]


def _nvjpeg(contents: Sequence[bytes]) -> list[Any]:  # tensors: torch is imported where it is used
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    encoded = [torch.frombuffer(bytearray(one), dtype=torch.uint8) for one in contents]
    decoded: list[Any] = decode_jpeg(encoded, mode=ImageReadMode.RGB, device="cuda")
    return decoded


def by_pillow(contents: Sequence[bytes]) -> list[NDArray[np.uint8]]:
    """Decode with Pillow, as every reader does: UINT8 [H, W, 3] each."""
    return [np.asarray(Image.open(io.BytesIO(one)).convert("RGB")) for one in contents]


def decode_rates(model: str, data: Path | None, *, gpu: bool, seconds: float) -> Iterator[Decoding]:
    """Measure the preprocessing function itself, in one process and in one a core, and the GPU's decoder.

    Args:
        model: whose preprocessing it is.
        data: folder of sample data; None: synthetic images.
        gpu: whether there is one.
        seconds: of each measurement.
    """
    cores = len(os.sched_getaffinity(0))
    for name, kind in Carried.read().images.items():
        contents = files(data, kind)
        for processes in sorted({1, cores}):
            with multiprocessing.get_context("spawn").Pool(processes) as pool:
                pool.map(_read_for, [(model, contents, 0.1)] * processes)  # imports are not counted
                per_s = sum(pool.map(_read_for, [(model, contents, seconds)] * processes))
            yield Decoding(images=name, decoder=PILLOW, resized=True, processes=processes, batch=1, per_s=per_s)
        if gpu:
            many = (contents * BATCH)[:BATCH]
            yield Decoding(
                images=name,
                decoder=NVJPEG,
                resized=False,
                processes=1,
                batch=BATCH,
                per_s=_nvjpeg_rate(many, seconds),
            )


def _read_for(work: tuple[str, Sequence[bytes], float]) -> float:
    """Images a second of a model's own preprocessing step."""
    model, contents, seconds = work
    step = all_specs()[model].step
    began, count = time.perf_counter(), 0
    while (took := time.perf_counter() - began) < seconds or not count:
        first_step(step, [contents[count % len(contents)]])
        count += 1
    return count / took


def _nvjpeg_rate(contents: Sequence[bytes], seconds: float) -> float:
    import torch

    _nvjpeg(contents)
    torch.cuda.synchronize()
    began, count = time.perf_counter(), 0
    while (took := time.perf_counter() - began) < seconds:
        _nvjpeg(contents)
        torch.cuda.synchronize()
        count += len(contents)
    return count / took


def decode_gate(network: Network, data: Path | None, decoder: Decoder, name: str) -> DecodeGate:
    """Compare a network's answers to images of one decoder with those to Pillow's; the resize is Pillow's in both.

    Args:
        network: see Network.
        data: folder of sample data; None: synthetic images.
        decoder: JPEG files → UINT8 [H, W, 3] each.
        name: of the decoder.
    """
    contents = [content for kind in Carried.read().images.values() for content in files(data, kind)]
    usual, other = by_pillow(contents), decoder(contents)
    engine = network.open(network.files()[0])
    expected, got = (_answers(network, engine, decoded) for decoded in (usual, other))
    levels = [int(np.abs(a.astype(np.int16) - b).max()) for a, b in zip(usual, other, strict=True)]
    return DecodeGate(
        model=network.spec.name,
        decoder=name,
        images=len(contents),
        identical=levels.count(0),
        levels=max(levels),
        largest=float(np.abs(got - expected).max()),
        flips=int((got.argmax(1) != expected.argmax(1)).sum()),
    )


def _answers(network: Network, engine: Engine, decoded: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    (tensor,) = network.spec.step.outputs
    side = tensor.dims[-1]
    squares = [
        np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
        for image in decoded
    ]
    batches = [np.stack(squares[start : start + 16]) for start in range(0, len(squares), 16)]
    first = network.spec.outputs[0].name
    return np.concatenate([engine.run({tensor.name: batch}, [first])[0] for batch in batches])
