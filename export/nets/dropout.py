"""MC dropout as an ordinary part of a graph: seeded masks instead of random ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MonteCarloHead(nn.Module):
    """A head under T fixed dropout masks: the encoder runs once, the head T times.

    What stands before the first dropout layer runs once too. The masks are balanced: each feature is
    dropped in its share of the T masks, so that for a linear head the mean over the masks is the
    mean over all masks there are, and the variance is an unbiased estimate of theirs.
    Source: Gal and Ghahramani, arXiv 1506.02142; systematic sampling for the balance.

    Args:
        head: nn.Linear, or nn.Sequential with nn.Dropout layers, whose rates are used.
        passes: T.
        seed: of the masks.
    """

    def __init__(self, head: nn.Module, passes: int, seed: int = 0) -> None:
        super().__init__()
        parts = list(head) if isinstance(head, nn.Sequential) else [head]
        first = next((place for place, part in enumerate(parts) if isinstance(part, nn.Dropout)), len(parts))
        self.before = nn.Sequential(*parts[:first])
        self.after = nn.ModuleList(parts[first:])
        self.passes = passes
        generator = torch.Generator().manual_seed(seed)
        for place, (part, width) in enumerate(zip(parts[first:], _widths(parts, first), strict=True)):
            if isinstance(part, nn.Dropout):
                self.register_buffer(f"mask_{place}", balanced_masks(passes, width, part.p, generator))

    def forward(self, pooled: Tensor) -> Tensor:
        """Logits [B, T, C] of pooled features [B, K]."""
        x = self.before(pooled)
        x = x.unsqueeze(1).expand(-1, self.passes, -1)
        for place, part in enumerate(self.after):
            if isinstance(part, nn.Dropout):
                x = x * self.get_buffer(f"mask_{place}")
            elif isinstance(part, nn.BatchNorm1d):
                x = part(x.flatten(0, 1)).unflatten(0, (-1, self.passes))
            else:
                x = part(x)
        return x


def balanced_masks(passes: int, width: int, rate: float, generator: torch.Generator) -> Tensor:
    """[passes, width] of 0 and 1 / (1 - rate); each column holds `rate * passes` zeros, up to rounding.

    Where that is no whole number, columns hold the next lower or higher one, in the proportion that
    makes the rate exact on average.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: expected a rate in 0..1, got {rate}")
    start = torch.rand(1, width, generator=generator, dtype=torch.float64)
    steps = torch.arange(passes + 1, dtype=torch.float64).unsqueeze(1) * rate + start
    # 1e-9: 0.1 * 20 must count as 2, whatever its last bit.
    dropped = (steps + 1e-9).floor().diff(dim=0)
    order = torch.rand(passes, width, generator=generator).argsort(0)
    return ((1 - dropped) / (1 - rate)).gather(0, order).float()


def _widths(parts: list[nn.Module], first: int) -> list[int]:
    """Features at the input of each part from `first` on."""
    widths = []
    for place in range(first, len(parts)):
        following = next((part for part in parts[place:] if isinstance(part, nn.Linear)), None)
        if following is None:
            raise TypeError("head: expected to end in nn.Linear")
        widths.append(following.in_features)
    return widths
