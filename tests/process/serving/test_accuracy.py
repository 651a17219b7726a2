"""Served numbers against eager PyTorch with torchvision's own transforms, on real files."""

from __future__ import annotations

import csv
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from export import checkpoints
from export.graphs.parts import IMAGENET_MEAN, IMAGENET_STD
from export.loading import loaded_net
from export.models import all_specs
from export.nets.vision import transforms
from medserve import Client
from tests.support.live import Live
from tests.support.samples import SampleData
from tests.support.specs import tiny_specs

# What the checkpoints' README states for the labelled films: right answers, films.
STATED = {"chest_xray": (77, 161), "pneumonia": (62, 93), "pneumonia_cnn": (64, 93)}
TRUTH = {"normal": "normal", "pneumonia": "pneumonia", "covid": "covid-19", "lung_opacity": "lung opacity"}
MODELS = list(STATED)


@dataclass(frozen=True)
class Eager:
    """A source project's own inference."""

    net: torch.nn.Module
    labels: tuple[str, ...]

    def __call__(self, path: Path) -> np.ndarray:
        steps = transforms.Compose(
            [
                transforms.Resize((224, 224)),
                transforms.ToTensor(),
                transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
            ]
        )
        with torch.no_grad():
            return torch.softmax(self.net(steps(Image.open(path).convert("RGB"))[None]), 1)[0].numpy()


def _eager(model: str, folder: Path | None) -> Eager:
    if folder is None:
        pytest.skip("needs the sample checkpoints")
    spec = all_specs()[model]
    net, _ = loaded_net(spec, checkpoints.find(spec, folder, {}))
    return Eager(net, spec.labels)


def _served(live: Live, model: str, paths: list[Path]) -> np.ndarray:
    def ask(path: Path) -> np.ndarray:
        with Client(live.grpc_url) as client:
            return client.predict(model, image=path).outputs["probabilities"]

    with ThreadPoolExecutor(4) as pool:  # so that Triton joins requests into batches
        return np.stack(list(pool.map(ask, paths)))


@pytest.mark.parametrize("model", MODELS)
def test_served_probabilities_of_tiny_networks_equal_pytorch(triton: Live, sample_data: SampleData, model: str) -> None:
    """Reading, normalization and serving are the real ones; the slow tests below take the real networks too."""
    spec = tiny_specs()[model]
    net, _ = loaded_net(spec, None)
    eager = Eager(net, spec.labels)
    films = [film.path for film in sample_data.files("cxr")][::8]
    assert len(films) >= 12
    wanted = np.stack([eager(path) for path in films])
    assert wanted.std(axis=0).max() > 0.05  # the networks tell these images apart
    worst = np.abs(_served(triton, model, films) - wanted).max()
    print(f"{model}: {len(films)} images, max|Δp| {worst:.1e}")
    assert worst <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_served_probabilities_are_pytorchs(
    triton_real: Live, triton_real_fp32: Live, sample_data: SampleData, checkpoints: Path | None, model: str
) -> None:
    eager = _eager(model, checkpoints)
    films = [film.path for film in sample_data.files("cxr")]
    assert len(films) >= 100
    wanted = np.stack([eager(path) for path in films])
    fp32, default = _served(triton_real_fp32, model, films), _served(triton_real, model, films)
    top_two = np.sort(wanted, axis=1)[:, -2:]
    clear = top_two[:, 1] - top_two[:, 0] > 0.03
    flips = (default.argmax(1) != wanted.argmax(1)) & clear
    print(
        f"{model}: {len(films)} films, max|Δp| CPU provider {np.abs(fp32 - wanted).max():.1e}, "
        f"as configured {np.abs(default - wanted).max():.4f}, clear flips {flips.sum()}"
    )
    assert np.abs(fp32 - wanted).max() <= 1e-4
    assert np.abs(default - wanted).max() <= 0.03
    assert not flips.any()


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_sample_checkpoints_reach_their_stated_accuracy(
    triton_real: Live, sample_data: SampleData, checkpoints: Path | None, model: str
) -> None:
    if checkpoints is None:
        pytest.skip("needs the sample checkpoints")
    labels = tuple(label.casefold() for label in all_specs()[model].labels)
    films = [film for film in sample_data.files("cxr") if TRUTH[film.label] in labels]
    answers = _served(triton_real, model, [film.path for film in films]).argmax(1)
    right = sum(labels[answer] == TRUTH[film.label] for answer, film in zip(answers, films, strict=True))
    stated, count = STATED[model]
    print(f"{model}: {right} / {len(films)} right; stated {stated} / {count}")
    assert len(films) == count
    assert abs(right - stated) <= 1


@pytest.mark.parametrize("step", [8, pytest.param(1, marks=pytest.mark.slow)])
def test_solubility_equals_pytorch_geometric_on_esol(triton: Live, sample_data: SampleData, step: int) -> None:
    from export.references import reference
    from preprocess.molecule import molecules_to_graphs

    with (sample_data.folder / "data" / "esol" / "delaney-processed.csv").open(newline="") as table:
        smiles = [row["smiles"] for row in csv.DictReader(table)]
    assert len(smiles) == 1128
    smiles = smiles[::step]
    spec = all_specs()["solubility"]
    net, _ = loaded_net(spec, None)
    wanted = np.array([reference(net, spec, molecules_to_graphs([s.encode()]))["log_s"][0] for s in smiles])

    def ask(text: str) -> float:
        return json.loads(triton.generate("solubility", smiles=text).body)["log_s"]

    with ThreadPoolExecutor(4) as pool:
        served = np.array(list(pool.map(ask, smiles)))
    worst = np.abs(served - wanted.ravel()).max()
    print(f"solubility: {len(smiles)} molecules, max|Δ log S| {worst:.1e}")
    assert worst <= 1e-3
