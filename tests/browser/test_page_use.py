"""How the page is worked: keyboard, dropping, pasting, cancelling, a key; and how its files are served."""

from __future__ import annotations

import re
import threading

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support import page_checks as checks
from tests.support.browser import opened
from tests.support.clock import until
from tests.support.gateway_stand_in import MODELS, StandIn

# A file, as a hand would bring it: base64 → an event with a DataTransfer.
BRING = """([selector, kind, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], "x.png", { type: "image/png" }));
  const given = kind === "paste" ? { clipboardData: transfer } : { dataTransfer: transfer };
  const event = kind === "paste" ? new ClipboardEvent(kind, { ...given, bubbles: true, cancelable: true })
    : new DragEvent(kind, { ...given, bubbles: true, cancelable: true });
  document.querySelector(selector).dispatchEvent(event);
  return event.defaultPrevented;
}"""


def bring(page: Page, selector: str, kind: str) -> bool:
    import base64

    return page.evaluate(BRING, [selector, kind, base64.b64encode(checks.picture()).decode()])


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")


def arrived(page: Page, stand_in: StandIn) -> None:
    """Wait until the server works on a question."""
    page.wait_for_function("() => document.querySelector('.pending')")
    until(lambda: stand_in.received, "a question")


def tab_to(page: Page, wanted: str) -> list[str]:
    """Tab until that has the focus; every stop on the way must show that it has it."""
    passed = []
    for _ in range(40):
        page.keyboard.press("Tab")
        passed.append(focused(page))
        assert page.evaluate(
            """() => {
              const active = document.activeElement;
              const shown = [active, active.closest(".zone"), active.nextElementSibling];
              return shown.some((node) => node?.offsetWidth > 1
                && getComputedStyle(node).outlineStyle !== "none"
                && parseFloat(getComputedStyle(node).outlineWidth) >= 2);
            }"""
        ), f"{passed[-1]} does not show the focus"
        if passed[-1] == wanted:
            return passed
    raise AssertionError(f"never came to {wanted}: {passed}")


def test_a_result_without_a_mouse(chromium: Browser, stand_in: StandIn):
    with opened(chromium, stand_in.url, fresh=True) as page:
        page.on("filechooser", lambda _: None)  # from now on: told to the browser late, a dialogue would be lost
        page.wait_for_selector("#ask-form:not([hidden])")
        passed = tab_to(page, "model")
        assert passed[0] == "Skip to the answer"
        page.keyboard.press("Space")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        chosen = page.locator("#model option:checked").get_attribute("value")
        assert chosen == MODELS[1]["name"]
        for part in ("ct", "mri"):
            tab_to(page, f"input-{part}")
            with page.expect_file_chooser() as choosing:
                page.keyboard.press("Enter")
            choosing.value.set_files({"name": "x.png", "mimeType": "image/png", "buffer": checks.picture()})
            expect(page.locator(f"[data-input={part}] .zone.filled img")).to_be_visible()
            assert focused(page) == f"input-{part}"  # not lost when the zone was drawn anew
        tab_to(page, "ask")
        page.keyboard.press("Enter")
        checks.check_answer(page, MODELS[1], ["ct", "mri"])
        tab_to(page, "opacity")
        page.keyboard.press("ArrowRight")
        expect(page.locator(".slider output")).to_have_text("60%")
        tab_to(page, "What computed it")
        page.keyboard.press("Enter")
        expect(page.locator("details.more").first).to_have_attribute("open", "")


def test_enter_in_the_text_field_asks(chromium: Browser, stand_in: StandIn):
    with opened(chromium, stand_in.url) as page:
        checks.choose(page, "solubility", {"smiles": "CCO"})
        page.keyboard.press("Enter")
        checks.check_answer(page, MODELS[-1], ["smiles"])


@pytest.mark.parametrize(("selector", "kind"), [(".zone", "drop"), ("footer, main", "drop"), ("body", "paste")])
def test_a_file_is_dropped_or_pasted(chromium: Browser, stand_in: StandIn, selector: str, kind: str):
    """Beside the zone too, where a browser would leave the page to show the file."""
    with opened(chromium, stand_in.url) as page:
        page.wait_for_selector("#ask-form:not([hidden])")
        prevented = bring(page, selector, kind)
        assert prevented or kind == "paste"
        expect(page.locator(".zone.filled img")).to_be_visible()
        page.click("#ask")
        checks.check_answer(page, MODELS[0], ["image"])


def test_two_pictures_fill_two_zones(chromium: Browser, stand_in: StandIn):
    with opened(chromium, stand_in.url) as page:
        checks.choose(page, "brain_fusion", {})
        bring(page, "body", "paste")
        bring(page, "body", "paste")
        expect(page.locator(".zone.filled")).to_have_count(2)
        page.get_by_role("button", name="Remove CT").click()
        expect(page.locator(".zone.filled")).to_have_count(1)
        assert focused(page) == "input-ct"


def test_a_picture_for_a_model_of_text_is_a_sentence(chromium: Browser, stand_in: StandIn):
    with opened(chromium, stand_in.url) as page:
        checks.choose(page, "solubility", {})
        bring(page, "body", "paste")
        expect(page.locator("#form-problem")).to_contain_text("takes no picture")


