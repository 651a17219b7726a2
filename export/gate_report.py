"""The gate's verdict for a person: report.json, and one page with plots, for every variant that was made.

The page shows pictures that were compared. Where they are of patients, so is the page.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from export import figures, gate_plots
from export.engines import EngineFailed, Kind, run
from export.parity import Reference
from export.variant import Variant
from report.comparison import Comparison

JSON, PAGE = "report.json", "report.html"
_STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:75em;margin:2em auto;padding:0 1em}"
    "img{max-width:100%}table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left}"
    ".refused{color:#a00;font-weight:bold}.passed{color:#060;font-weight:bold}"
)


def write(folder: Path, reference: Reference, variants: Sequence[Variant]) -> None:
    """Write both files; the variants' files must still be where they were made.

    Args:
        folder: made if it is not there.
        reference: what they were held to.
        variants: all of them, refused ones too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = {
        "model": reference.spec.name,
        "compared": {"source": reference.items.origin.source, "items": len(reference.items)},
        "bounds": msgspec.to_builtins(reference.spec.gate),
        "variants": {variant.name: _plain(variant) for variant in variants},
    }
    (folder / JSON).write_bytes(msgspec.json.format(msgspec.json.encode(_finite(found))) + b"\n")
    sections = [section for variant in variants for section in _sections(reference, variant)]
    title = html.escape(f"{reference.spec.name}: lower precision against PyTorch FP32")
    where = html.escape(f"{len(reference.items)} items, {reference.items.origin.source}")
    (folder / PAGE).write_text(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
        f"<h1>{title}</h1><p>{where}. {html.escape(reference.spec.disclaimer)}</p>{''.join(sections)}</html>\n",
        "utf-8",
    )


def _plain(variant: Variant) -> dict[str, Any]:
    return {
        "precision": variant.precision,
        "why_not": list(variant.why),
        "comparisons": msgspec.to_builtins(variant.comparisons),
        "kept": list(variant.quantised.kept) if variant.quantised else [],
    }


def _finite(found: Any) -> Any:
    """JSON knows no infinity: a bound that is none is null."""
    if isinstance(found, dict):
        return {key: _finite(value) for key, value in found.items()}
    if isinstance(found, list):
        return [_finite(value) for value in found]
    return None if isinstance(found, float) and not np.isfinite(found) else found


def _sections(reference: Reference, variant: Variant) -> Iterator[str]:
    if variant.file is None:
        yield f"<h2>{html.escape(variant.name)}</h2><p>Not made: {html.escape('; '.join(variant.why))}</p>"
        return
    for comparison in variant.comparisons:
        yield _head(variant, comparison)
        if comparison.max_error:
            yield from _pictures(reference, variant.file, variant.precision, comparison)


def _head(variant: Variant, found: Comparison) -> str:
    verdict = "refused" if found.refused else "passed"
    rows = {
        "labels flipped (ties)": f"{found.label_flips} of {found.samples} ({found.ties})",
        "review flips (lost)": f"{found.review_flips} ({found.lost_reviews})",
        "risk level flips": str(found.risk_flips),
        "calls lost": ", ".join(f"{label}: {each.lost} of {each.calls}" for label, each in found.critical.items()),
        "largest |Δ|": ", ".join(f"{name} {error:.2g}" for name, error in found.max_error.items()),
        "heat map correlation": ", ".join(f"{name} {value:.4f}" for name, value in found.heatmap_correlation.items()),
    }
    if found.labelled:
        rows["accuracy, McNemar's p"] = (
            f"{found.labelled.accuracy[0]:.3f} → {found.labelled.accuracy[1]:.3f}, {found.labelled.mcnemar_p:.3f}"
        )
        rows["ECE"] = f"{found.labelled.ece[0]:.3f} → {found.labelled.ece[1]:.3f}"
        rows["sensitivity"] = ", ".join(
            f"{label} {before:.3f} → {after:.3f}" for label, (before, after) in found.labelled.sensitivity.items()
        )
    table = "".join(f"<tr><th>{html.escape(name)}<td>{html.escape(value)}" for name, value in rows.items() if value)
    why = "".join(f"<li>{html.escape(sentence)}" for sentence in found.refused)
    return (
        f"<h2>{html.escape(variant.name)} on {html.escape(found.engine)} in {html.escape(found.precision)}: "
        f"<span class={verdict}>{verdict}</span></h2><ul>{why}</ul><table>{table}</table>"
    )


def _pictures(reference: Reference, file: Path, precision: str, found: Comparison) -> Iterator[str]:
    kind: Kind = "openvino" if found.engine == "openvino" else "onnxruntime"
    try:
        got = run(reference.spec, file, kind, precision, reference.items.inputs).answers
    except EngineFailed as exc:
        yield f"<p>{html.escape(str(exc))}</p>"
        return
    prediction = reference.spec.outputs[0].name
    errors = figures.errors(reference.expected, got)[prediction]
    largest = [int(item) for item in np.argsort(-errors)[: gate_plots.SHOWN]]
    plots = {
        "reliability diagram": gate_plots.reliability(reference, got),
        "histogram of the differences": gate_plots.differences(errors, prediction),
        f"the {len(largest)} items that differ most": gate_plots.worst(reference, got, largest),
    }
    for name, png in plots.items():
        if png:
            yield f'<img alt="{html.escape(name)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
