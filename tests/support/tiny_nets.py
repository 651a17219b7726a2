"""Networks of eight channels, with the submodules that the specs name and feature maps of the real sizes.

Untrained, but their probabilities differ from image to image: see `spread`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.nets.explained import L2Normalize
from export.nets.staged import FEATURES, StagedNet
from export.references import normalised
from export.samples import picture
from preprocess.image import images_to_pixels

WIDTH = 8  # channels
IMAGES = 16  # that `spread` sends
LOGITS_STD = 2.0  # over these images


class Block(nn.Module):
    """A residual block that halves height and width.

    Args:
        before: channels of its input.
    """

    def __init__(self, before: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, WIDTH, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTH)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(WIDTH)
        self.downsample = nn.Conv2d(before, WIDTH, 1, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 8, h / 2, w / 2] of [B, before, h, w]."""
        found: Tensor = self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))) + self.downsample(x))
        return found


class TinyResNet(nn.Module):
    """ResNet50's names: `conv1`, `layer1`, `layer4`, `fc`; a feature map of 7 × 7 for 224 × 224.

    Args:
        fc: from 8 pooled features to the logits.
    """

    def __init__(self, fc: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTH, 7, stride=8, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTH)
        self.relu = nn.ReLU()
        self.layer1 = nn.Sequential(Block(WIDTH))
        self.layer4 = nn.Sequential(Block(WIDTH))
        self.fc = fc

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, C] of normalised images [B, 3, 224, 224]."""
        found = self.layer4(self.layer1(self.relu(self.bn1(self.conv1(images)))))
        logits: Tensor = self.fc(found.mean((2, 3)))
        return logits


class TinyFeatures(nn.Module):
    """EfficientNet's and MedicalCNN's names: `features`, `classifier`; a feature map of 7 × 7 for 224 × 224.

    Args:
        classifier: from 8 pooled features to the logits.
    """

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        stem = (nn.Conv2d(3, WIDTH, 7, stride=8, padding=3, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU())
        self.features = nn.Sequential(nn.Sequential(*stem), Block(WIDTH), Block(WIDTH))
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, C] of normalised images [B, 3, 224, 224]."""
        logits: Tensor = self.classifier(self.features(images).mean((2, 3)))
        return logits


class TinyTower(nn.Module):
    """SigLIP's names: `vision_tower`, `classifier`; a feature map of 64 × 64 for 896 × 896.

    Args:
        classifier: from 8 pooled features to the logits.
    """

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        patches = nn.Conv2d(3, WIDTH, 14, stride=14, bias=False)
        self.vision_tower = nn.Sequential(patches, nn.BatchNorm2d(WIDTH), nn.ReLU())
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, C] of normalised images [B, 3, 896, 896]."""
        logits: Tensor = self.classifier(self.vision_tower(images).mean((2, 3)))
        return logits


class TinyStaged(StagedNet):
    """StagedNet with tiny encoders; its forward pass is the real one's.

    Args:
        modalities: names of the images, in the order of the joined features.
        classes: C.
    """

    def __init__(self, modalities: tuple[str, ...], classes: int) -> None:
        nn.Module.__init__(self)
        self.encoders = nn.ModuleDict({name: TinyResNet(nn.Linear(WIDTH, FEATURES)) for name in modalities})
        joined = FEATURES * len(modalities)
        self.normalize = L2Normalize()
        self.classifier, self.stage, self.survival = (
            nn.Sequential(nn.Linear(joined, WIDTH), nn.ReLU(), nn.Linear(WIDTH, outputs)) for outputs in (classes, 1, 1)
        )


def spread(net: nn.Module, side: int = 224) -> nn.Module:
    """The network with batch norms and a last layer that fit generated images: their labels differ.

    Args:
        net: one of the above, with fresh weights.
        side: of its images, in pixels.
    """
    files = [picture(seed, side) for seed in range(IMAGES)]
    pixels = images_to_pixels(files, side, modalities=(), colour=True)["pixels"]
    images = torch.cat([normalised(torch.from_numpy(image)) for image in pixels])
    sent = dict.fromkeys(net.encoders, images) if isinstance(net, StagedNet) else images
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = None  # the statistics of these images alone
    head = net.get_submodule("fc" if hasattr(net, "fc") else "classifier")
    last = [layer for layer in head.modules() if isinstance(layer, nn.Linear)][-1]
    kept: list[Tensor] = []
    with torch.no_grad():
        net.train()(sent)
        with last.register_forward_hook(lambda _layer, _inputs, logits: kept.append(logits)):
            net.eval()(sent)
        (logits,) = kept
        gain = LOGITS_STD / logits.std(0)
        last.weight *= gain.unsqueeze(1)
        last.bias.copy_(gain * (last.bias - logits.mean(0)))
    return net
