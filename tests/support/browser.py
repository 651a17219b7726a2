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


# Each window of Chromium loads two pages of its own for the hidden address bar, which took half of the time.
# Chromium takes only the last such list, so the entries of Playwright's own list that matter here are repeated.
UNUSED = (
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup", "SpareRendererForSitePerProcess",
    "AimEnabled", "AvoidCorsURLLoaderRestartOnRedirect", "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose", "HttpsFirstBalancedModeAutoEnable", "HttpsUpgrades", "LensOverlay", "MediaRouter",
    "NetworkTimeServiceQuerying", "OptimizationHints", "PaintHolding", "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
)  # fmt: skip
VIEWPORT = {"width": 1280, "height": 720}


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Debian's, headless. It ends with the package: as long as it runs, asyncio.run() is refused in this thread."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs Chromium; no `chromium` on the path")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", f"--disable-features={','.join(UNUSED)}"]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        _kept.pop(browser, None)
        browser.close()


@dataclass
class Watched:
    """A page, and what it did that no page of ours may do."""

    page: Page
    origin: str
    family: str = ""
    elsewhere: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and f"{parts.scheme}://{parts.netloc}" != self.origin:
            self.elsewhere.append(request.url)

    def console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(REFUSED):
            self.said.append(message.text)


_kept: dict[Browser, Watched] = {}


@contextmanager
def opened(
    browser: Browser,
    url: str,
    *,
    broken: bool = False,
    fresh: bool = False,
    family: str = "",
    viewport: dict[str, int] = VIEWPORT,
    color_scheme: Any = "light",
) -> Iterator[Page]:
    """Load the page with empty storage; after the test, fail if it sent requests elsewhere or logged errors.

    The tab of the previous test is reused, unless that test failed.

    Args:
        url: of the gateway.
        broken: the network is, on purpose: the browser says so on its console.
        fresh: use a separate profile that no other test gets: for what a reload does not undo, as routes and clocks.
        family: name of tests that send a request and check the response, and do not depend on earlier ones: the first
            loads the page, the others reuse it as it is.
    """
    alone = fresh or broken
    watched = None if alone else _kept.pop(browser, None)
    if watched and watched.origin != url.rstrip("/"):
        watched.page.context.close()
        watched = None
    loaded = watched is not None and family != "" and watched.family == family
    if watched is None:
        watched = _new(browser, url)
    elif not loaded:
        watched.page.evaluate("sessionStorage.clear(); localStorage.clear()")
    page = watched.page
    page.set_viewport_size(viewport)  # type: ignore[arg-type]
    page.emulate_media(color_scheme=color_scheme, reduced_motion="reduce")
    if not loaded:
        page.goto(url)
    watched.family = family
    try:
        yield page
        assert watched.elsewhere == []
        assert page.evaluate("window.__violations") == []
        assert broken or watched.said == []
    except BaseException:
        alone = True
        raise
    finally:
        if alone:
            page.context.close()
        else:
            _kept[browser] = watched


def _new(browser: Browser, url: str) -> Watched:
    """A tab in a profile of its own."""
    page = browser.new_context().new_page()
    page.set_default_timeout(TIMEOUT_MS)
    watched = Watched(page, url.rstrip("/"))
    page.add_init_script(WATCH)
    page.on("request", watched.request)
    page.on("console", watched.console)
    page.on("pageerror", lambda error: watched.said.append(str(error)))
    return watched
