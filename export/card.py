"""The card of a model that was just exported, from its spec and its measurements."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from export.artefact import external
from export.digest import sha256_of
from export.spec import ModelSpec
from report.card import Artefact, Refused
from report.declaration import Declaration, FirstStep, Given, Sent

if TYPE_CHECKING:
    from export.variant import Variant

TOOLS = (
    "torch",
    "torchvision",
    "torch-geometric",
    "transformers",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "openvino",
    "numpy",
)


def declaration(spec: ModelSpec) -> Declaration:
    """What the readers of an answer need of the spec."""
    pictures = {picture.input: picture for picture in spec.explained}
    return Declaration(
        task=spec.task,
        net=spec.net,
        step=FirstStep(
            name=spec.step.name,
            function=spec.step.function,
            arguments=json.loads(json.dumps(dict(spec.step.arguments))),  # as it will be read
            tensors=tuple(tensor.name for tensor in spec.step.outputs),
        ),
        labels=spec.labels,
        unit=spec.unit,
        inputs=tuple(
            Sent(
                name=sent.name,
                meaning=sent.meaning,
                optional=sent.optional,
                step=spec.step.name,
                pixels=pictures[sent.name].pixels if sent.name in pictures else "",
                heatmap=pictures[sent.name].heatmap if sent.name in pictures else "",
            )
            for sent in spec.step.inputs
        ),
        outputs=tuple(Given(name=output.name, dims=output.dims, meaning=output.meaning) for output in spec.outputs),
        statistics=spec.step.statistics,
        aliases=spec.aliases,
        summary_fields=spec.summary_fields,
        interval=spec.interval,
        rules=spec.rules,
        intended_use=spec.intended_use,
        limits=spec.limits,
        disclaimer=spec.disclaimer,
        claim=spec.claim,
    )


def artefact(variant: Variant, *, anyway: str) -> Artefact:
    """Describe a file that is published; `anyway` is the reason given where its gate refused it."""
    import onnx  # not for a start with nothing to export

    file = variant.path
    return Artefact(
        sha256=sha256_of(file),
        size_bytes=file.stat().st_size,
        precision=variant.precision,
        opset=onnx.load(file, load_external_data=False).opset_import[0].version,
        fingerprint=variant.fingerprint,
        comparisons=variant.comparisons,
        quantised=variant.quantised,
        published_anyway=anyway if variant.why else "",
        tools=tool_versions(),
        external={data.name: sha256_of(data) for data in [external(file)] if data.is_file()},
        created=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    )


def refused(variant: Variant) -> Refused:
    """Describe one that is not."""
    return Refused(
        precision=variant.precision,
        why=variant.why,
        size_bytes=variant.file.stat().st_size if variant.file else 0,
        comparisons=variant.comparisons,
        quantised=variant.quantised,
    )


def tool_versions(tools: Iterable[str] = TOOLS) -> dict[str, str]:
    """Installed versions of the tools that decide an artefact; "absent" where one is not installed."""
    found = {}
    for tool in tools:
        found[tool] = _version(tool)
    return found


def _version(tool: str) -> str:
    """onnxruntime-gpu is onnxruntime's module under another name: it makes no export stale, and no other one."""
    for name in (tool, *(("onnxruntime-gpu",) if tool == "onnxruntime" else ())):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "absent"
