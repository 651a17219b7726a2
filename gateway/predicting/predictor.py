"""One item through the version that answers it: asked, recorded, watched, and only then told."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.audit import AuditError, AuditLog, Entry, InvalidEntry
from gateway.clients import Clients
from gateway.drift import Monitor, Observation
from gateway.metrics import Metrics
from gateway.predicting.answers import Explain, Heatmap, answer, heatmaps, overlays, pictures
from gateway.refusals import refusal
from gateway.versions import Route, chosen, own_route
from medserve import BrokenAnswer, Description, InvalidInput, Overloaded, Prediction

MOST_SHADOWS = 32  # under way at once; more are left out: they may not slow the answers


def new_id() -> str:
    """What a prediction, or its refusal, is recorded under."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an answer shall hold besides the report."""

    heatmap: Heatmap = Heatmap.none
    explain: Explain = Explain.none


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, and what it was made of.

    Args:
        body: for the caller.
        prediction: the client's.
        sent: the input.
    """

    body: dict[str, Any]
    prediction: Prediction
    sent: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class _Question:
    """One item, as whichever version is asked about it."""

    described: Description
    sent: Mapping[str, bytes]
    key: str
    prediction_id: str
    digests: tuple[str, ...]

    @classmethod
    def of(cls, described: Description, sent: Mapping[str, bytes], key: str, prediction_id: str) -> _Question:
        digests = tuple(sha256(sent.get(each.name, b"")).hexdigest() for each in described.inputs)
        return cls(described, sent, key, prediction_id, digests)

    @property
    def digest(self) -> bytes:
        """Of all inputs together."""
        return sha256("".join(self.digests).encode()).digest()


class Predictor:
    """Asks for predictions.

    Args:
        clients: of the servers.
        routes: those in force now.
        audit: where each is recorded before it is told.
        monitor: sees what was sent to the gateway's own server, and answered.
        metrics: counts.
        patience_s: with other versions' servers: who waits for one may have to wait for the own server after it.
    """

    def __init__(
        self,
        clients: Clients,
        routes: Callable[[], Sequence[Route]],
        audit: AuditLog,
        monitor: Monitor,
        metrics: Metrics,
        patience_s: float,
    ) -> None:
        self._patience_s = patience_s
        self._clients, self._routes, self._audit = clients, routes, audit
        self._monitor, self._metrics = monitor, metrics
        self._shadows: set[asyncio.Task[None]] = set()

    async def predict(
        self, described: Description, sent: Mapping[str, bytes], key: str, prediction_id: str, wanted: Wanted
    ) -> Answered:
        """Ask, record, and answer.

        Args:
            described: the model.
            sent: bytes by input name.
            key: id of the caller's.
            prediction_id: to record it under.
            wanted: see Wanted.

        Raises:
            MedServeError: no answer; it is recorded too.
            AuditError: it could not be recorded, and is not told.
        """
        question = _Question.of(described, sent, key, prediction_id)
        route, shadows = chosen(self._routes(), described.name, question.digest)
        prediction, route = await self._answered(question, route)
        self._start(question, shadows)
        body = answer(prediction, question.prediction_id)
        if wanted.heatmap is Heatmap.png:
            body["heatmaps"] = heatmaps(prediction)
        if wanted.explain is not Explain.none:
            body |= await self._explained(question, route, prediction, wanted.explain)
        return Answered(body, prediction, sent)

    async def refuse(self, model: str, key: str, prediction_id: str, why: Exception) -> None:
        """Record what no server was asked about.

        Args:
            model: its name; "" of one that there is not.
            key: id of the caller's.
            prediction_id: to record it under.
            why: what the caller is told.

        Raises:
            AuditError: it could not be recorded.
        """
        found = _failed(why)
        entry = Entry(
            prediction_id=prediction_id,
            time=datetime.now(UTC),
            key=key,
            model=model,
            latency_s=0.0,
            input_sha256=(),
            **found,
        )
        await self._audit.record(entry)
        self._metrics.predicted(model, "", entry.outcome, 0.0)

    async def close(self) -> None:
        """End the shadows."""
        for task in self._shadows:
            task.cancel()
        await asyncio.gather(*self._shadows, return_exceptions=True)

    async def _answered(self, question: _Question, route: Route) -> tuple[Prediction, Route]:
        """By that version, or by the own server where another gives no answer: a canary costs nobody his."""
        own = own_route(question.described.name)
        if not route.own and not self._clients.rests(route):
            try:
                return await self._asked(question, route, "answer"), route
            except AuditError:
                raise
            except Exception as exc:  # a refusal too: the own server may know better
                if not isinstance(exc, (InvalidInput, Overloaded)):
                    self._clients.rest(route)
        return await self._asked(question, own, "answer"), own

    async def _asked(self, question: _Question, route: Route, kind: str) -> Prediction:
        """Ask one version, and record what came of it."""
        began = time.perf_counter()
        prediction: Prediction | None = None
        failure: Exception | None = None
        try:
            prediction = await self._clients.of(route).predict(
                route.serves, dict(question.sent), timeout_s=None if route.own else self._patience_s
            )
        except Exception as exc:  # whatever it was: it is recorded
            failure = exc
        latency_s = time.perf_counter() - began
        try:
            entry = _entry(
                question, route, latency_s, _found(prediction, kind) if prediction is not None else _failed(failure)
            )
        except InvalidEntry as exc:  # the server's own names: an answer that cannot be recorded is none
            prediction, failure = None, BrokenAnswer(f"{question.described.name}: {exc}")
            entry = _entry(question, route, latency_s, _failed(failure))
        await self._audit.record(entry)
        outcome = kind if prediction is not None else entry.outcome
        self._metrics.predicted(entry.model, route.name, outcome, time.perf_counter() - began)
        if prediction is None:
            raise failure or RuntimeError(f"{entry.model}: neither answered nor failed")
        if route.own:
            self._monitor.observe(_observation(question.described, prediction))
        return prediction

    async def _explained(
        self, question: _Question, route: Route, prediction: Prediction, explain: Explain
    ) -> dict[str, Any]:
        """The server is asked once more, for what its network saw; drawn off the event loop."""
        seen = await self._seen(question, route)
        if explain is Explain.seen:
            return {"pictures": await asyncio.to_thread(pictures, question.described, question.sent, seen)}
        return {"overlays": await asyncio.to_thread(overlays, prediction, seen)}

    async def _seen(self, question: _Question, route: Route) -> Mapping[str, NDArray[np.uint8]]:
        """By the version that answered, or by the own server where that one cannot say."""
        own, sent = own_route(question.described.name), dict(question.sent)
        if not route.own:
            try:
                async with asyncio.timeout(self._patience_s):
                    return await self._clients.of(route).seen(route.serves, sent)
            except Exception:  # whatever it was, the own server may know
                self._clients.rest(route)
        return await self._clients.of(own).seen(own.serves, sent)

    def _start(self, question: _Question, shadows: Sequence[Route]) -> None:
        for route in shadows[: max(0, MOST_SHADOWS - len(self._shadows))]:
            task = asyncio.create_task(self._shadowed(question, route))
            self._shadows.add(task)
            task.add_done_callback(self._shadows.discard)

    async def _shadowed(self, question: _Question, route: Route) -> None:
        with contextlib.suppress(Exception):  # recorded and counted; nobody waits for it
            await self._asked(question, route, "shadow")


def _entry(question: _Question, route: Route, latency_s: float, found: Mapping[str, str]) -> Entry:
    return Entry(
        prediction_id=question.prediction_id,
        time=datetime.now(UTC),
        key=question.key,
        model=question.described.name,
        latency_s=latency_s,
        input_sha256=question.digests,
        route=route.name,
        **found,
    )


def _found(prediction: Prediction, kind: str) -> dict[str, str]:
    by = prediction.provenance
    return {
        "kind": kind,
        "version": by.model_version,
        "artefact": by.artefact,
        "artefact_sha256": by.artefact_sha256,
        "preprocessing": by.preprocessing,
        "outcome": str(prediction.prediction),
    }


def _failed(failure: Exception | None) -> dict[str, str]:
    why = refusal(failure or RuntimeError())
    nothing = dict.fromkeys(("version", "artefact", "artefact_sha256", "preprocessing"), "")
    return {
        "kind": "refusal" if why.status < HTTPStatus.INTERNAL_SERVER_ERROR else "error",
        "outcome": why.code,
        **nothing,
    }


def _observation(described: Description, prediction: Prediction) -> Observation:
    figures = {"confidence": prediction.confidence, "uncertainty": prediction.uncertainty}
    if not described.labels:
        figures = {"prediction": float(prediction.prediction)}
    return Observation(
        model=described.name,
        version=prediction.provenance.model_version,
        statistics=prediction.statistics,
        figures={name: value for name, value in figures.items() if value is not None},
        label=str(prediction.prediction) if described.labels else "",
    )
