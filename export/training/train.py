"""One member of the ensemble: initialised, trained, asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.nets.gcn import SolubilityGCN
from export.training.descriptors import DESCRIPTORS
from export.training.esol import Molecule, targets


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a member is trained.

    The defaults were chosen by five-fold cross-validation of single networks inside the training and
    validation parts of ESOL's random split 0. Its test part chose nothing, but the test figures of splits 0
    to 2 without descriptors (RMSE 0.679, 0.672, 0.548) were seen before descriptors were tried; and of the other
    splits' test parts most rows lie inside that cross-validation.

    RMSE in log mol/L, 22 candidates, one seed each, so that neighbours within 0.02 are no different. Peak rate
    1e-3 0.679, 3e-3 0.654, 1e-2 0.639, 2e-2 0.648. At 1e-2: 80 epochs 0.643, 300 0.665, weight decay 0.3 0.649,
    dropout 0.1 in the convolutions 0.658, 0.2 in the head 0.715. Descriptors behind the first hidden layer:
    weight 0.3 0.625, 1 0.612, 3 0.586, 10 0.613, 30 0.621; behind the pool: 0.3 0.640, 1 0.613, 3 0.609 (300 epochs
    0.626, rate 5e-3 0.605). At weight 3: batch 64 0.618, descriptors of each atom as well 0.610 and 0.608.

    Args:
        pool: how atoms become a molecule.
        epochs: all of them are run: stopping at the best validation error would make that error,
            which the interval is fitted on, look smaller than it is.
        batch: molecules in a step.
        peak_rate: learning rate at the top of the one-cycle schedule.
        weight_decay: AdamW's, on all parameters.
        clip: largest norm of a gradient.
        descriptors: weight of their mean squared error, each scaled to unit deviation, beside log S's.
    """

    pool: Literal["mean", "sum"] = "sum"
    epochs: int = 150
    batch: int = 32
    peak_rate: float = 1e-2
    weight_decay: float = 1e-2
    clip: float = 5.0
    descriptors: float = 3.0


def train(molecules: Sequence[Molecule], recipe: Recipe, seed: int) -> SolubilityGCN:
    """A trained network, in inference mode. The same arguments, tools and thread count give the same bits.

    Args:
        molecules: the training part.
        recipe: see there.
        seed: of the initial weights and of the order of the molecules.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):  # initial weights come from torch's own generator
        torch.manual_seed(seed)
        net = SolubilityGCN(recipe.pool)
        tutor = nn.Linear(net.fc2.in_features, len(DESCRIPTORS))  # the descriptors' head, thrown away at the end
    log_s, lessons = _targets(molecules)
    nn.init.constant_(net.fc3.bias, float(log_s.mean()))  # begin at the mean, not 3 log units above it
    batch = min(recipe.batch, len(molecules))
    steps = len(molecules) // batch  # the rest waits for another epoch: few atoms would spoil the batch norms
    parameters = [*net.parameters(), *tutor.parameters()]
    optimizer = torch.optim.AdamW(parameters, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.peak_rate, epochs=recipe.epochs, steps_per_epoch=steps
    )
    hidden: list[Tensor] = []
    net.train()
    with net.fc2.register_forward_pre_hook(lambda _module, inputs: hidden.append(inputs[0])):
        for _ in range(recipe.epochs):
            order = torch.randperm(len(molecules), generator=generator)[: steps * batch].view(steps, batch)
            for chosen in order:
                loss = nn.functional.mse_loss(net(*joined([molecules[i] for i in chosen])), log_s[chosen])
                loss = loss + recipe.descriptors * nn.functional.mse_loss(tutor(hidden.pop()), lessons[chosen])
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, recipe.clip)
                optimizer.step()
                schedule.step()
    return net.eval()


def _targets(molecules: Sequence[Molecule]) -> tuple[Tensor, Tensor]:
    """Log S [M, 1] as measured, and the descriptors [M, D] with mean 0 and deviation 1 over these molecules."""
    described = np.array([molecule.descriptors for molecule in molecules])
    deviation = described.std(0)
    scaled = (described - described.mean(0)) / np.where(deviation > 0, deviation, 1.0)
    return torch.from_numpy(targets(molecules)).float().unsqueeze(1), torch.from_numpy(scaled).float()


def joined(molecules: Sequence[Molecule]) -> tuple[Tensor, Tensor, Tensor]:
    """One graph of many molecules: (x [N, 15], edge_index [2, E], batch [N]) for `SolubilityGCN.forward`."""
    counts = [len(molecule.atoms) for molecule in molecules]
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    x = np.concatenate([molecule.atoms for molecule in molecules])
    edges = np.concatenate([m.edges + start for m, start in zip(molecules, starts, strict=True)], axis=1)
    return torch.from_numpy(x), torch.from_numpy(edges), torch.from_numpy(np.repeat(np.arange(len(counts)), counts))


def predictions(members: Sequence[SolubilityGCN], molecules: Sequence[Molecule]) -> NDArray[np.float64]:
    """Log S [K, M] of M molecules by K members."""
    graph = joined(molecules)
    with torch.no_grad():
        return np.stack([member(*graph).squeeze(1).double().numpy() for member in members])
