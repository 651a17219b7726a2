"""The fields that the source projects' own services answered, for their front ends: beside ours, or alone.

Where a project asks for advice that nobody has validated, its field holds what our rules say: a lesion is never called
harmless here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.predicting.drawing import LIPINSKI, descriptors
from medserve import Description, Prediction

Shape = Callable[[Description, Prediction, Mapping[str, bytes]], dict[str, Any]]
MAY_MISS = 1  # of Lipinski's limits
_NOT_LOW = "MEDIUM"  # the source project's word for lesions that it lists nowhere


def _film(described: Description, _prediction: Prediction, _sent: Mapping[str, bytes]) -> dict[str, Any]:
    return {"accuracy": described.report["claim"]}


def _lesion(_described: Description, prediction: Prediction, _sent: Mapping[str, bytes]) -> dict[str, Any]:
    reasons = [*prediction.review_reasons, prediction.disclaimer]
    return {
        "all_probabilities": dict(prediction.probabilities),
        "risk_level": prediction.risk_level or ("HIGH" if prediction.report.get("alerts") else _NOT_LOW),
        "recommendation": " ".join(reasons),
    }


def _drug(described: Description, prediction: Prediction, sent: Mapping[str, bytes]) -> dict[str, Any]:
    (smiles,) = sent.values()
    found = descriptors(smiles)
    missed = sum(found[name] > limit for name, limit in LIPINSKI.items())
    return {
        "smiles": smiles.decode("ascii"),
        "properties": {described.name: prediction.prediction, **found},  # the source's field is called like the model
        "drug_likeness": "PASS" if missed <= MAY_MISS else "FAIL",
        "predicted_bioavailability": None,  # no model here predicts it
    }


# By the name in the route. Source: the projects' own API documents.
SHAPES: Mapping[str, Shape] = {"chest-xray": _film, "skin-lesion": _lesion, "drug-properties": _drug}
OF_TEXT = frozenset(("drug-properties",))  # what is sent there is no file
VISION = "vision"  # POST /api/vision/analyze


def source_fields(
    route: str, described: Description, prediction: Prediction, sent: Mapping[str, bytes]
) -> dict[str, Any]:
    """What a source project's front end looks for besides; nothing for routes that are ours alone."""
    shape = SHAPES.get(route)
    return shape(described, prediction, sent) if shape else {}


def vision(prediction: Prediction) -> dict[str, Any]:
    """Exactly what the source project answered, rounded as it did."""
    return {
        "prediction": prediction.prediction,
        "confidence": round(prediction.confidence or 0.0, 4),
        "disclaimer": prediction.disclaimer,
    }
