"""What goes wrong is a sentence; what the server says is text, whatever stands in it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support import page_checks as checks
from tests.support.browser import opened
from tests.support.gateway_stand_in import MODELS, Failure, StandIn, problem, running

EVIL = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
ELSEWHERE = "https://elsewhere.example/x.png"
# Drawn by <img>, an SVG runs no script and asks for nothing; inlined, it would do both.
SVG = (
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9' onload='window.top.pwned=1'>"
    f"<image href='{ELSEWHERE}' width='9' height='9'/><script>window.top.pwned=1</script></svg>"
)
# Images that were put into the page before it have loaded, or have failed, by then.
LOADED = """() => new Promise((done) => {
  const image = new Image();
  image.onerror = () => requestAnimationFrame(() => requestAnimationFrame(done));
  image.src = "data:image/png;base64,AAAA";
})"""
PROXY = "<html><body><h1>Bad gateway</h1></body></html>"


@pytest.mark.parametrize(
    ("failure", "title", "detail"),
    [
        # Titles are the page's: a problem's own is HTTP's phrase, which is for programs.
        (
            problem(422, "corrupt_image", "Unprocessable Content", "image: the file is cut short."),
            "The input cannot be used",
            "cut short",
        ),
        (problem(404, "unknown_model", "Not Found", "Ask /model-info."), "The model is not there", "Ask /model-info."),
        (problem(413, "too_large", "Content Too Large", "At most 32 MB."), "The file is too large", "At most 32 MB."),
        (problem(429, "too_many", "Too Many Requests", "Ten a minute."), "Too many requests", "Ten a minute."),
        (
            problem(503, "overloaded", "Service Unavailable", "Its queue is full."),
            "The server is busy or not ready",
            "Its queue is full.",
        ),
        (Failure(400, "{}"), "The request was not understood", "Reload the page"),
        (Failure(403, "null"), "This key may not do that", "a key that covers this model"),
        (Failure(408, ""), "The upload took too long", "try again"),
        (Failure(413, PROXY), "The file is too large", "Send a smaller file."),
        (Failure(415, PROXY), "This kind of file is not taken", "Send a picture"),
        (Failure(418, "[]"), "The server refused", "It answered with status 418."),
        (Failure(422, {"detail": [{"loc": ["body"], "msg": "x"}]}), "The input cannot be used", "Check it"),
        (Failure(500, "Internal Server Error"), "The server failed", "tell whoever runs the server"),
        (Failure(502, PROXY), "The server is not answering", "in a minute"),
        (Failure(503, PROXY), "The server is busy or not ready", "in a moment"),
        (Failure(504, PROXY), "The server took too long", "in a moment"),
        (Failure(200, PROXY), "The answer cannot be read", "is not JSON"),
        (Failure(200, {"x": 1}), "The answer cannot be shown", "no prediction"),
        (
            Failure(200, {"prediction": "a", "probabilities": {}, "alerts": [None]}),
            "The answer cannot be shown",
            "Reload",
        ),
    ],
)
def test_every_error_is_a_sentence(chromium: Browser, stand_in: StandIn, failure: Failure, title: str, detail: str):
    stand_in.fail = failure
    with opened(chromium, stand_in.url, family="errors") as page:
        checks.ask(page, "chest_xray", {"image": checks.picture()})
        checks.check_error(page, title, detail)
        stand_in.fail = None
        page.get_by_role("button", name="Try again").click()
        checks.check_answer(page, described("chest_xray"), ["image"])


def described(name: str) -> dict[str, Any]:
    return next(each for each in MODELS if each["name"] == name)


def test_all_can_read_an_error(chromium: Browser, stand_in: StandIn):
    stand_in.fail = problem(429, "too_many", "Slow down", "Ten a minute.", **{"Retry-After": "60"})
    with opened(chromium, stand_in.url, viewport={"width": 360, "height": 740}) as page:
        checks.ask(page, "chest_xray", {"image": checks.picture()})
        checks.check_accessible(page)
        checks.check_fits(page)


def test_the_page_waits_as_long_as_it_is_told(chromium: Browser, stand_in: StandIn):
    stand_in.fail = problem(429, "too_many", "Slow down", "Ten a minute.", **{"Retry-After": "3600"})
    with opened(chromium, stand_in.url, fresh=True) as page:
        page.clock.install()
        page.reload()
        checks.ask(page, "chest_xray", {"image": checks.picture()})
        again = page.get_by_role("button", name="Try again")
        expect(page.locator(".failed")).to_contain_text("Try again in")
        page.clock.fast_forward("50:00")
        expect(again).to_be_disabled()
        page.clock.fast_forward("10:01")
        expect(again).to_be_enabled()


def test_a_server_that_is_gone(chromium: Browser):
    with ExitStack() as pages:
        with running() as mortal:
            page = pages.enter_context(opened(chromium, mortal.url, broken=True))
            checks.choose(page, "chest_xray", {"image": checks.picture()})
        page.click("#ask")
        checks.check_error(page, "The server cannot be reached", "Check that it runs")
        page.context.set_offline(True)
        page.get_by_role("button", name="Try again").click()
        checks.check_error(page, "This computer is offline", "Connect it to the network")


def test_a_server_that_is_not_up_yet(chromium: Browser, stand_in: StandIn):
    with opened(chromium, stand_in.url, broken=True) as page:
        page.wait_for_selector("#ask-form:not([hidden])")
        page.route("**/model-info", lambda route: route.fulfill(status=503, body=""))
        page.reload()
        checks.check_error(page, "The server is busy or not ready", "Try again")
        page.unroute("**/model-info")
        page.get_by_role("button", name="Try again").click()
        page.wait_for_selector("#ask-form:not([hidden])")


@pytest.mark.parametrize(
    ("told", "title"), [('{"models": 7}', "The server is not understood"), ('{"models": []}', "No model is there")]
)
def test_a_server_that_tells_of_no_model(chromium: Browser, stand_in: StandIn, told: str, title: str):
    with opened(chromium, stand_in.url, fresh=True) as page:
        page.route("**/model-info", lambda route: route.fulfill(status=200, body=told))
        page.reload()
        checks.check_error(page, title, "")


def test_a_network_that_did_not_pass_its_checks_says_so(chromium: Browser, stand_in: StandIn):
    provenance = {"weights": "trained", "calibrated": False, "published_anyway": "nothing better is there"}
    stand_in.change = {"provenance": provenance}
    with opened(chromium, stand_in.url) as page:
        checks.ask(page, "chest_xray", {"image": checks.picture()})
        expect(page.locator(".banner.review")).to_contain_text("nothing better is there")
        expect(page.locator(".bars + .hint")).to_contain_text("Not calibrated")


def test_a_file_that_was_deleted(chromium: Browser, stand_in: StandIn, tmp_path: Path):
    file = tmp_path / "x.png"
    file.write_bytes(checks.picture())
    with opened(chromium, stand_in.url, broken=True) as page:
        checks.choose(page, "chest_xray", {"image": file})
        expect(page.locator(".zone.filled img")).to_be_visible()
        file.unlink()
        page.click("#ask")
        checks.check_error(page, "The file cannot be read", "Choose it again.")
        assert stand_in.received == []


def test_an_empty_file_is_not_taken_for_an_absent_one(chromium: Browser, stand_in: StandIn):
    """Zero bytes would mean: none was sent."""
    with opened(chromium, stand_in.url) as page:
        checks.ask(page, "brain_fusion", {"ct": b"", "mri": checks.picture()})
        checks.check_error(page, "The file is empty", "Choose another")
        assert stand_in.received == []


def hostile(described: dict[str, Any]) -> dict[str, Any]:
    """A model all of whose words are markup."""
    texts = dict.fromkeys(("task", "intended_use", "disclaimer", "version", "claim", "unit"), EVIL)
    inputs = [{**each, "meaning": EVIL} for each in described["inputs"]]
    return {**described, **texts, "limits": [EVIL], "labels": [EVIL, "b"], "inputs": inputs}


def harmless(page: Page) -> None:
    page.evaluate(LOADED)
    assert page.evaluate("window.pwned") is None
    assert page.locator("img[src=x], body script, [onerror]").count() == 0


def test_markup_in_answers_is_text(chromium: Browser, stand_in: StandIn):
    stand_in.models = [hostile(described("chest_xray"))]
    stand_in.change = {
        "prediction": EVIL,
        "probabilities": {EVIL: 0.9, "b": 0.1},
        "risk_level": EVIL,
        "needs_review": True,
        "review_reasons": [EVIL],
        "alerts": [{"label": EVIL, "probability": 0.9, "at_least": 0.2}],
        "modalities": [EVIL],
        "provenance": {EVIL: EVIL, "weights": "untrained"},
        "statistics": {EVIL: 1.0},
        "timestamp": EVIL,
        "prediction_id": EVIL,
        EVIL: EVIL,
    }
    with opened(chromium, stand_in.url) as page:
        checks.choose(page, "chest_xray", {"image": checks.picture()}, name=f"{EVIL.replace('/', '')}.png")
        page.click("#ask")
        expect(page.locator(".found")).to_have_text(EVIL)
        expect(page.locator(".banner.review li")).to_have_text(EVIL)
        checks.open_all(page)
        harmless(page)
        page.reload()
        page.locator(".recent-item").click()
        expect(page.locator(".found")).to_have_text(EVIL)
        harmless(page)


def test_markup_in_errors_is_text(chromium: Browser, stand_in: StandIn):
    stand_in.fail = problem(422, EVIL, EVIL, EVIL)
    with opened(chromium, stand_in.url) as page:
        checks.ask(page, "chest_xray", {"image": checks.picture()})
        checks.check_error(page, EVIL, EVIL)
        harmless(page)


@pytest.mark.parametrize("address", [ELSEWHERE, "javascript:window.pwned=1", "data:text/html,<p>", SVG, 7, None])
def test_pictures_are_data_and_nothing_else(chromium: Browser, stand_in: StandIn, address: object):
    """`opened` sees to it that nobody elsewhere is asked."""
    stand_in.change = {"pictures": {"smiles": address}, "heatmaps": {"smiles": address}}
    with opened(chromium, stand_in.url, family="pictures") as page:
        checks.ask(page, "solubility", {"smiles": "CCO"})
        checks.check_answer(page, described("solubility"), ["smiles"])
        expect(page.locator(".paper img")).to_have_count(1 if address == SVG else 0)
        harmless(page)


def test_a_kept_result_that_somebody_spoilt(chromium: Browser, stand_in: StandIn):
    with opened(chromium, stand_in.url) as page:
        for spoilt in ("{", "7", '[{"answer": 7}, null]', '[{"answer": {}, "copies": {"image": "javascript:1"}}]'):
            page.evaluate("(text) => sessionStorage.setItem('medserve.recent', text)", spoilt)
            page.reload()
            checks.ask(page, "solubility", {"smiles": "CCO"})
            checks.check_answer(page, described("solubility"), ["smiles"])
