"""Who may ask, and how much: keys, tokens, limits, headers. It knows no route of the application but the page's."""

from __future__ import annotations

from gateway.access.caller import ANYONE, SCOPES, Caller
from gateway.access.errors import AccessError
from gateway.access.middleware import AccessMiddleware
from gateway.access.settings import AccessSettings, is_open

__all__ = ["ANYONE", "SCOPES", "AccessError", "AccessMiddleware", "AccessSettings", "Caller", "is_open"]
