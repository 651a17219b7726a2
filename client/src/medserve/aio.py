"""The client for one event loop."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from medserve.address import TLS, Address
from medserve.batch import AHEAD, Bar, Outcome, check_batch, failed, size_of
from medserve.calls import AsyncTransport
from medserve.client import DEFAULT_URL
from medserve.core import Core, Procedure, Send, Step, Work
from medserve.description import Description, Health
from medserve.errors import ClientClosed, MedServeError
from medserve.items import Sendable
from medserve.prediction import Prediction
from medserve.retry import Retry
from medserve.transports import connected_async

T = TypeVar("T")


class AsyncClient:
    """Calls the models of one server. Knows none by name: it asks the server to describe them.

    Any number of tasks of one event loop may use one client; it belongs to the loop of its first call, and
    another's use of it is an error. It opens nothing before that call, and reconnects by itself. Files are read,
    and pictures written, in threads. After a fork, make another.

    Args:
        url: grpc://, grpcs://, http:// or https:// host:port.
        timeout_s: of each call, in all: connecting, further attempts and the answer. The server is told
            of it, and drops what nobody waits for; a cancelled task drops its call too.
        retry: when to ask again; see Retry.
        tls: own authorities or a client's certificate, for grpcs:// and https://.
        headers: sent with each call: HTTP headers, gRPC metadata.
        api_key: sent as `authorization: Bearer …`; refused over plain connections to other machines.
        preprocess: read files here and send the network's own input: less to send, the same answer bit for
            bit, or an error where this side's libraries are not the server's; `pip install 'medserve[preprocess]'`.
        transport: in the place of a connection; see `medserve.testing`.

    Raises:
        ValueError: another kind of URL, no finite timeout, a key that others could read.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout_s: float = 30.0,
        retry: Retry | None = None,
        tls: TLS | None = None,
        headers: Mapping[str, str] | None = None,
        api_key: str | None = None,
        preprocess: bool = False,
        transport: AsyncTransport | None = None,
    ) -> None:
        self._core = Core(timeout_s, retry or Retry(), preprocess=preprocess)
        self._address = Address.read(url, tls, headers, api_key)
        self._transport = transport
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = os.getpid()
        self._closed = False

    async def predict(
        self,
        model: str,
        inputs: Mapping[str, Sendable] | None = None,
        /,
        *,
        timeout_s: float | None = None,
        **named: Sendable,
    ) -> Prediction:
        """Ask one model about one item.

        Args:
            model: its name on the server, such as "chest_xray".
            inputs: by the model's input names; the same as keywords.
            timeout_s: in the place of the client's.
            named: by the model's input names; an optional one may be left out. A path, an open file or
                bytes is sent as the file's bytes; a PIL image or an array (uint8 or uint16 [h, w], uint8
                [h, w, 3] RGB) as a PNG; a pydicom Dataset as DICOM; a str as text: a SMILES, base64 or a
                `data:` URI.

        Raises:
            InvalidInput: the server refused the input, or a name or type is wrong.
            MedServeError: see `medserve.errors`.
        """
        return await self._run(self._core.predict(model, {**(inputs or {}), **named}, timeout_s))

    async def predict_batch(
        self,
        model: str,
        items: Iterable[T] | AsyncIterable[T],
        *,
        concurrency: int = 16,
        timeout_s: float | None = None,
        progress: bool = False,
    ) -> AsyncIterator[Outcome[T]]:
        """Ask one model about many items, several at once; outcomes come in the order of the items.

        One that fails is an outcome with an error, whatever the reason; the others go on. Takes no more than a
        few items ahead of what was yielded, so that any iterable will do, an endless one too. Sends nothing
        until it is iterated.

        Args:
            model: its name on the server.
            items: mappings of input names to values, or values where the model has one input.
            concurrency: calls under way at once.
            timeout_s: of each item, in the place of the client's.
            progress: show a bar on stderr; needs rich: `pip install 'medserve[cli]'`.
        """
        check_batch(items, concurrency)
        bar = Bar(progress, model, size_of(items))
        turns = asyncio.Semaphore(concurrency)
        waiting: deque[asyncio.Task[Outcome[T]]] = deque()
        with bar.showing():
            try:
                index = 0
                async for item in _each(items):
                    waiting.append(asyncio.create_task(self._outcome(turns, model, index, item, timeout_s)))
                    index += 1
                    while waiting and (len(waiting) >= AHEAD * concurrency or waiting[0].done()):
                        yield await waiting[0]
                        waiting.popleft()
                        bar.advance()
                while waiting:
                    yield await waiting[0]
                    waiting.popleft()
                    bar.advance()
            finally:
                for left in waiting:
                    left.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)

    async def models(self, *, timeout_s: float | None = None) -> dict[str, Description]:
        """All models of the server by name, asked anew.

        Raises:
            MedServeError: see `medserve.errors`.
        """
        return await self._run(self._core.models(timeout_s))

    async def describe(self, model: str, /, *, timeout_s: float | None = None) -> Description:
        """What the server says of a model. Asked once, for all models together.

        Raises:
            UnknownModel: the server has no such model; the message lists those that it has.
            MedServeError: see `medserve.errors`.
        """
        return await self._run(self._core.describe(model, timeout_s))

    async def seen(
        self,
        model: str,
        inputs: Mapping[str, Sendable] | None = None,
        /,
        *,
        timeout_s: float | None = None,
        **named: Sendable,
    ) -> dict[str, NDArray[np.uint8]]:
        """The pictures of one item as the network sees them: UINT8 [h, w, 3] by input name, RGB.

        Raises:
            MedServeError: as `predict`.
        """
        return await self._run(self._core.seen(model, {**(inputs or {}), **named}, timeout_s))

    async def health(self, *, timeout_s: float | None = None) -> Health:
        """Whether the server and each of its models can be used now. A server that is not there is an answer too."""
        return await self._run(self._core.health(timeout_s))

    async def wait_until_ready(self, *models: str, timeout_s: float | None = None) -> None:
        """Return when the server, and these models, can be used.

        Raises:
            TimedOut: they could not within timeout_s; the message says what is missing.
        """
        await self._run(self._core.wait_until_ready(models, timeout_s))

    async def close(self) -> None:
        """End the connections. May be called twice."""
        self._closed = True
        if self._transport is not None:
            await self._transport.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _outcome(
        self, turns: asyncio.Semaphore, model: str, index: int, item: T, timeout_s: float | None
    ) -> Outcome[T]:
        async with turns:
            try:
                return Outcome(index, item, await self._run(self._core.predict_item(model, item, timeout_s)))
            except Exception as exc:  # one item's failure is never the batch's
                return failed(index, item, exc)

    async def _run(self, procedure: Procedure[T]) -> T:
        """Do what the procedure says, until it returns."""
        transport = self._open()
        try:
            step = next(procedure)
            while True:
                try:
                    answer = await _do(transport, step)
                except MedServeError as exc:
                    step = procedure.throw(exc)
                else:
                    step = procedure.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    def _open(self) -> AsyncTransport:
        if self._closed:
            raise ClientClosed("client: expected an open one, got a closed one")
        if os.getpid() != self._process:
            raise ClientClosed("client: expected one made in this process, got its parent's. Make one after the fork.")
        loop = asyncio.get_running_loop()
        if self._loop not in (None, loop):
            raise ClientClosed("client: expected the event loop of its first call, got another. Make one in each loop.")
        self._loop = loop
        if self._transport is None:
            self._transport = connected_async(self._address)
        return self._transport


async def _do(transport: AsyncTransport, step: Step) -> Any:
    if isinstance(step, Send):
        return await transport.send(step.call, step.timeout_s)
    if isinstance(step, Work):
        return await asyncio.to_thread(step.function)
    return await asyncio.sleep(step.seconds)


async def _each(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
