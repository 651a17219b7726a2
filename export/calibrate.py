"""A temperature fitted to labelled pictures. Source: Guo et al., arXiv 1706.04599."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from export.digest import sha256_of
from export.figures import ece
from export.graphs import serving_graph
from export.loading import loaded_net
from export.pictures import plain
from export.samples import net_inputs, pictures_below
from export.spec import ModelSpec
from preprocess.rejection import Rejected
from report.card import Calibration, CalibrationFit

FOLDS = 5
FEWEST = 20  # pictures; fewer say nothing about a probability
SOFTEST, SHARPEST = 20.0, 0.05
BATCH = 8


@dataclass(frozen=True, slots=True)
class Labelled:
    """Pictures and the index of each one's label."""

    files: list[Path]
    labels: NDArray[np.int64]


def calibrate(spec: ModelSpec, checkpoint: Path | None, images: Path, folders: Mapping[str, str]) -> Calibration:
    """Fit the temperature of a model's logits to labelled pictures.

    Args:
        spec: a classifier of one picture.
        checkpoint: its weights.
        images: a folder with one folder of pictures for each label.
        folders: folder name → label, for folders not named like their label; others are then left out.

    Raises:
        ValueError: no such classifier, untrained weights, folders that are no labels, unreadable or
            too few pictures, or a fit that runs away.
    """
    if not spec.takes_one_picture or not spec.labels:
        raise ValueError(f"{spec.name}: calibrate: expected a classifier of one picture, got another kind of model")
    labelled = read_labelled(spec, images, folders)
    net, weights = loaded_net(spec, checkpoint)
    if not weights.trained:
        raise ValueError(f"{spec.name}: calibrate: expected trained weights, got none. Say CHECKPOINTS=…")
    graph = serving_graph(net, spec)
    logits = np.concatenate(
        [_logits(graph, spec, labelled.files[start : start + BATCH]) for start in range(0, len(labelled.files), BATCH)]
    )
    temperature = fit_temperature(logits, labelled.labels)
    if not SHARPEST < temperature < SOFTEST:
        raise ValueError(
            f"{spec.name}: calibrate: expected a temperature in {SHARPEST:g}..{SOFTEST:g}, got {temperature:.3g}: "
            "these pictures are answered all right or all wrong. Use more, and harder, ones."
        )
    _check_alerts(spec, logits, labelled.labels, temperature)
    held_out = cross_validated(logits, labelled.labels)
    return Calibration(
        temperature=temperature,
        fit=CalibrationFit(
            source=images.name,
            images=len(labelled.files),
            sha256=tuple(sha256_of(file) for file in labelled.files),
            nll_before=nll(logits, labelled.labels),
            nll_after=nll(held_out, labelled.labels),
            ece_before=ece(_softmax(logits), labelled.labels),
            ece_after=ece(_softmax(held_out), labelled.labels),
            measured=f"{FOLDS}-fold cross-validation: each picture under a temperature fitted without it",
        ),
    )


def _check_alerts(spec: ModelSpec, logits: NDArray[np.float64], labels: NDArray[np.int64], temperature: float) -> None:
    """Raises ValueError: a finding that must not be missed would no longer be reported.

    A temperature changes no label, but it moves every probability, and with them what reaches an operating point.
    """
    for point in spec.rules.operating_points:
        index = spec.labels.index(point.label)
        before, after = (
            torch.softmax(torch.from_numpy(logits / t), 1)[:, index].numpy() >= point.at_least
            for t in (1.0, temperature)
        )
        if lost := int((before & ~after & (labels == index)).sum()):
            raise ValueError(
                f"{spec.name}: calibrate: at temperature {temperature:.4f} {lost} pictures of {point.label} fall below "
                f"its operating point of {point.at_least:g}. Lower that in the spec first."
            )


def read_labelled(spec: ModelSpec, images: Path, folders: Mapping[str, str]) -> Labelled:
    """The pictures below `images`, by folder; see `calibrate`."""
    found = sorted(path for path in images.iterdir() if path.is_dir()) if images.is_dir() else []
    if unknown := sorted(set(folders) - {path.name for path in found}):
        raise ValueError(f"{images}: expected the folders {', '.join(unknown)}, found none")
    own = {plain(label): index for index, label in enumerate(spec.labels)}
    files: list[Path] = []
    labels: list[int] = []
    for folder in found:
        if folders and folder.name not in folders:
            continue
        index = own.get(plain(folders.get(folder.name, folder.name)))
        if index is None:
            raise ValueError(
                f"{folder}: expected a folder named like one of {', '.join(spec.labels)}. "
                "Say which folder is which label: --folders folder=label,… (others are left out)"
            )
        pictures = pictures_below(folder)
        files += pictures
        labels += [index] * len(pictures)
    if len(files) < FEWEST or len(set(labels)) < 2:
        raise ValueError(
            f"{images}: expected at least {FEWEST} pictures of at least two labels in folders named like "
            f"{', '.join(spec.labels)}, found {len(files)} of {len(set(labels))}"
        )
    return Labelled(files, np.array(labels))


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The temperature of least negative log-likelihood, by L-BFGS on its logarithm.

    Args:
        logits: [N, C], up to a constant for each row.
        labels: [N], class indices.
    """
    scores, truth = torch.from_numpy(logits), torch.from_numpy(labels)
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        # Bounded, so that a set that is answered all right ends somewhere.
        value = torch.nn.functional.cross_entropy(scores / log_temperature.clamp(-4, 4).exp(), truth)
        value.backward()
        return value

    optimizer.step(loss)
    return float(log_temperature.detach().clamp(-4, 4).exp())


def cross_validated(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The logits [N, C], each row divided by the temperature that the other folds ask for."""
    fold = np.random.default_rng(0).permutation(len(labels)) % FOLDS
    scaled = np.empty_like(logits)
    for part in range(FOLDS):
        scaled[fold == part] = logits[fold == part] / fit_temperature(logits[fold != part], labels[fold != part])
    return scaled


def nll(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Mean negative log-likelihood, in nats."""
    return float(torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels)))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return torch.softmax(torch.from_numpy(logits), 1).numpy()


def _logits(graph: torch.nn.Module, spec: ModelSpec, files: list[Path]) -> NDArray[np.float64]:
    """[N, C]: logarithms of the probabilities at temperature 1, which are logits up to a constant."""
    try:
        inputs = net_inputs(spec.step, [file.read_bytes() for file in files])
    except Rejected as rejected:
        raise ValueError(f"{files[rejected.item]}: {rejected}. Take it out, or send another.") from rejected
    with torch.no_grad():
        probabilities = graph(*(torch.from_numpy(array) for array in inputs.values()))[0]
    return probabilities.double().clamp(min=torch.finfo(torch.float32).tiny).log().numpy()
