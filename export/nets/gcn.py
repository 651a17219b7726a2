"""The solubility network: three graph convolutions, a pool over the atoms, a small MLP.

`SolubilityGCN` is the source project's network on PyTorch Geometric and holds the checkpoint;
`DenseGCN` computes the same numbers with matrix products only, padded and batched, which every
runtime has. Source: Kipf and Welling, arXiv 1609.02907, equation 2.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch_geometric.nn import GCNConv, global_add_pool, global_mean_pool

from export.nets.explained import frozen_scale

FEATURES, HIDDEN = 15, 128


class SolubilityGCN(nn.Module):
    """The reference, as trained.

    Args:
        pool: how atoms become a molecule; the checkpoint does not record it.
    """

    def __init__(self, pool: Literal["mean", "sum"]) -> None:
        super().__init__()
        self.pool = pool
        self.conv1 = GCNConv(FEATURES, HIDDEN)
        self.conv2 = GCNConv(HIDDEN, HIDDEN)
        self.conv3 = GCNConv(HIDDEN, HIDDEN)
        self.bn1, self.bn2, self.bn3 = (nn.BatchNorm1d(HIDDEN) for _ in range(3))
        self.fc1, self.fc2, self.fc3 = nn.Linear(HIDDEN, 64), nn.Linear(64, 32), nn.Linear(32, 1)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        """Log S [B, 1] of B molecules given as one graph of N atoms.

        Args:
            x: [N, 15] atom features.
            edge_index: int64 [2, E], both directions of each bond.
            batch: int64 [N], the molecule of each atom.
        """
        for conv, norm in zip(self.convolutions(), self.norms(), strict=True):
            x = torch.relu(norm(conv(x, edge_index)))
        pooled = (global_mean_pool if self.pool == "mean" else global_add_pool)(x, batch)
        return self.head(pooled)

    def convolutions(self) -> tuple[GCNConv, ...]:
        return self.conv1, self.conv2, self.conv3

    def norms(self) -> tuple[nn.BatchNorm1d, ...]:
        return self.bn1, self.bn2, self.bn3

    def head(self, pooled: Tensor) -> Tensor:
        """[B, 128] → [B, 1]."""
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(pooled)))))


class DenseGCN(nn.Module):
    """The same function on padded matrices; shares the reference's parameters.

    Args:
        net: the reference, with its weights.
    """

    def __init__(self, net: SolubilityGCN) -> None:
        super().__init__()
        self.net = net

    def forward(self, atoms: Tensor, bonds: Tensor, mask: Tensor) -> Tensor:
        """Log S [B, 1].

        Args:
            atoms: FP32 [B, N, 15], zero rows as padding.
            bonds: UINT8 [B, N, N], symmetric, no self-loops.
            mask: FP32 [B, N], 1 for an atom.
        """
        adjacency = self._normalised(bonds.to(atoms.dtype), mask)
        x = atoms
        for conv, norm in zip(self.net.convolutions(), self.net.norms(), strict=True):
            x = adjacency @ conv.lin(x) + conv.bias
            x = torch.relu((x - norm.running_mean) * frozen_scale(norm) + norm.bias)
        pooled = (x * mask.unsqueeze(-1)).sum(1)
        if self.net.pool == "mean":
            pooled = pooled / mask.sum(1, keepdim=True)
        return self.net.head(pooled)

    @staticmethod
    def _normalised(bonds: Tensor, mask: Tensor) -> Tensor:
        """D^-1/2 (A + I) D^-1/2, zero in the padding; [B, N, N]."""
        loops = torch.diag_embed(mask)
        with_loops = bonds + loops
        degree = with_loops.sum(-1).clamp(min=1.0)  # a padded atom has degree 0: no 0 ** -0.5
        inverse_root = torch.rsqrt(degree)
        return inverse_root.unsqueeze(-1) * with_loops * inverse_root.unsqueeze(1)


class SolubilityEnsemble(nn.Module):
    """Several networks trained alike: their mean, and a 90 % interval that widens where they differ.

    Args:
        members: how many.
        pool: of each.
        half_width: (a, b), see the function; None: part of the weights.
    """

    half_width: Tensor

    def __init__(
        self, members: int, pool: Literal["mean", "sum"], half_width: tuple[float, float] | None = None
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(SolubilityGCN(pool) for _ in range(members))
        self.register_buffer("half_width", torch.tensor(half_width or (0.0, 0.0)), persistent=half_width is None)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """(log S [B, 1], half the interval's width [B, 1]); arguments as of `SolubilityGCN.forward`."""
        each = torch.cat([member(x, edge_index, batch) for member in self.networks()], 1)
        return each.mean(1, keepdim=True), half_width(each, self.half_width)

    def networks(self) -> list[SolubilityGCN]:
        return [member for member in self.members if isinstance(member, SolubilityGCN)]


def half_width(each: Tensor, width: Tensor) -> Tensor:
    """Half of a 90 % interval, sqrt(a + b s²) [B, 1] in log mol/L.

    Args:
        each: the members' answers [B, M]; s² is their population variance.
        width: (a, b), fitted on molecules that no member was trained on.
    """
    deviation = each - each.mean(1, keepdim=True)
    return torch.sqrt(width[0] + width[1] * (deviation * deviation).mean(1, keepdim=True))
