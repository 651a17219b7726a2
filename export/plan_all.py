"""Plans of a model's published artefacts: for this machine's GPU into the repository, or without one as a proof."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from export.artefact import folder_of
from export.plans.gpu import compute_capability
from export.plans.plan import EngineError, Precision, check_served_by, plan_name
from export.spec import ModelSpec
from export.to_engine import Order, build_plan, library
from export.tune import shown
from report.card import FILENAME, Card
from report.plan import Plan

SOURCES: dict[Precision, str] = {"fp32": "fp32.onnx", "fp16": "fp16.onnx", "int8": "int8.onnx"}
TIMINGS = "timings.cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where plans are built and kept.

    Args:
        repository: with the artefacts; plans for its server go beside them.
        proofs: folder for plans that no server here can load.
        server_version: TensorRT's in the server's image; "" where it is not known.
    """

    repository: Path
    proofs: Path
    server_version: str = ""


def plans(spec: ModelSpec, site: Site, precisions: Sequence[Precision]) -> Iterator[Plan]:
    """Build a plan of each precision, one after the other.

    With TensorRT and a GPU the first goes into the repository, under the name that `cc_model_filenames` gives
    that GPU, and into the card. Without, they are TensorRT-RTX plans below `site.proofs`.

    Args:
        spec: the model's declaration.
        site: see Site.
        precisions: of those that are published.

    Raises:
        EngineError: no such artefact was published, it has not shown enough to be served, or what was built is
            not what was asked for.
        report.card.CardError: it was not exported.
    """
    folder = folder_of(spec, site.repository)
    card = Card.read(folder / FILENAME)
    capability = compute_capability()
    built_by = library()
    serves = built_by.__name__ == "tensorrt" and capability is not None
    if serves and site.server_version:  # before a plan that its server can load is replaced
        check_served_by(f"{built_by.__name__} {built_by.__version__}", site.server_version)
    for place, precision in enumerate(precisions):
        source = _published(spec, card, precision)
        if serves and capability and place == 0:
            _check_shown(spec, card, source)
            file = folder / plan_name(capability)
        else:
            site.proofs.mkdir(parents=True, exist_ok=True)
            file = site.proofs / f"{spec.name}.{precision}.plan"
        order = Order(
            onnx=folder / source,
            spec=spec,
            precision=precision,
            capabilities=(capability,) if serves and capability else (),
            timing_cache=site.proofs / TIMINGS if serves else None,
        )
        plan = build_plan(order, file)
        if file.parent == folder:
            card = replace(card, plans=card.plans | {plan.file: plan})
            card.write(folder)
        yield plan


def _check_shown(spec: ModelSpec, card: Card, source: str) -> None:
    """Raises EngineError: onnxruntime refused the file, or its comparison shows nothing of the critical classes."""
    artefact = card.artefacts[source]
    exact = artefact.comparisons[0]
    if not artefact.published_anyway and (exact.refused or not shown(spec, card, exact)):
        why = "; ".join(exact.refused) or (
            f"no real pictures were compared among which PyTorch called {', '.join(spec.gate.critical)}: PICTURES=…"
        )
        raise EngineError(f"{spec.name}: expected {source} to have passed for a server, it has not: {why}.")


def _published(spec: ModelSpec, card: Card, precision: Precision) -> str:
    """Raises EngineError: there is no artefact of this precision, and why."""
    source = SOURCES[precision]
    if source in card.artefacts:
        return source
    why = "; ".join(card.refused[source].why) if source in card.refused else "never exported"
    raise EngineError(f"{spec.name}: expected {source} among the published artefacts, it is not there: {why}.")
