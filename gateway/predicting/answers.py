"""A prediction as JSON: the server's report, and what was asked for besides."""

from __future__ import annotations

import base64
import logging
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.predicting.drawing import overlay, picture_png, structure
from medserve import Description, Prediction

_log = logging.getLogger(__name__)


class Heatmap(StrEnum):
    """How heat maps come."""

    none = "none"
    png = "png"


class Explain(StrEnum):
    """What is drawn: what the network saw, or that under its heat map."""

    none = "none"
    seen = "seen"
    overlay = "overlay"


def answer(prediction: Prediction, prediction_id: str) -> dict[str, Any]:
    """What POST /predict/{model} answers, without pictures."""
    statistics = {
        name: round(value, 6) if math.isfinite(value) else None for name, value in prediction.statistics.items()
    }
    return {"prediction_id": prediction_id, **prediction.to_dict(), "statistics": statistics}


def heatmaps(prediction: Prediction) -> dict[str, str]:
    """Input → PNG of its heat map, 8-bit grey on the network's own grid, which covers the whole picture."""
    return {name: _data("image/png", picture_png(_grey(grid))) for name, grid in prediction.heatmaps.items()}


def pictures(
    described: Description, sent: Mapping[str, bytes], seen: Mapping[str, NDArray[np.uint8]]
) -> dict[str, str]:
    """Input → what the network saw of it: a PNG, or the drawing of a molecule.

    Args:
        described: the model.
        sent: the input's bytes.
        seen: UINT8 [h, w, 3] of each that is a picture.
    """
    drawn = {name: _data("image/png", picture_png(pixels)) for name, pixels in seen.items()}
    texts = [each.name for each in described.inputs if not each.pixels and each.name in sent]
    try:
        return drawn | {name: _data("image/svg+xml", structure(sent[name])) for name in texts}
    except ImportError as exc:  # the answer is there, drawn or not
        _log.warning("no molecule is drawn: %s. Install libxrender1 and libxext6.", exc)
        return drawn


def overlays(prediction: Prediction, seen: Mapping[str, NDArray[np.uint8]]) -> dict[str, str]:
    """Input → PNG of what the network saw, under its heat map."""
    return {
        name: _data("image/png", overlay(prediction, name, pixels))
        for name, pixels in seen.items()
        if name in prediction.heatmaps
    }


def _grey(grid: NDArray[np.generic]) -> NDArray[np.uint8]:
    return np.rint(np.clip(grid.astype(np.float64), 0, 1) * 255).astype(np.uint8)


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
