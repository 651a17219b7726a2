"""torchvision, also where its compiled operators cannot load (a CPU-only torch beside its wheel).

The one place that imports torchvision. Its wheel registers `nms` and `qnms` from a compiled
library built against CUDA; without that library `import torchvision` fails on their fake kernels,
so their schemas are declared first. Nothing of ours calls them.
"""

from __future__ import annotations

from importlib.metadata import version

import torch

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: torch.library.Library | None = None

if torch.version.cuda is None and "+" not in version("torchvision"):
    _declared = torch.library.Library("torchvision", "FRAGMENT")
    for _operator in ("nms", "qnms"):
        _declared.define(_operator + _SCHEMA)

from torchvision import models, transforms  # noqa: E402
from torchvision.models.feature_extraction import create_feature_extractor  # noqa: E402

__all__ = ["create_feature_extractor", "models", "transforms"]
