"""What must hold of the page before any gateway: each check takes a page that is open, and what it should show."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect

Sent = Path | bytes | str  # a file, a picture's bytes, or text
ANSWER = "#answer-body .result"
FAILED = "#answer-body .failed"
# Best practices beyond WCAG too: landmarks, headings. Of the rules that pass, one example each is enough.
AXE = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
CONTRAST = {"resultTypes": ["violations"], "runOnly": {"type": "rule", "values": ["color-contrast"]}}
BARS = """() => {
  const all = (selector, read) => [...document.querySelectorAll(`.bars ${selector}`)].map(read);
  const width = (node) => node.getBoundingClientRect().width;
  return {
    names: all(".bar-label", (node) => node.innerText),
    numbers: all(".bar-number", (node) => node.innerText),
    shares: all("[role=meter]", (node) => parseFloat(node.getAttribute("aria-valuenow"))),
    widths: all(".fill", width),
    whole: width(document.querySelector(".bars .track")),
  };
}"""


@cache
def picture(kind: str = "PNG", size: tuple[int, int] = (300, 240)) -> bytes:
    """A drawing that no network was trained on; brighter to the right, with a disc."""
    image = Image.linear_gradient("L").rotate(90).resize(size).convert("RGB")
    ImageDraw.Draw(image).ellipse(
        (size[0] // 2, size[1] // 3, size[0] * 3 // 4, size[1] * 2 // 3), fill=(190, 120, 110)
    )
    kept = io.BytesIO()
    image.save(kept, kind)
    return kept.getvalue()


def choose(page: Page, model: str, values: Mapping[str, Sent], name: str = "picture.png") -> None:
    """The model, then each input; `name` is that of the files."""
    page.wait_for_selector("#ask-form:not([hidden])")
    page.select_option("#model", model)
    for part, value in values.items():
        field = f"#input-{part}"
        if isinstance(value, str):
            page.fill(field, value)
        elif isinstance(value, Path):
            page.set_input_files(field, value)
        else:
            page.set_input_files(field, {"name": name, "mimeType": "image/png", "buffer": value})


def ask(page: Page, model: str, values: Mapping[str, Sent]) -> None:
    """Until an answer or a sentence is there."""
    choose(page, model, values)
    page.click("#ask")
    page.wait_for_selector(f"{ANSWER}, {FAILED}")


def check_answer(page: Page, described: Mapping[str, Any], sent: Sequence[str]) -> None:
    """Everything that an answer must show, of a model that /model-info describes so.

    Args:
        sent: names of the inputs that were.
    """
    shown = page.locator(ANSWER)
    expect(shown).to_be_visible()
    expect(shown.locator(".disclaimer")).to_have_text(described["disclaimer"])
    expect(shown.locator(".banner.review, .banner.calm")).to_have_count(1)
    expect(shown.locator(".banner.untrained")).to_have_count(0 if described["trained"] else 1)
    expect(shown.locator("details summary").first).to_have_text("What computed it")
    if described["labels"]:
        _check_probabilities(page, described["labels"])
    else:
        expect(shown.locator(".found")).to_contain_text(described["unit"])
        expect(shown.locator(".scale")).to_have_attribute("aria-label", re.compile(re.escape(described["unit"])))
    pictures = [each["name"] for each in described["inputs"] if each["picture"] and each["name"] in sent]
    expect(shown.locator("canvas")).to_have_count(len(pictures))
    assert page.locator("#status").inner_text().find(described["name"]) >= 0


def _check_probabilities(page: Page, labels: Sequence[str]) -> None:
    """A bar for each label, the highest first, with its number; and it leads the page."""
    bars = page.evaluate(BARS)
    shares = bars["shares"]
    assert sorted(bars["names"]) == sorted(labels)
    assert shares == sorted(shares, reverse=True)
    assert abs(sum(shares) - 1) < 1e-3
    whole = bars["whole"]
    assert all(abs(width - max(2, whole * share)) < 1 for width, share in zip(bars["widths"], shares, strict=True))
    assert all(re.search(r"\d%$", number) for number in bars["numbers"])
    assert page.locator(".found").inner_text() == bars["names"][0]


def check_error(page: Page, title: str, detail: str) -> None:
    """A sentence where the answer would be, read aloud at once, with a way on."""
    failed = page.locator(FAILED)
    expect(failed.locator("[role=alert]")).to_contain_text(title)
    expect(failed.locator("[role=alert]")).to_contain_text(detail)
    expect(failed.locator("button")).to_have_text("Try again")
    expect(page.locator(ANSWER)).to_have_count(0)


def check_fits(page: Page) -> None:
    """Nothing sticks out to the right."""
    wide = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide[0] <= wide[1], f"{wide[0]} px of content on {wide[1]} px"


def open_all(page: Page) -> None:
    """Everything that can be unfolded."""
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")


def check_accessible(page: Page) -> None:
    """axe finds nothing: names, roles, landmarks, and the contrast of every text on plain ground, by day and by night.

    Only contrast depends on the colour scheme.
    """
    open_all(page)
    for scheme, options in (("light", AXE), ("dark", CONTRAST)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        loaded = page.evaluate("'axe' in window")
        found = (Axe("") if loaded else Axe()).run(page, options=options)
        assert found.violations_count == 0, f"{scheme}: {found.generate_report()}"
        assert found.response["passes"], scheme


def check_contrast(page: Page) -> None:
    """Text that lies on stripes, which axe passes over, and edges of what is operated, of which it knows nothing."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        _check_contrast(page)


def _check_contrast(page: Page) -> None:
    colours = page.evaluate(
        """(names) => {
          const style = getComputedStyle(document.documentElement);
          return Object.fromEntries(names.map((name) => [name, style.getPropertyValue("--" + name).trim()]));
        }""",
        ["on-danger", "danger", "danger-stripe", "field-line", "surface", "raised", "accent", "track", "paper"],
    )
    assert contrast(colours["on-danger"], colours["danger"]) >= 4.5
    assert contrast(colours["on-danger"], colours["danger-stripe"]) >= 4.5
    for ground in ("surface", "raised"):
        assert contrast(colours["field-line"], colours[ground]) >= 3
    for ground in ("surface", "raised", "track", "paper"):  # what has the focus, and the leading bar
        assert contrast(colours["accent"], colours[ground]) >= 3


def contrast(one: str, other: str) -> float:
    """Of two #rrggbb. Source: WCAG 2.2, contrast ratio."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def check_slider(page: Page) -> None:
    """The map's opacity changes the picture, and at 0 the picture is all that is left."""
    slider = page.locator("#opacity")
    pixels = {}
    for opacity in ("0", "50", "100"):
        slider.fill(opacity)
        pixels[opacity] = page.evaluate("document.querySelector('.lightbox canvas').toDataURL()")
        expect(page.locator(".slider output")).to_have_text(f"{opacity}%")
    assert len(set(pixels.values())) == 3


def check_history(page: Page, secrets: Sequence[str]) -> None:
    """Nothing that tells who it was is kept, and clearing leaves nothing."""
    kept = page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}])")
    assert "medserve.recent" in kept
    assert [secret for secret in secrets if secret in kept] == []
    assert page.evaluate("indexedDB.databases()") == []
    page.click("#clear-recent")
    expect(page.locator("#recent")).to_be_hidden()
    assert "medserve.recent" not in page.evaluate("JSON.stringify({...sessionStorage})")
