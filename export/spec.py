"""The declaration of a model. Everything else reads it; nothing else repeats it.

Frozen, literal, and importable without torch: `build` imports it when it is called. The shapes of
the decision rules are the report's, which evaluates them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from preprocess.statistics import STATISTICS
from report.declaration import Interval
from report.rules import Rules

if TYPE_CHECKING:
    from torch import nn

Dtype = Literal["BYTES", "UINT8", "FP32"]
NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One input or output, by Triton's names.

    Args:
        name: as in config.pbtxt and in the ONNX file.
        dtype: Triton's data type.
        dims: without the batch axis; -1 where the size is known only at run time.
        meaning: what the numbers are: unit, range, order.
        optional: of what callers send: may be zero bytes long.
    """

    name: str
    dtype: Dtype
    dims: tuple[int, ...]
    meaning: str
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A first step that models share: what callers send in, tensors for a net out.

    Args:
        name: the Triton model of this step.
        function: "module:function" in `preprocess`; takes a list of bytes objects for each input.
        inputs: what callers send, BYTES [1] each. An optional one may be zero bytes long: absent.
        outputs: what the function returns by name, in order: the net's inputs.
        statistics: of what was sent, in the order of the function's output of that name; see preprocess.statistics.
        statistics_meaning: what they are, with units.
        arguments: keyword arguments of that function, written into its adapter.
    """

    name: str
    function: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    arguments: tuple[tuple[str, object], ...] = ()
    statistics: tuple[str, ...] = ()
    statistics_meaning: str = ""

    @property
    def described(self) -> Tensor:
        """The output that holds the statistics: for callers, not for the net."""
        return Tensor(
            name=STATISTICS,
            dtype="FP32",
            dims=(len(self.statistics),),
            meaning=f"of what was sent: {', '.join(self.statistics)}: {self.statistics_meaning}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Where a model's weights come from.

    Args:
        filename: the source project's checkpoint, looked for below CHECKPOINTS.
        renames: (pattern, replacement) for `re.sub`, applied to each key, in order.
        ignored: pattern of keys that belong to other networks in the same file.
        seed: for the initialisation when there is no checkpoint.
    """

    filename: str
    renames: tuple[tuple[str, str], ...] = ()
    ignored: str = ""
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """Weights that this repository trained itself; served where no checkpoint is given.

    Args:
        file: safetensors below `export/weights`.
        build: makes their network, which need not be the source project's.
        parameters: of `build()`; asserted at export.
        figures: what the training run measured of them.
    """

    file: str
    build: Callable[[], nn.Module]
    parameters: int
    figures: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One picture that a network looks at, and the heat map that says where.

    Args:
        input: what callers send it as.
        pixels: the net's input, UINT8 [3, H, W].
        feature_map: submodule whose output is the last spatial feature map [B, K, h, w].
        heatmap: the output with its Grad-CAM.
        present: the net's input that is 1 where the picture was sent, 0 where not; "" where it must be.
    """

    input: str
    pixels: str
    feature_map: str
    heatmap: str
    present: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one precision may differ from PyTorch FP32 by.

    Args:
        largest: max |Δ| of any figure (probabilities, doubts, log S) but heat maps.
        mean: mean |Δ| of any of them.
        heatmap: max |Δ| of a heat map, whose scale to 0..1 magnifies rounding.
        correlation: median Pearson correlation of the heat maps, at least.
        tie: a label may flip where PyTorch's two highest probabilities lie closer than this.
        flips: share of the labels that may flip besides.
        milder: share of the answers that may miss a review that PyTorch asks for, and that may have a lower risk level.
    """

    largest: float = math.inf
    mean: float = math.inf
    heatmap: float = math.inf
    correlation: float = 0.95
    tie: float = 0.0
    flips: float = 0.0
    milder: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What an artefact must hold to, or it is not published.

    Args:
        fp32, fp16, bf16, int8: by what its encoder computes in.
        critical: labels none of whose calls may be lost: predicted, or at their operating point.
        calls: of each of those, how many there must be in real pictures before a lower precision is published: where
            nothing was called, nothing could be lost. None lost of ten: with 95 % confidence under 26 % are.
        samples: how many generated inputs are compared where no real ones are given.
    """

    fp32: Bounds = Bounds(largest=1e-4, heatmap=1e-3, tie=1e-4)
    fp16: Bounds = Bounds(largest=0.01, tie=0.01)
    bf16: Bounds = Bounds(largest=0.03, tie=0.03)
    int8: Bounds = Bounds(mean=0.05, flips=0.01)
    critical: tuple[str, ...] = ()
    calls: int = 10
    samples: int = 8

    def bounds(self, precision: str) -> Bounds:
        """Of "fp32", "fp16", "bf16" or "int8"."""
        found: Bounds = getattr(self, precision)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model: its task, its network, its contract and what may be said of it.

    Args:
        name: the ensemble's name, and the name of the room's file.
        aliases: other names of it, in the routes of the source project's own service.
        task: one sentence for a person.
        graph: which serving graph of `export.graphs` wraps the network.
        build: makes the network with fresh weights, in the source project's key names.
        parameters: trainable parameters of `build()`, from the source project; asserted at export.
        weights: see Weights.
        shipped: see Shipped.
        step: turns what callers send into the net's inputs.
        outputs: what the graph computes for callers, in order, without `summary`.
        figures: what the graph puts into `summary` for the rules; of a classifier, besides its
            probabilities and uncertainty; of a regression, the prediction first.
        labels: classes in the order of the network's outputs; empty for a regression.
        unit: of the prediction of a regression.
        interval: see Interval.
        explained: the pictures that get a heat map, in the order of the graph's inputs.
        head: submodule from the pooled features to the logits.
        mc_passes: seeded dropout masks on the head; 0 where the network has no dropout.
        max_batch: the largest batch of the net.
        unsupported: (precision, measured reason) of those that are not made: "fp16", "int8".
        on_request: too large for every machine: exported and served only where MODELS asks for it.
        packages: distributions that its export needs, and that others do not.
        rules: see Rules.
        gate: see Gate.
        intended_use: shown with every answer's description.
        limits: what is known not to work, or was assumed because the source project is silent.
        disclaimer: part of every answer.
        claim: figures of the source project, as it states them.
    """

    name: str
    aliases: tuple[str, ...] = ()
    task: str
    graph: Literal["image_classifier", "staged_classifier", "fusion_classifier", "molecule_regressor"]
    build: Callable[[], nn.Module]
    parameters: int
    weights: Weights
    shipped: Shipped | None = None
    step: Step
    outputs: tuple[Tensor, ...]
    figures: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    unit: str = ""
    interval: Interval | None = None
    explained: tuple[Explained, ...] = ()
    head: str = ""
    mc_passes: int = 0
    max_batch: int = 16
    unsupported: tuple[tuple[str, str], ...] = ()
    on_request: bool = False
    packages: tuple[str, ...] = ()
    rules: Rules = field(default_factory=Rules)
    gate: Gate = field(default_factory=Gate)
    intended_use: str
    limits: tuple[str, ...] = ()
    disclaimer: str
    claim: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"spec {self.name!r}: name: expected lower case, digits, underscores")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"spec {self.name}: labels: expected distinct labels, got {self.labels}")
        for output in self.outputs:
            if output.name == "probabilities" and output.dims != (len(self.labels),):
                raise ValueError(
                    f"spec {self.name}: outputs.probabilities: expected dims ({len(self.labels)},), "
                    f"one for each label, got {output.dims}"
                )
        self._check_rules()

    def _check_rules(self) -> None:
        """A rule about a label or figure that there is not would never fire, and nobody would know.

        Nor would a threshold that the largest of all probabilities cannot fall below.
        """
        threshold = self.rules.review_below_confidence
        if self.labels and threshold is not None and threshold * len(self.labels) <= 1:
            raise ValueError(
                f"spec {self.name}: rules.review_below_confidence: expected more than 1 / {len(self.labels)} or None, "
                f"got {threshold:g}: no answer can be less sure"
            )
        labels = {point.label for point in self.rules.operating_points} | set(self.gate.critical)
        labels |= {label for label, _ in self.rules.not_applicable}
        if unknown := sorted(labels - set(self.labels)):
            raise ValueError(f"spec {self.name}: rules: expected some of {self.labels}, got {', '.join(unknown)}")
        figures = {name for name, _ in self.rules.review_above} | {grade.figure for grade in self.rules.grades}
        figures |= {name for name, _, _ in self.rules.review_outside}
        figures |= {name for _, names in self.rules.not_applicable for name in names}
        figures |= {self.interval.lower, self.interval.upper} if self.interval else set()
        if unknown := sorted(figures - set(self.summary_fields)):
            raise ValueError(
                f"spec {self.name}: rules: expected some of {self.summary_fields}, got {', '.join(unknown)}"
            )

    @property
    def net(self) -> str:
        """The Triton model that runs the network itself."""
        return f"{self.name}_net"

    @property
    def takes_one_picture(self) -> bool:
        """Whether a folder of files can be sent to it, one by one."""
        return [sent.name for sent in self.step.inputs] == ["image"]

    @property
    def summary_fields(self) -> tuple[str, ...]:
        """What stands in `summary` after the fingerprint, in order: the report step's figures."""
        if not self.labels:
            return self.figures
        return (*(f"probability:{label}" for label in self.labels), "uncertainty", *self.figures)

    @property
    def summary(self) -> Tensor:
        """The tensor that the report step alone consumes."""
        return Tensor(
            name="summary",
            dtype="FP32",
            dims=(2 + len(self.summary_fields),),
            meaning="the artefact's fingerprint (2), then: " + ", ".join(self.summary_fields),
        )
