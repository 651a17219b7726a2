"""The JSON report of one answer: what was found, what to do with it, and what computed it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from report.card import Artefact, Card
from report.decision import decide

REPORT = "report"  # the Triton model that writes reports, and its output
PROFILE_VARIABLE = "MEDSERVE_PROFILE"  # set by the launcher for the workers
GPU_VARIABLE = "MEDSERVE_GPU"  # compute capability of the first GPU, as "9.0"; set by the launcher too
CPU_PROFILE = "cpu"  # configs/cpu.pbtxt: this machine's own choice
TENSORRT_PROFILE = "tensorrt"  # configs/tensorrt.pbtxt: plans
CUDA_PROFILE = "cuda"  # configs/cuda.pbtxt: onnxruntime on an NVIDIA GPU
PRESENT = "present:"  # before the name of a picture: whether it was sent
SUM_TOLERANCE = 1e-2  # half precision keeps a sum of probabilities within a thousandth


class UnknownFingerprint(LookupError):
    """An answer computed by an artefact that no card lists: an error, never a guess."""


class Implausible(ArithmeticError):
    """Figures that no sound artefact computes: NaN, infinity, probabilities that are none. No finding."""


@dataclass(frozen=True, slots=True)
class _Origin:
    """What computed an answer.

    Args:
        card: of the model.
        name: of the artifact's file.
        provenance: JSON object; encoded once, because every answer of an artifact has the same.
    """

    card: Card
    name: str
    provenance: msgspec.Raw


class Reporter:
    """Writes reports for every artefact that it was given a card of.

    Args:
        cards: all cards of the repository.
        preprocessing: version of the pre-processing that runs beside it.
        profile: the configs that the server was started with; "cpu" serves each card's choice.
        added: reads the cards that were added since; called for an artefact that is not known.
        gpu: compute capability of the GPU that serves; "": none.
        backend: network → Triton's backend that runs it; "" where that is not known.

    Raises:
        ValueError: two artefacts with one fingerprint.
    """

    def __init__(
        self,
        cards: Iterable[Card],
        preprocessing: str,
        profile: str = "",
        added: Callable[[], Iterable[Card]] = tuple,
        *,
        gpu: str = "",
        backend: Callable[[str], str] = lambda _: "",
    ) -> None:
        self._gpu, self._backend = gpu, backend
        self._preprocessing = preprocessing
        self._added = added
        self._profile = profile
        self._encoder = msgspec.json.Encoder()
        self._known: dict[tuple[float, ...], _Origin] = {}
        for card in cards:
            for name, artefact in card.artefacts.items():
                if artefact.fingerprint in self._known:
                    raise ValueError(f"{card.model}/{name}: its fingerprint is another artefact's too")
                self._known[artefact.fingerprint] = self._described(card, name, artefact)

    def report(self, summary: NDArray[np.float32], now: datetime | None = None) -> str:
        """Return one JSON object.

        Args:
            summary: FP32 [2 + F], one item of the net's `summary`.
            now: UTC; the time of the answer.

        Raises:
            UnknownFingerprint: no card lists the artefact, or lists other figures for it.
            Implausible: the artefact overflowed, or the figures are not its own.
        """
        origin = self._origin(summary)
        card = origin.card
        figures = dict(zip(card.declaration.summary_fields, map(_shortest, summary[2:]), strict=True))
        _check_plausible(origin, figures)
        moment = (now or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        answer = {
            "model": card.model,
            **_findings(card, figures),
            "disclaimer": card.declaration.disclaimer,
            "timestamp": moment,
            "provenance": origin.provenance,
        }
        return self._encoder.encode(answer).decode()

    def _origin(self, summary: NDArray[np.float32]) -> _Origin:
        fingerprint = tuple(summary[:2].tolist())
        if fingerprint not in self._known:
            for card in self._added():
                for name, artefact in card.artefacts.items():
                    self._known.setdefault(artefact.fingerprint, self._described(card, name, artefact))
        origin = self._known.get(fingerprint)
        if origin is None:
            raise UnknownFingerprint(
                f"report.summary: expected a fingerprint of a card in this repository, got {fingerprint}. "
                "The artefact was replaced without its card, or its precision was lowered under it: export it again."
            )
        expected = 2 + len(origin.card.declaration.summary_fields)
        if summary.shape != (expected,):
            raise UnknownFingerprint(
                f"report.summary: expected {expected} figures of {origin.card.model}, got shape {summary.shape}"
            )
        return origin

    def _described(self, card: Card, name: str, artefact: Artefact) -> _Origin:
        return _Origin(card, name, msgspec.Raw(self._encoder.encode(self._provenance(card, name, artefact))))

    def _provenance(self, card: Card, name: str, artefact: Artefact) -> dict[str, Any]:
        choice = card.choice if self._profile == CPU_PROFILE else None
        chosen = choice is not None and choice.artefact == name
        provenance: dict[str, Any] = {
            "model_version": card.version,
            "artefact": name,
            "artefact_sha256": artefact.sha256,
            "precision": choice.precision if choice and chosen else artefact.precision,
            "weights": "trained" if card.weights.trained else "untrained",
            "checkpoint_sha256": card.weights.checkpoint_sha256,
            "temperature": card.calibration.temperature,
            "calibrated": card.calibration.fit is not None,
            "preprocessing": self._preprocessing,
        }
        if self._profile == TENSORRT_PROFILE and self._backend(card.declaration.net) == TENSORRT_PROFILE:
            provenance["runtime"] = "TensorRT"
            provenance["plans"] = {
                plan.file: plan.sha256
                for plan in card.plans.values()
                if plan.onnx == name and self._gpu in plan.compute_capabilities
            }
        elif self._profile in (CUDA_PROFILE, TENSORRT_PROFILE):  # also a network without a plan for this GPU
            provenance["runtime"] = "onnxruntime CUDA"
        return provenance | ({"published_anyway": artefact.published_anyway} if artefact.published_anyway else {})


def _findings(card: Card, figures: dict[str, float]) -> dict[str, Any]:
    found = _classified(card, figures) if card.declaration.labels else _regressed(card, figures)
    rules = card.declaration.rules
    decision = decide(rules, figures, found.get("confidence"), trained=card.weights.trained)
    if rules.operating_points:
        found["alerts"] = [
            {"label": point.label, "probability": figures[f"probability:{point.label}"], "at_least": point.at_least}
            for point in decision.alerts
        ]
    if decision.risk_level is not None:
        found["risk_level"] = decision.risk_level
    return found | {"needs_review": decision.needs_review, "review_reasons": list(decision.review_reasons)}


def _classified(card: Card, figures: dict[str, float]) -> dict[str, Any]:
    declared = card.declaration
    probabilities = {label: figures[f"probability:{label}"] for label in declared.labels}
    prediction = max(probabilities, key=lambda label: probabilities[label])
    found: dict[str, Any] = {
        "prediction": prediction,
        "confidence": probabilities[prediction],
        "probabilities": probabilities,
        "uncertainty": figures["uncertainty"],
    }
    meaningless = dict(declared.rules.not_applicable).get(prediction, ())
    grades = {grade.figure: grade for grade in declared.rules.grades}
    for name in declared.summary_fields[len(declared.labels) + 1 :]:
        value = None if name in meaningless else figures[name]
        if name.startswith(PRESENT):
            found.setdefault("modalities", []).extend([name.removeprefix(PRESENT)] if value else [])
        elif name in grades:
            found[name] = None if value is None else grades[name].name_of(value)
            found[f"{name}_score"] = value
        else:
            found[name] = value
    return found


def _regressed(card: Card, figures: dict[str, float]) -> dict[str, Any]:
    first, *more = card.declaration.summary_fields
    found: dict[str, Any] = {"prediction": figures[first], "unit": card.declaration.unit, first: figures[first]}
    if interval := card.declaration.interval:
        found["interval"] = [figures[interval.lower], figures[interval.upper]]
        found["interval_level"] = interval.level
        more = [name for name in more if name not in (interval.lower, interval.upper)]
    return found | {name: figures[name] for name in more}


def _check_plausible(origin: _Origin, figures: dict[str, float]) -> None:
    card, where = origin.card, f"{origin.card.model}/{origin.name}"
    if not all(map(math.isfinite, figures.values())):
        raise Implausible(f"{where}: expected finite figures, got NaN or infinity: no answer")
    if card.declaration.labels:
        probabilities = [figures[f"probability:{label}"] for label in card.declaration.labels]
        if min(probabilities) < 0 or abs(sum(probabilities) - 1) > SUM_TOLERANCE:
            raise Implausible(f"{where}: expected probabilities that sum to 1, got others: no answer")
        others = card.declaration.summary_fields[len(probabilities) :]
        if not all(0 <= figures[name] <= 1 for name in others):
            raise Implausible(f"{where}: expected {', '.join(others)} in 0..1, got others: no answer")


def _shortest(figure: np.float32) -> float:
    """The shortest decimal that is this FP32 number: 0.1 rather than 0.10000000149."""
    return float(str(figure))
