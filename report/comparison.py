"""One artefact on one engine against PyTorch FP32: the figures that the gate judges, and its verdict."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSet:
    """Items that something was measured or calibrated on.

    Args:
        source: name of the folder, or that they were generated.
        synthetic: drawn by the exporter: they show that two programs agree, and nothing of patients.
        sha256: of each file sent, in order, so that two sets can be shown to be disjoint. Never a name.
        labels: digest of the label of each, "" where none is known: corrected labels are other figures.
    """

    source: str
    synthetic: bool
    sha256: tuple[str, ...]
    labels: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticalCalls:
    """A finding that must not be lost: how often PyTorch called it, and how often the variant then did not.

    Args:
        calls: PyTorch's.
        lost: of those, the ones that the variant misses by more than the bound's `tie`.
        ties: and those that it misses by less.
    """

    calls: int
    lost: int
    ties: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Against the truth, where the pictures have labels; each pair is (PyTorch FP32, the variant).

    Args:
        pictures: how many had a label.
        accuracy: share answered right.
        sensitivity: by label, share of its pictures that were called so.
        ece: expected calibration error, 0..1.
        mcnemar_p: exact two-sided p that the two are right equally often; 1 where they never differ.
    """

    pictures: int
    accuracy: tuple[float, float]
    sensitivity: dict[str, tuple[float, float]]
    ece: tuple[float, float]
    mcnemar_p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All figures of one comparison.

    Args:
        engine: what ran the artefact: "onnxruntime" or "openvino".
        precision: what its encoder computed in: "fp32", "bf16", "fp16" or "int8".
        samples: how many items.
        cpu: features of the CPU that ran it; on another, engines compute otherwise.
        max_error, mean_error: |Δ| by output.
        label_flips: items whose label differs.
        ties: of those, the ones where PyTorch itself was undecided (margin below the bound's `tie`).
        review_flips: items that go to a person under one of the two and not under the other.
        lost_reviews: of those, the ones that PyTorch would have sent.
        risk_flips: items of another risk level.
        lowered_risks: of those, the ones of a lower level.
        critical: by label, of the classes that are declared critical.
        heatmap_correlation: by output, median Pearson correlation over the items that have a heat map.
        uncertainty_drift: mean of (variant - PyTorch).
        labelled: None where no picture had a label.
        refused: why it may not be published, one sentence each; empty: it passed.
    """

    engine: str
    precision: str
    samples: int
    cpu: tuple[str, ...] = ()
    max_error: dict[str, float]
    mean_error: dict[str, float]
    label_flips: int = 0
    ties: int = 0
    review_flips: int = 0
    lost_reviews: int = 0
    risk_flips: int = 0
    lowered_risks: int = 0
    critical: dict[str, CriticalCalls] = field(default_factory=dict)
    heatmap_correlation: dict[str, float] = field(default_factory=dict)
    uncertainty_drift: float = 0.0
    labelled: Labelled | None = None
    refused: tuple[str, ...] = ()
