"""Inputs that the repository makes itself, for parity where no real files are at hand.

Deterministic: the same numbers on every machine. They show that two programs compute the same;
they say nothing of accuracy.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.spec import ModelSpec, Step

TEXTS = (".md", ".txt", ".csv", ".json")  # what lies beside pictures and is none
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


_MAKERS: Mapping[str, Callable[[int], bytes]] = {
    "image": picture,
    # Both, MRI alone, CT alone, and so on.
    "ct": lambda seed: b"" if seed % 3 == 1 else picture(seed),
    "mri": lambda seed: b"" if seed % 3 == 2 else picture(seed + 1000),
    "smiles": lambda seed: MOLECULES[seed % len(MOLECULES)].encode(),
}


def generated(spec: ModelSpec, count: int) -> dict[str, NDArray[np.generic]]:
    """Net inputs of `count` generated items."""
    return net_inputs(spec.step, *generated_files(spec, range(count)))


def generated_files(spec: ModelSpec, seeds: Sequence[int]) -> list[list[bytes]]:
    """What callers would send, for each of the step's inputs a list of one for each seed."""
    return [[_MAKERS[sent.name](seed) for seed in seeds] for sent in spec.step.inputs]


def pictures_below(folder: Path) -> list[Path]:
    """Every file but hidden ones and TEXTS, sorted: one that is no picture is for its reader to refuse, by name."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return sorted(path for path in files if path.suffix.lower() not in TEXTS)


def net_inputs(step: Step, *sent: Sequence[bytes]) -> dict[str, NDArray[np.generic]]:
    """What a step hands to a net for these items; for each of the step's inputs a list, all of one length."""
    made = first_step(step, *sent)
    return {tensor.name: made[tensor.name] for tensor in step.outputs}


def first_step(step: Step, *sent: Sequence[bytes]) -> dict[str, NDArray[np.generic]]:
    """The same with the statistics of these items."""
    return step_function(step)(*sent, **dict(step.arguments))


def step_function(step: Step) -> Callable[..., dict[str, NDArray[np.generic]]]:
    """The function that a step's Triton model calls."""
    module, _, name = step.function.partition(":")
    function: Callable[..., dict[str, NDArray[np.generic]]] = getattr(import_module(module), name)
    return function
