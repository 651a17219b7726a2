"""One Chromium, and one server that speaks the gateway's contract, for all pages; see `opened` for what tests share."""

from tests.support.browser import chromium
from tests.support.gateway_stand_in import server, stand_in

__all__ = ["chromium", "server", "stand_in"]
