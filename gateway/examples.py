"""What the OpenAPI document shows of each route: real answers, digests and long lists shortened."""

from __future__ import annotations

from typing import Any

ID = "8d7ac591bf124d2a95abbe55a16296e7"
MODEL = "solubility"
SMILES: dict[str, Any] = {"smiles": "CCO"}
ITEMS = {"items": ["CCO", "C1CC"]}
FEEDBACK: dict[str, Any] = {"label": "Pneumonia"}

_OF_ALL = {"prediction_id": ID, "timestamp": "2026-11-26T00:43:54.892Z", "processing_time": 0.029974}
_REVIEW = {"needs_review": False, "review_reasons": []}
_NOT_A_DEVICE = "Research software, not a medical device. Not for diagnosis: a qualified person must decide."


def _provenance(artefact: str, checkpoint: str) -> dict[str, Any]:
    return {
        "model_version": "1",
        "artefact": "fp32.onnx",
        "artefact_sha256": artefact * 8,
        "precision": "fp32",
        "weights": "trained",
        "checkpoint_sha256": checkpoint * 8,
        "temperature": 1.0,
        "calibrated": False,
        "preprocessing": "1-601edceb0de2",
    }


MOLECULE: dict[str, Any] = {
    **_OF_ALL,
    "model": MODEL,
    "prediction": 1.0839024,
    "unit": "log mol/L",
    "log_s": 1.0839024,
    "interval": [0.5696095, 1.5981952],
    "interval_level": 0.9,
    "unknown_atoms": 0.0,
    **_REVIEW,
    "disclaimer": "A prediction, not a measurement: research use only.",
    "provenance": _provenance("0019e0e8", "1a8a496f"),
    "statistics": {"atoms": 3.0, "molecular_weight": 46.069, "h_bond_donors": 1.0, "tpsa": 20.23, "rings": 0.0},
}
_PICTURE: dict[str, Any] = {
    **_OF_ALL,
    **_REVIEW,
    "disclaimer": _NOT_A_DEVICE,
    "provenance": _provenance("dd27de4a", "159c1b4e"),
    "statistics": {
        "width": 600.0, "height": 450.0, "brightness": 97.191124, "contrast": 37.351082, "entropy": 7.148101,
        "border": -1.496934, "colour": 0.0,
    },
}  # fmt: skip
_FILM: dict[str, Any] = {
    **_PICTURE,
    "model": "chest_xray",
    "prediction": "Pneumonia",
    "confidence": 0.8619,
    "probabilities": {"Normal": 0.0622819, "Pneumonia": 0.8619, "COVID-19": 0.0124856, "Lung Opacity": 0.0633325},
    "uncertainty": 0.3803154,
}
_CLASSES = (
    "actinic keratosis", "basal cell carcinoma", "dermatofibroma", "melanoma", "nevus", "pigmented benign keratosis",
    "seborrheic keratosis", "squamous cell carcinoma", "vascular lesion",
)  # fmt: skip
_LESION: dict[str, Any] = {
    **_PICTURE,
    "model": "skin_lesion",
    "prediction": "nevus",
    "confidence": 0.92,
    "probabilities": {label: 0.92 if label == "nevus" else 0.01 for label in _CLASSES},
    "uncertainty": 0.2,
    "aleatoric": 0.22584412,
    "epistemic": 0.03108758,
    "alerts": [],
}
# Under the source projects' names, with their fields: see `gateway.predicting.source`.
OF_SOURCE: dict[str, dict[str, Any]] = {
    "chest-xray": {**_FILM, "accuracy": "82.7 % validation accuracy"},
    "skin-lesion": {
        **_LESION,
        "all_probabilities": _LESION["probabilities"],
        "risk_level": "MEDIUM",
        "recommendation": _NOT_A_DEVICE,
    },
    "drug-properties": {
        **MOLECULE,
        "smiles": "CCO",
        "properties": {
            "solubility": 1.0839024, "molecular_weight": 46.069, "logP": -0.001, "h_bond_donors": 1,
            "h_bond_acceptors": 1,
        },
        "drug_likeness": "PASS",
        "predicted_bioavailability": None,
    },
}  # fmt: skip
VISION = {"prediction": "Pneumonia", "confidence": 0.86, "disclaimer": _NOT_A_DEVICE}
PROBLEM = {
    "type": "urn:medserve:invalid_molecule",
    "title": "Unprocessable Content",
    "status": 422,
    "detail": "solubility: [invalid_molecule] item 0: expected a SMILES, got text that does not parse as one",
    "code": "invalid_molecule",
}
RESULTS = {
    "results": [
        {"index": 0, "status": 200, "answer": MOLECULE},
        {"index": 1, "status": 422, "problem": PROBLEM},
    ]
}
HEALTH = {"live": True, "ready": True, "models": {"chest_xray": True, "solubility": True}, "reason": ""}
NOT_READY = {
    "live": True,
    "ready": False,
    "models": {"chest_xray": False, "solubility": True},
    "reason": "chest_xray: expected READY, got UNAVAILABLE",
}
METRICS = 'medserve_gateway_predictions_total{model="solubility",outcome="answer",route=""} 104.0\n'
MODEL_INFO = {
    "models": [
        {
            "name": MODEL,
            "trained": True,
            "task": "aqueous solubility of a small molecule at room temperature",
            "labels": [],
            "unit": "log mol/L",
            "inputs": [
                {
                    "name": "smiles",
                    "meaning": "one SMILES string, ASCII",
                    "optional": False,
                    "picture": False,
                    "step": "featurize_molecule",
                    "pixels": "",
                    "heatmap": "",
                }
            ],
            "outputs": [{"name": "log_s", "dims": [1], "meaning": "log10 of solubility in mol/L"}],
            "statistics": ["atoms", "molecular_weight", "h_bond_donors", "tpsa", "rings"],
            "aliases": ["drug-properties"],
            "intended_use": "Small organic molecules like those of ESOL; research only.",
            "limits": ["Stereochemistry, charge state and temperature of the measurement are not seen."],
            "disclaimer": "A prediction, not a measurement: research use only.",
            "claim": "ESOL test R² 0.505, MAE 1.129, RMSE 1.452",
            "version": "1",
            "weights": {"trained": True, "checkpoint": "solubility.safetensors", "checkpoint_sha256": "1a8a496f" * 8},
            "calibration": {"temperature": 1.0, "fit": None},
            "artefacts": {"fp32.onnx": {"sha256": "0019e0e8" * 8, "size_bytes": 960146, "precision": "fp32"}},
            "refused": {"int8.onnx": {"precision": "int8", "why": ["unsupported: log S moves by up to 1.64"]}},
        }
    ]
}
_SHARE = {"right": 18, "of": 20, "value": 0.9, "low": 0.6990, "high": 0.9721}
DRIFT = {
    "at": "2026-11-26T00:43:55.122+00:00",
    "length": 500,
    "alert": True,
    "models": {
        "chest_xray": {
            "seen": 240,
            "window": 240,
            "effective": 240.0,
            "versions": {"1": 1.0},
            "reference": "films",
            "items": 150,
            "alert": True,
            "since": "2026-11-26T00:43:54.000+00:00",
            "reasons": ["brightness: median 161, reference 118, 44% outside"],
            "notes": [],
            "figures": [
                {
                    "name": "brightness",
                    "kind": "input",
                    "count": 240,
                    "ks": 0.61,
                    "ks_chance": 0.14,
                    "psi": 1.9,
                    "psi_chance": 0.21,
                    "score": 3.1,
                    "quantiles": [41.0, 161.0, 243.0],
                    "reference": [12.0, 118.0, 214.0],
                    "shares": {},
                    "reference_shares": {},
                }
            ],
            "history": [
                {
                    "at": "2026-11-26T00:43:54.000+00:00",
                    "seen": 240,
                    "score": 3.1,
                    "alert": True,
                    "psi": {"brightness": 1.9},
                    "ks": {"brightness": 0.61},
                }
            ],
            "performance": {
                "count": 40,
                "total": 40,
                "accuracy": {**_SHARE, "right": 36, "of": 40, "low": 0.7695, "high": 0.9604},
                "sensitivity": {"Pneumonia": _SHARE},
                "specificity": {"Pneumonia": _SHARE},
            },
        }
    },
}
