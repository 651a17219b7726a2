"""Eager PyTorch, as the source projects call it: Pillow, torchvision's transforms, the network, softmax."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from benchmarks.peers.task import SPEC, Task
from export.graphs.parts import IMAGENET_MEAN, IMAGENET_STD
from export.loading import loaded_net
from export.nets.vision import transforms


class Eager:
    """The documented variant's work."""

    def __init__(self, task: Task) -> None:
        torch.set_num_threads(task.threads)
        self._net, _ = loaded_net(SPEC, Path(task.checkpoint))
        self._temperature = task.temperature
        side = dict(SPEC.step.arguments)["side"]
        self._transform = transforms.Compose(
            [
                transforms.Resize((side, side)),
                transforms.ToTensor(),
                transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
            ]
        )

    def prepare(self, file: bytes) -> Tensor:
        """FP32 [3, side, side] of one picture."""
        tensor: Tensor = self._transform(Image.open(io.BytesIO(file)).convert("RGB"))
        return tensor

    def predict(self, batch: Sequence[Tensor]) -> list[list[float]]:
        """Probabilities of each."""
        with torch.inference_mode():
            probabilities: Tensor = (self._net(torch.stack(list(batch))) / self._temperature).softmax(1)
        return probabilities.tolist()
