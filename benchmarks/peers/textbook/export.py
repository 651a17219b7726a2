"""python -m benchmarks.peers.textbook.export CHECKPOINT TEMPERATURE FILE: the tutorials' ONNX file.

Normalised FP32 pixels in, probabilities out, as `torch.onnx.export` makes it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.peers.task import SPEC
from export.loading import loaded_net


class Classifier(nn.Module):
    """The network and what follows it."""

    def __init__(self, net: nn.Module, temperature: float) -> None:
        super().__init__()
        self.net, self.temperature = net, temperature

    def forward(self, pixels: Tensor) -> Tensor:
        probabilities: Tensor = (self.net(pixels) / self.temperature).softmax(1)
        return probabilities


def main() -> None:
    checkpoint, temperature, file = sys.argv[1:]
    net, _ = loaded_net(SPEC, Path(checkpoint))
    torch.onnx.export(
        Classifier(net, float(temperature)).eval(),
        (torch.zeros(2, *SPEC.step.outputs[0].dims),),
        file,
        input_names=["pixels"],
        output_names=["probabilities"],
        dynamic_shapes={"pixels": {0: torch.export.Dim("batch", max=1024)}},
        external_data=False,
    )


if __name__ == "__main__":
    main()
