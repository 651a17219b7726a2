"""What nobody foresaw, kept from the log: an exception's message and its traceback may quote what was sent."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.audit import AuditError

_OURS = re.compile(r"/(gateway|medserve)/")
_OF_THE_OPERATOR = (ValueError, OSError, AuditError)  # at the start: a variable, a file, a database


class Contained:
    """Pure ASGI, around an application that answers its own failures and then raises them once more.

    Of a request that failed it tells where, and the kind; of a start that failed the sentence, without a traceback.

    Args:
        app: the application.
        say: tells the operator.
    """

    def __init__(self, app: ASGIApp, say: Callable[[str], None]) -> None:
        self._app, self._say = app, say

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._start(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:  # nobody is there to be answered
            return
        except Exception as exc:
            self._say(f"a route failed: {type(exc).__name__} in {_place(exc)}")

    async def _start(self, scope: Scope, receive: Receive, send: Send) -> None:
        failed: list[Message] = []

        async def hold(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                failed.append(message)
            else:
                await send(message)

        try:
            await self._app(scope, receive, hold)
        except _OF_THE_OPERATOR as exc:
            failed = [{"type": "lifespan.startup.failed", "message": str(exc)}] if failed else []
        finally:
            for message in failed:
                await send(message)


def _place(exc: Exception) -> str:
    """The innermost line of ours."""
    frames = traceback.extract_tb(exc.__traceback__)
    ours = [frame for frame in frames if _OURS.search(frame.filename) and frame.filename != __file__] or frames
    return f"{ours[-1].filename.rpartition('/')[2]}:{ours[-1].lineno}" if ours else "an unknown place"