def test_the_picture_stays_when_the_model_changes(chromium: Browser, stand_in: StandIn):
    with opened(chromium, stand_in.url) as page:
        checks.choose(page, "chest_xray", {"image": checks.picture()})
        expect(page.locator(".zone.filled img")).to_be_visible()
        page.select_option("#model", "pneumonia")
        expect(page.locator(".zone.filled img")).to_be_visible()
        page.click("#ask")
        checks.check_answer(page, next(each for each in MODELS if each["name"] == "pneumonia"), ["image"])


def test_a_second_question_ends_the_first(chromium: Browser, stand_in: StandIn):
    """The first comes back later than the second, and must not stand in its place."""
    with opened(chromium, stand_in.url) as page:
        first = stand_in.answering
        first.clear()
        checks.choose(page, "chest_xray", {"image": checks.picture()})
        page.click("#ask")
        expect(page.locator(".pending")).to_contain_text("chest_xray")
        arrived(page, stand_in)
        with page.expect_event("requestfailed", lambda request: "chest_xray" in request.url):
            stand_in.answering = threading.Event()
            stand_in.answering.set()
            checks.choose(page, "skin_lesion", {})
            page.click("#ask")
        expect(page.locator(".eyebrow .name")).to_have_text("skin_lesion")
        first.set()
        until(lambda: stand_in.answered == 2, "the first answer")
        checks.ask(page, "skin_lesion", {})  # after which the page has seen what came before
        expect(page.locator(".eyebrow .name")).to_have_text("skin_lesion")
        expect(page.locator(".recent-more")).to_contain_text(["skin_lesion"] * 2)


def test_a_question_is_taken_back(chromium: Browser, stand_in: StandIn):
    with opened(chromium, stand_in.url) as page:
        stand_in.answering.clear()
        checks.choose(page, "chest_xray", {"image": checks.picture()})
        page.click("#ask")
        expect(page.locator("#answer")).to_have_attribute("aria-busy", "true")
        arrived(page, stand_in)
        with page.expect_event("requestfailed"):
            page.click("#cancel")
        expect(page.locator("#status")).to_have_text("Cancelled.")
        expect(page.locator(".pending, .failed, .result")).to_have_count(0)


def test_a_key_is_asked_for_and_kept_in_the_tab(chromium: Browser, stand_in: StandIn):
    stand_in.key = "right-key"
    with opened(chromium, stand_in.url) as page:
        page.wait_for_selector("#key-form:not([hidden])")
        assert focused(page) == "key"
        for given, sentence in (("falsch ü", "no spaces"), ("wrong-key", "Send a key that this server knows.")):
            page.fill("#key", given)
            page.keyboard.press("Enter")
            expect(page.locator("#key-problem")).to_contain_text(sentence)
        page.fill("#key", "right-key")
        page.keyboard.press("Enter")
        checks.ask(page, "solubility", {"smiles": "CCO"})
        checks.check_answer(page, MODELS[-1], ["smiles"])
        assert page.evaluate("JSON.stringify({...localStorage}) + document.cookie") == "{}"
        page.reload()
        checks.ask(page, "solubility", {"smiles": "CCO"})
        page.click("#forget-key")
        page.wait_for_selector("#key-form:not([hidden])")
        assert "right-key" not in page.evaluate("JSON.stringify({...sessionStorage})")
        assert "right-key" not in page.content()
        assert "log mol/L" not in page.evaluate("JSON.stringify({...sessionStorage}) + document.body.innerText")


def test_a_key_that_was_withdrawn_is_asked_for_again(chromium: Browser, stand_in: StandIn):
    stand_in.key = "old-key"
    with opened(chromium, stand_in.url) as page:
        page.fill("#key", "old-key")
        page.keyboard.press("Enter")
        checks.choose(page, "solubility", {"smiles": "CCO"})
        stand_in.key = "new-key"
        page.click("#ask")
        expect(page.locator("#key-form")).to_be_visible()
        page.fill("#key", "new-key")
        page.keyboard.press("Enter")
        expect(page.locator("#input-smiles")).to_have_value("CCO")  # nothing is typed twice
        page.click("#ask")
        checks.check_answer(page, MODELS[-1], ["smiles"])


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/page/index.html", "text/html; charset=utf-8"),
        ("/page/main.js", "text/javascript; charset=utf-8"),
        ("/page/tokens.css", "text/css; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ],
)
def test_files_have_a_type_and_are_sent_once(stand_in: StandIn, path: str, media_type: str):
    first = httpx.get(stand_in.url + path)
    again = httpx.get(stand_in.url + path, headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, first.headers["Content-Type"]) == (200, media_type)
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["Cache-Control"] == "no-cache"
    assert "default-src 'none'" in first.headers["Content-Security-Policy"]
    assert httpx.head(stand_in.url + path).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["__init__.py", "__pycache__", "", "../app.py", "%2e%2e/%2e%2e/pyproject.toml", "..%2fpage%2fmain.js%00", "x.js"],
)
def test_nothing_else_of_the_folder_is_served(stand_in: StandIn, path: str):
    assert httpx.get(f"{stand_in.url}/page/{path}").status_code == 404


def test_the_page_is_no_part_of_the_interface(stand_in: StandIn):
    paths = httpx.get(f"{stand_in.url}/openapi.json").json()["paths"]
    assert not [path for path in paths if path == "/" or re.match("/page", path)]
