"""The declaration of a model. Everything else reads it; nothing else repeats it.

Frozen, literal, and importable without torch: `build` imports it when it is called.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

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
    """

    name: str
    dtype: Dtype
    dims: tuple[int, ...]
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A first step that models share: file bytes in, tensors for a net out.

    Args:
        name: the Triton model of this step.
        function: "module:function" in `preprocess`; takes a list of bytes objects.
        arguments: keyword arguments of that function.
        input: BYTES [1].
        outputs: what the function returns by name, in order.
        instances: worker processes; each decodes one request at a time.
    """

    name: str
    function: str
    input: Tensor
    outputs: tuple[Tensor, ...]
    arguments: tuple[tuple[str, int], ...] = ()
    instances: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What a caller sends to a model, and the step that reads it.

    Args:
        name: the ensemble's input, such as "image" or "smiles".
        step: turns it into the net's inputs.
        prefix: put before the step's output names to form the net's input names, so that
            one step can serve two inputs of one net.
    """

    name: str
    step: Step
    prefix: str = ""

    def net_inputs(self) -> tuple[tuple[str, Tensor], ...]:
        """(name at the net, tensor of the step), in the step's order."""
        return tuple((self.prefix + tensor.name, tensor) for tensor in self.step.outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Where a model's weights come from.

    Args:
        filename: the source project's checkpoint, looked for below CHECKPOINTS.
        renames: (pattern, replacement) for `re.sub`, applied to each key, in order.
        seed: for the initialisation when there is no checkpoint.
    """

    filename: str
    renames: tuple[tuple[str, str], ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLevel:
    """How likely an answer is to be wrong: the level that it has if it is sure enough.

    Both figures lie in 0..1: the defaults fit any answer. `review` sends answers of this level to a person.
    """

    name: str
    confidence_above: float = -1.0
    uncertainty_below: float = 2.0
    review: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Decisions as data. The report step evaluates them and nothing else does.

    Args:
        review_below_confidence: below it a person must look. The default is the house's rule for
            models whose source has none: an answer less likely than all others together is no answer.
        review_above: (figure of `summary`, bound): above it a person must look.
        risk_levels: the first that fits an answer is its risk level; the last must fit any.
    """

    review_below_confidence: float | None = 0.5
    review_above: tuple[tuple[str, float], ...] = ()
    risk_levels: tuple[RiskLevel, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What an artefact may differ from PyTorch FP32 by, or it is not published.

    Args:
        fp32: max |Δ| of any figure (probabilities, or log S), onnxruntime's CPU provider.
        heatmap: max |Δ| of the heat map against autograd, whose scale to 0..1 magnifies rounding.
    """

    fp32: float = 1e-4
    heatmap: float = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model: its task, its network, its contract and what may be said of it.

    Args:
        name: the ensemble's name, and the name of the room's file.
        task: one sentence for a person.
        graph: which serving graph of `export.graph` wraps the network.
        build: makes the network with fresh weights, in the source project's key names.
        parameters: trainable parameters of `build()`, from the source project; asserted at export.
        weights: see Weights.
        inputs: see Input.
        outputs: what the graph computes for callers, in order, without `summary`.
        figures: what the graph puts into `summary` besides its outputs, for the rules.
        labels: classes in the order of the network's outputs; empty for a regression.
        unit: of the prediction of a regression.
        feature_map: submodule whose output is the last spatial feature map [B, K, h, w].
        head: submodule from the pooled features to the logits.
        max_batch: the largest batch of the net.
        cpu_accelerator: "openvino" lets a CPU with bf16 units run the FP32 file in bf16.
        rules: see Rules.
        gate: see Gate.
        intended_use: shown with every answer's description.
        disclaimer: part of every answer.
        claim: figures of the source project, as it states them.
    """

    name: str
    task: str
    graph: Literal["image_classifier", "molecule_regressor"]
    build: Callable[[], nn.Module]
    parameters: int
    weights: Weights
    inputs: tuple[Input, ...]
    outputs: tuple[Tensor, ...]
    figures: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    unit: str = ""
    feature_map: str = ""
    head: str = ""
    max_batch: int = 16
    cpu_accelerator: Literal["openvino"] | None = None
    rules: Rules = field(default_factory=Rules)
    gate: Gate = field(default_factory=Gate)
    intended_use: str
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

    @property
    def net(self) -> str:
        """The Triton model that runs the network itself."""
        return f"{self.name}_net"

    @property
    def summary_fields(self) -> tuple[str, ...]:
        """What stands in `summary` after the fingerprint, in order: the report step's figures."""
        if self.labels:
            return (*(f"probability:{label}" for label in self.labels), "uncertainty", *self.figures)
        return (*(output.name for output in self.outputs), *self.figures)

    @property
    def summary(self) -> Tensor:
        """The tensor that the report step alone consumes."""
        return Tensor(
            name="summary",
            dtype="FP32",
            dims=(2 + len(self.summary_fields),),
            meaning="the artefact's fingerprint (2), then: " + ", ".join(self.summary_fields),
        )
