"""What one service is started for, handed from the launcher to every process of a peer as one JSON file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from export.models import all_specs
from server.machine import usable_cores

VARIABLE = "MEDSERVE_PEER_TASK"
HOST = "127.0.0.1"
SPEC = next(spec for spec in all_specs().values() if "COVID-19" in spec.labels)
PIXELS, PROBABILITIES = SPEC.explained[0].pixels, SPEC.outputs[0].name
Variant = Literal["documented", "engine"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One service.

    Args:
        variant: "documented": as the peer's documentation advises, with eager PyTorch; "engine": the same
            framework around MedServe's own artefact, preprocessing and engine.
        checkpoint: the trained weights, for eager PyTorch.
        temperature: that the exported graph divides its logits by.
        config: of the exported net, in Triton's JSON form.
        artefacts: the folder of the exported net's version.
        port: to answer HTTP on, of the loopback.
        workers: processes (or replicas) that compute.
    """

    variant: Variant
    checkpoint: str
    temperature: float
    config: Mapping[str, Any]
    artefacts: str
    port: int
    workers: int

    @classmethod
    def read(cls) -> Task:
        """In a process of a peer."""
        return cls(**json.loads(Path(os.environ[VARIABLE]).read_text("utf-8")))

    def write(self, file: Path) -> None:
        """In the launcher."""
        file.write_text(json.dumps(asdict(self)), "utf-8")

    @property
    def threads(self) -> int:
        """Of each worker, so that all together have as many as there are cores.

        What PyTorch advises for several processes: docs.pytorch.org/docs/stable/notes/multiprocessing.html,
        "Avoid CPU oversubscription".
        """
        return max(1, usable_cores() // self.workers)
