"""Which models there are: asked of the server, kept for a moment, found by any of their names."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from medserve import AsyncClient, Description, UnknownModel

KEPT_S = 5.0
_LARGE = ("reference", "summary_fields", "recipe")  # for programs alone: GET /drift tells the first
Refer = Callable[[str, Mapping[str, Any] | None, Sequence[str], frozenset[str]], None]


class Catalogue:
    """Descriptions of one server's models.

    Args:
        client: of that server.
        refer: told of each model, its reference distribution, labels and artefacts whenever the server is asked.
        clock: seconds that only grow.
    """

    def __init__(self, client: AsyncClient, refer: Refer, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._refer, self._clock = client, refer, clock
        self._models: Mapping[str, Description] = {}
        self._told_at = float("-inf")
        self._asking: asyncio.Task[Mapping[str, Description]] | None = None

    async def models(self) -> Mapping[str, Description]:
        """All, by name. Whoever comes while the server is asked waits for that answer, or that failure.

        Raises:
            MedServeError: the server cannot say; what it said before is forgotten after KEPT_S.
        """
        if self._clock() - self._told_at <= KEPT_S:
            return self._models
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(_seen)
        return await asyncio.shield(self._asking)  # one caller that goes away takes nobody's answer along

    async def _ask(self) -> Mapping[str, Description]:
        self._models = await self._client.models()
        self._told_at = self._clock()
        for name, described in self._models.items():
            self._refer(name, described.report.get("reference"), described.labels, artefacts(described))
        return self._models

    async def find(self, name: str) -> Description:
        """By its own name, an alias of a source project's, or either with hyphens.

        Raises:
            UnknownModel: none; the message lists those that there are, and does not repeat the name.
        """
        models = await self.models()
        for described in models.values():
            if name.replace("-", "_") == described.name or name in described.aliases:
                return described
        raise UnknownModel(f"model: expected one of {', '.join(models)}; got another name")


def artefacts(described: Description) -> frozenset[str]:
    """SHA-256 of the networks' files that may answer; empty where the server does not tell."""
    return frozenset(one["sha256"] for one in described.report.get("artefacts", {}).values())


def told(described: Description) -> dict[str, Any]:
    """What GET /model-info says of a model: everything that its server does, but lists for programs."""
    whole = {name: value for name, value in described.report.items() if name not in _LARGE}
    inputs = [{**sent, "picture": bool(sent["pixels"])} for sent in whole.pop("inputs")]
    return {"name": described.name, "trained": described.trained, "inputs": inputs, **whole}


def _seen(asking: asyncio.Task[Mapping[str, Description]]) -> None:
    """A failure that nobody waits for any more is nobody's."""
    if not asking.cancelled():
        asking.exception()
