"""A real Chromium, and pages that tell what went wrong in them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

REFUSED = "Failed to load resource: the server responded with a status of"  # the browser's own line, of any 4xx
TIMEOUT_MS = 120_000  # only ends a hang
expect.set_options(timeout=TIMEOUT_MS)
WATCH = """
window.__violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.__violations.push(`${event.effectiveDirective}: ${event.blockedURI}`));
"""


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Debian's, headless. It ends with the package: as long as it runs, asyncio.run() is refused in this thread."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs Chromium; no `chromium` on the path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Watched:
    """What a page did that no page of ours may do."""

    origin: str
    elsewhere: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and f"{parts.scheme}://{parts.netloc}" != self.origin:
            self.elsewhere.append(request.url)

    def console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(REFUSED):
            self.said.append(message.text)


@contextmanager
def opened(browser: Browser, url: str, *, broken: bool = False, **context: Any) -> Iterator[Page]:
    """The page in a fresh profile; at the end it must have asked nobody else and complained of nothing.

    Args:
        url: of the gateway.
        broken: the network is, on purpose: the browser says so on its console.
        context: of `Browser.new_context`: `color_scheme`, `viewport`, …
    """
    profile = browser.new_context(**({"reduced_motion": "reduce"} | context))
    page = profile.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    watched = Watched(url.rstrip("/"))
    page.add_init_script(WATCH)
    page.on("request", watched.request)
    page.on("console", watched.console)
    page.on("pageerror", lambda error: watched.said.append(str(error)))
    page.goto(url)
    yield page
    assert watched.elsewhere == []
    assert page.evaluate("window.__violations") == []
    assert broken or watched.said == []
    profile.close()
