"""Inputs that the repository makes itself, for parity where no real files are at hand.

Deterministic: the same numbers on every machine. They show that two programs compute the same;
they say nothing of accuracy.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.spec import ModelSpec, Step
from preprocess.rejection import Rejected

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
MOLECULES = (
    "CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O", "Cn1cnc2c1c(=O)n(C)c(=O)n2C", "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "OCC1OC(O)C(O)C(O)C1O", "CCCCCCCCCCCCCCCC", "ClC(Cl)(Cl)Cl", "[O-][N+](=O)c1ccccc1", "C", "[Na+].[Cl-]",
    "c1ccc2cc3ccccc3cc2c1", "CC12CCC3C(CCC4=CC(=O)CCC34C)C1CCC2O", "BrC(Br)Br", "FC(F)(F)c1ccccc1I", "CS(C)=O",
)  # fmt: skip


def picture(seed: int, side: int = 320) -> bytes:
    """A PNG of smooth colour fields with a bright ellipse, as unlike white noise as a film is."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 200, (6, 6, 3), np.uint8)
    field = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)).astype(np.int16)
    y, x = np.mgrid[:side, :side] / side
    centre, radius = random.uniform(0.3, 0.7, 2), random.uniform(0.1, 0.3, 2)
    inside = ((x - centre[0]) / radius[0]) ** 2 + ((y - centre[1]) / radius[1]) ** 2 < 1
    field[inside] += 55
    image = Image.fromarray(np.clip(field, 0, 255).astype(np.uint8))
    file = io.BytesIO()
    (image.convert("L") if seed % 2 else image).save(file, "PNG")
    return file.getvalue()


_MAKERS: Mapping[str, Callable[[int], list[bytes]]] = {
    "image": lambda count: [picture(seed) for seed in range(count)],
    "smiles": lambda count: [MOLECULES[index % len(MOLECULES)].encode() for index in range(count)],
}


def generated(spec: ModelSpec, count: int) -> dict[str, NDArray[np.generic]]:
    """Net inputs of `count` generated items."""
    return _net_inputs(spec, {given.step.input.name: _MAKERS[given.step.input.name](count) for given in spec.inputs})


def from_folder(spec: ModelSpec, folder: Path) -> dict[str, NDArray[np.generic]]:
    """Net inputs of every picture below `folder` (by SUFFIXES), for a model with one image input.

    Raises:
        ValueError: no picture, or one that the model would refuse; the message names the file.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"PARITY: expected pictures ({', '.join(SUFFIXES)}) below {folder}, found none")
    try:
        return _net_inputs(spec, {"image": [file.read_bytes() for file in files]})
    except Rejected as rejected:
        raise ValueError(f"PARITY: {files[rejected.item]}: {rejected}. Take it out, or send another.") from rejected


def _net_inputs(spec: ModelSpec, sent: Mapping[str, list[bytes]]) -> dict[str, NDArray[np.generic]]:
    inputs: dict[str, NDArray[np.generic]] = {}
    for given in spec.inputs:
        tensors = step_function(given.step)(sent[given.step.input.name], **dict(given.step.arguments))
        inputs |= {name: tensors[tensor.name] for name, tensor in given.net_inputs()}
    return inputs


def step_function(step: Step) -> Callable[..., dict[str, NDArray[np.generic]]]:
    """The function that a step's Triton model calls."""
    module, _, name = step.function.partition(":")
    function: Callable[..., dict[str, NDArray[np.generic]]] = getattr(import_module(module), name)
    return function
