"""One molecule, one number and its interval."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.graphs.base import ServingGraph
from export.nets.gcn import DenseGCN, SolubilityEnsemble, half_width
from export.spec import ModelSpec

UNKNOWN_ELEMENT = 9  # "is another element" in preprocess.molecule.ATOM_FEATURES


class MoleculeRegressor(ServingGraph):
    """Log S of padded molecules: the mean of the members, and an interval that widens with their spread.

    Args:
        net: `export.nets.gcn.SolubilityEnsemble` with its weights.
        spec: the model's declaration.
    """

    width: Tensor

    def __init__(self, net: nn.Module, spec: ModelSpec, _temperature: float) -> None:
        super().__init__()
        if not isinstance(net, SolubilityEnsemble):
            raise TypeError(f"{spec.name}: build(): expected a SolubilityEnsemble, got {type(net).__name__}")
        self.members = nn.ModuleList(DenseGCN(member) for member in net.networks())
        self.register_buffer("width", net.half_width.clone())

    def forward(self, atoms: Tensor, bonds: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """(log_s [B, 1], interval [B, 2], summary [B, 6]); see `DenseGCN.forward` for the arguments.

        The last figure counts the atoms that the features cannot tell apart (metals, `*`):
        the network has learnt little or nothing of them.
        """
        each = torch.cat([member(atoms, bonds, mask) for member in self.members], 1)
        log_s = each.mean(1, keepdim=True)
        half = half_width(each, self.width)
        interval = torch.cat((log_s - half, log_s + half), 1)
        unknown_atoms = atoms[:, :, UNKNOWN_ELEMENT].sum(1, keepdim=True)
        return log_s, interval, self.summary(log_s, interval, unknown_atoms)
