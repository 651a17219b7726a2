"""TorchScript files for apps that carry their own PyTorch: FP32, and with dynamic INT8; the same graph, the same gate.

Dynamic quantisation is for Linear layers. Heads stay in FP32: their weights make the heat map.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import nn

from export.artefact import folder_of
from export.engines import BATCH, Ran
from export.graphs import serving_graph
from export.loading import loaded_net
from export.parity import compare
from export.pictures import Items, gather
from export.precision.nodes import in_encoder
from export.publish import Order, kept_calibration
from export.references import reference
from export.samples import generated
from export.spec import ModelSpec
from export.variant import Variant
from report.card import FILENAME

FILES = {"fp32": "fp32.pt", "int8": "int8.pt"}
REPORT = "report.json"


def mobile(spec: ModelSpec, repository: Path, order: Order, folder: Path) -> list[Variant]:
    """Write what passes into the folder, and the verdict on both beside it.

    Each file takes the net's inputs and returns the spec's outputs in their order, then `summary`
    (whose fingerprint is zero: no card lists these files).

    Args:
        spec: the model's declaration.
        repository: whose card holds the temperature, if it is of the same weights.
        order: checkpoint and pictures.
        folder: made if it is not there.
    """
    net, weights = loaded_net(spec, order.checkpoint)
    temperature = kept_calibration(folder_of(spec, repository) / FILENAME, weights).temperature
    items, _ = gather(spec, order.pictures)
    expected = reference(net.eval(), spec, items.inputs, temperature)
    graph = serving_graph(net, spec, temperature)
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for precision, make in _MAKERS.items():
        variant = make(spec, graph, folder / FILES[precision])
        if variant.file is not None:
            found = compare(spec, expected, _ran(spec, variant.file, precision, items), items, variant.fingerprint)
            variant = replace(variant, comparisons=(found,), why=found.refused)
            if found.refused:
                variant.path.unlink()
        made.append(variant)
    (folder / REPORT).write_bytes(
        msgspec.json.format(msgspec.json.encode({each.name: [each.why, each.comparisons] for each in made})) + b"\n"
    )
    return made


def _fp32(spec: ModelSpec, graph: nn.Module, file: Path) -> Variant:
    _script(spec, graph, file)
    return Variant(name=file.name, precision="fp32", file=file)


def _int8(spec: ModelSpec, graph: nn.Module, file: Path) -> Variant:
    linear = {name for name, part in graph.named_modules() if type(part) is nn.Linear and in_encoder(f"{name}/")}
    reason = dict(spec.unsupported).get("int8", "")
    if not linear or reason:
        why = f"unsupported: {reason}" if reason else "its encoder has no Linear layer, and dynamic INT8 is for those"
        return Variant(name=file.name, precision="int8", file=None, why=(why,))
    from torch.ao.quantization import default_dynamic_qconfig, quantize_dynamic

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch will drop it for torchao, which writes no TorchScript
        lowered = quantize_dynamic(copy.deepcopy(graph), dict.fromkeys(linear, default_dynamic_qconfig))
        _script(spec, lowered, file)
    return Variant(name=file.name, precision="int8", file=file)


_MAKERS: dict[str, Callable[[ModelSpec, nn.Module, Path], Variant]] = {"fp32": _fp32, "int8": _int8}


def _script(spec: ModelSpec, graph: nn.Module, file: Path) -> None:
    example = tuple(torch.from_numpy(array) for array in generated(spec, 2).values())
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.jit.trace(graph, example, check_trace=False).save(str(file))


def _ran(spec: ModelSpec, file: Path, precision: str, items: Items) -> Ran:
    """The file as an app would run it: loaded anew, in batches of other sizes than it was traced with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.load(str(file))
    names = [*(output.name for output in spec.outputs), spec.summary.name]
    inputs = [torch.from_numpy(np.ascontiguousarray(array)) for array in items.inputs.values()]
    with torch.no_grad():
        batches = [script(*(array[start : start + BATCH] for array in inputs)) for start in range(0, len(items), BATCH)]
    answers = {name: torch.cat([batch[place] for batch in batches]).numpy() for place, name in enumerate(names)}
    return Ran(engine="torchscript", precision=precision, answers=answers)
