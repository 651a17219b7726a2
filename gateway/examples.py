"""What the OpenAPI document shows of each route: real answers, digests and long lists shortened.

They are in examples.json, because they are of models, and no code here knows one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FOUND: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))

# What is sent.
ID: str = _FOUND["id"]
MODEL: str = _FOUND["model"]
SMILES: dict[str, Any] = _FOUND["smiles"]
ITEMS: dict[str, Any] = _FOUND["items"]
FEEDBACK: dict[str, Any] = _FOUND["feedback"]
# What is answered.
ANSWER: dict[str, Any] = _FOUND["answer"]
OF_SOURCE: dict[str, dict[str, Any]] = _FOUND["of_source"]  # by the name in the route: see `gateway.predicting.source`
VISION: dict[str, Any] = _FOUND["vision"]
RESULTS: dict[str, Any] = _FOUND["results"]
HEALTH: dict[str, Any] = _FOUND["health"]
NOT_READY: dict[str, Any] = _FOUND["not_ready"]
MODEL_INFO: dict[str, Any] = _FOUND["model_info"]
DRIFT: dict[str, Any] = _FOUND["drift"]
METRICS: str = _FOUND["metrics"]
