"""The first step of a model, done on this side: send 224² pixels in the place of a film of 20 MB.

The one module that imports `preprocess`, MedServe's own, and only where a client is asked for it:
`pip install 'medserve[preprocess]'`. The numbers are the server's, bit for bit, or there are none:
every library that decides them must have the server's version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from medserve.calls import Arrays, Tensor
from medserve.description import STATISTICS, Description
from medserve.errors import InvalidInput

_OURS = re.compile(r"preprocess\.\w+:\w+")  # a server names the function: it may name no other


def first_step(described: Description, sent: Mapping[str, bytes]) -> tuple[tuple[Tensor, ...], Arrays]:
    """The network's inputs, and the statistics of what is sent, of one item.

    Args:
        described: the model, by its server.
        sent: file bytes by input name; zero bytes for what is left out.

    Raises:
        InvalidInput: what the server would refuse, with its code; or the server's step is not this side's
            (code "other_preprocessing").
        ImportError: `preprocess` is not installed.
    """
    step = _checked(described)
    from preprocess.rejection import Rejected

    module, _, name = step["function"].partition(":")
    function = getattr(import_module(module), name)
    try:
        made: Mapping[str, Any] = function(*([sent[each.name]] for each in described.inputs), **step["arguments"])
    except Rejected as refused:
        raise InvalidInput(f"{described.name}: {refused}", code=str(refused.reason.value)) from refused
    tensors = tuple(Tensor.of_array(tensor, np.asarray(made[tensor])) for tensor in step["tensors"])
    return tensors, {STATISTICS: np.asarray(made[STATISTICS])} if described.statistics else {}


def _checked(described: Description) -> Mapping[str, Any]:
    """The step, if this side would do it as the server does."""
    try:
        from preprocess.identity import identity
    except ImportError as exc:
        raise ImportError("preprocess: expected MedServe's. Run `pip install 'medserve[preprocess]'`.") from exc
    step = described.report.get("step")
    theirs, ours = described.report.get("preprocessing"), identity()
    if not step or not theirs or not _OURS.fullmatch(step["function"]):
        raise InvalidInput(
            f"{described.name}: expected a server that names its first step, got one that does not. Send files.",
            code="other_preprocessing",
        )
    if other := [name for name in sorted(theirs | ours) if theirs.get(name) != ours.get(name)]:
        told = "; ".join(f"{name} {theirs.get(name, 'absent')}, got {ours.get(name, 'absent')}" for name in other)
        raise InvalidInput(
            f"{described.name}: expected the server's {told}: other versions may make other numbers. "
            "Install the server's, or send files.",
            code="other_preprocessing",
        )
    return dict(step)


def read_alike(report: bytes) -> bool:
    """Whether the report was written beside a first step like this side's: the server may have been another since."""
    from preprocess.identity import stamp

    return bool(json.loads(report)["provenance"]["preprocessing"] == stamp())


def other_preprocessing(model: str) -> InvalidInput:
    """The server was replaced between its description and its answer."""
    return InvalidInput(
        f"{model}: expected the first step that the server described, got an answer of one with another. Ask again.",
        code="other_preprocessing",
    )
