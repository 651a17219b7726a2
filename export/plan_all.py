"""Plans of a model's published artefacts: for this machine's GPU into the repository, or without one as a proof."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from export.artefact import folder_of
from export.engines import EngineFailed, Ran, answered, run
from export.parity import compare
from export.pictures import Folder, gather
from export.plans.plan import EngineError, Precision, check_served_by, library_version, plan_name, write_whole
from export.spec import ModelSpec
from export.to_engine import Order, build_plan, library, open_plan
from report.card import FILENAME, Card
from report.comparison import Comparison
from report.plan import Plan
from server.gpu import compute_capability

SOURCES: dict[Precision, str] = {"fp32": "fp32.onnx", "fp16": "fp16.onnx", "int8": "int8.onnx"}
TIMINGS = "timings.cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where plans are built and kept.

    Args:
        repository: with the artefacts; plans for its server go beside them.
        proofs: folder for plans that no server here can load.
        server_version: TensorRT's in the server's image; "" where it is not known.
        pictures: real ones to compare plans on; None: generated ones.
        timings: file of kernel timings that builds share; None: one below `proofs`.
    """

    repository: Path
    proofs: Path
    server_version: str = ""
    pictures: Folder | None = None
    timings: Path | None = None


def plans(spec: ModelSpec, site: Site, precisions: Sequence[Precision]) -> Iterator[Plan]:
    """Build a plan of each precision, one after the other.

    With TensorRT and a GPU the first, if its answers pass the gate there, goes into the repository under the name
    that `cc_model_filenames` gives that GPU, and into the card. The others stay below `site.proofs`, as do all
    plans where there is no GPU: TensorRT-RTX's.

    Args:
        spec: the model's declaration.
        site: see Site.
        precisions: of those that are published.

    Raises:
        EngineError: no such artefact was published, or what was built is not what was asked for or fails the gate.
        ValueError: no pictures where some were said to be.
        report.card.CardError: it was not exported.
    """
    folder = folder_of(spec, site.repository)
    card = Card.read(folder / FILENAME)
    capability = compute_capability()
    built_by = library()
    version = library_version(built_by)
    serves = version.startswith("tensorrt ") and capability is not None
    if serves and site.server_version:  # before a plan that its server can load is replaced
        check_served_by(version, site.server_version)
    site.proofs.mkdir(parents=True, exist_ok=True)
    for place, precision in enumerate(precisions):
        source = _published(spec, card, precision)
        file = site.proofs / f"{spec.name}.{precision}.plan"
        order = Order(
            onnx=folder / source,
            spec=spec,
            precision=precision,
            capabilities=(capability,) if serves and capability else (),
            timing_cache=site.timings or site.proofs / TIMINGS if serves else None,
        )
        plan = build_plan(order, file)
        if serves and capability and place == 0:
            plan = replace(plan, file=plan_name(capability), comparison=_passed(spec, site, card, plan, file))
            write_whole(folder / plan.file, file.read_bytes())
            card = replace(card, plans=card.plans | {plan.file: plan})
            card.write(folder)
            file.unlink()
        yield plan


def _passed(spec: ModelSpec, site: Site, card: Card, plan: Plan, file: Path) -> Comparison:
    """Compare the plan's answers on this GPU with those of the file that it was built of, on this CPU.

    The gate proved that file: what it answers on real images, and that it loses no call of a critical class. A plan is
    the same graph in the same precision, computed by other kernels. It is therefore held to the file, within the
    bounds of that precision, and needs no images of patients where it is built.

    Raises:
        EngineError: the plan does not compute what the file does. Also where the gate was overridden for the file:
            that says what its precision may lose, not that another network may take its place.
    """
    source = card.artefacts[plan.onnx]
    items, _ = gather(spec, site.pictures)
    source_file = folder_of(spec, site.repository) / plan.onnx
    proved = run(spec, source_file, "onnxruntime", plan.precision, items.inputs).answers
    try:
        answers = answered(spec, open_plan(file), items.inputs, f"tensorrt does not run {file.name}")
    except EngineFailed as exc:
        raise EngineError(f"{spec.name}: {exc}") from exc
    ran = Ran(engine="tensorrt", precision=plan.precision, answers=answers)
    expected = {output.name: proved[output.name] for output in spec.outputs}
    # Which calls a precision loses was counted for the file. INT8's own bounds are those of a file against PyTorch.
    held = replace(spec, gate=replace(spec.gate, critical=(), int8=spec.gate.bf16))
    found = compare(held, expected, ran, items, source.fingerprint)
    if found.refused:
        raise EngineError(f"{spec.name}: {plan.file}: not put into the repository: {'; '.join(found.refused)}")
    return found


def _published(spec: ModelSpec, card: Card, precision: Precision) -> str:
    """Raises EngineError: there is no artefact of this precision, and why."""
    source = SOURCES[precision]
    if source in card.artefacts:
        return source
    why = "; ".join(card.refused[source].why) if source in card.refused else "never exported"
    raise EngineError(f"{spec.name}: expected {source} among the published artefacts, it is not there: {why}.")
