"""The page in a real Chromium, before a server that speaks the gateway's contract."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from rdkit import Chem

from tests.support import page_checks as checks
from tests.support.browser import opened
from tests.support.gateway_stand_in import MODELS, StandIn

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
NAMES = [each["name"] for each in MODELS]
PHONE = {"width": 360, "height": 740}
WIDE = {"width": 1360, "height": 900}
DICOM = bytes(128) + b"DICM" + bytes(400)


def values_of(described: dict) -> dict[str, checks.Sent]:
    return {each["name"]: checks.picture() if each["picture"] else ASPIRIN for each in described["inputs"]}


def ask(page: Page, name: str) -> None:
    checks.ask(page, name, values_of(described(name)))


def described(name: str) -> dict:
    return next(each for each in MODELS if each["name"] == name)


@pytest.mark.parametrize("name", NAMES)
def test_every_model_is_answered_on_a_phone_too(chromium: Browser, stand_in: StandIn, name: str):
    with opened(chromium, stand_in.url, family="each model", viewport=PHONE) as page:
        ask(page, name)
        checks.check_fits(page)
        checks.check_answer(page, described(name), list(values_of(described(name))))
        path, parts = stand_in.received[-1]
    assert path == f"/predict/{name}?heatmap=png&explain=seen"
    assert {part: content for part, (_, content) in parts.items()} == {
        part: value.encode() if isinstance(value, str) else value for part, value in values_of(described(name)).items()
    }


def test_the_page_names_no_model(chromium: Browser, stand_in: StandIn):
    """What it offers is what /model-info tells, one that nobody has heard of and one that is not served too."""
    new = described("brain_ct") | {"name": "knee", "task": "a knee", "labels": ["Sound", "Torn"]}
    stand_in.models = [described("solubility") | {"served": False}, new]
    with opened(chromium, stand_in.url) as page:
        page.wait_for_selector("#ask-form:not([hidden])")
        assert page.locator("#model option:checked").get_attribute("value") == "knee"
        assert page.locator("#model option[value=solubility]").is_disabled()
        checks.ask(page, "knee", {"image": checks.picture()})
        checks.check_answer(page, new, ["image"])


@pytest.mark.parametrize("name", ["skin_lesion", "brain_fusion", "pneumonia", "pneumonia_cnn", "solubility"])
def test_all_can_read_it(chromium: Browser, stand_in: StandIn, name: str):
    with opened(chromium, stand_in.url, family="read", viewport=WIDE) as page:
        ask(page, name)
        checks.check_accessible(page)
        checks.check_contrast(page)


def test_all_can_read_what_stands_there_before(chromium: Browser, stand_in: StandIn):
    with opened(chromium, stand_in.url, viewport=PHONE) as page:
        page.wait_for_selector("#ask-form:not([hidden])")
        checks.check_accessible(page)
        stand_in.key = "a-key"
        page.reload()
        page.wait_for_selector("#key-form:not([hidden])")
        checks.check_accessible(page)


@pytest.mark.parametrize("name", ["skin_lesion", "brain_fusion"])
def test_long_words_fit_a_phone(chromium: Browser, stand_in: StandIn, name: str):
    """A label without a space, digests in the provenance."""
    long = "Hexakosioihexekontahexa" * 4
    stand_in.change = {"probabilities": {long: 0.9, "b": 0.1}, "prediction": long, "modalities": [long]}
    with opened(chromium, stand_in.url, viewport=PHONE) as page:
        ask(page, name)
        checks.open_all(page)
        checks.check_fits(page)


def test_the_map_can_be_made_fainter(chromium: Browser, stand_in: StandIn):
    with opened(chromium, stand_in.url) as page:
        ask(page, "chest_xray")
        checks.check_slider(page)


def test_the_map_lies_where_the_grid_says(chromium: Browser, stand_in: StandIn):
    """Strongest at row 5, column 1 of 0..6: red there, the bare picture where the grid is 0."""
    grey = io.BytesIO()
    Image.new("L", (700, 350), 128).save(grey, "PNG")
    with opened(chromium, stand_in.url) as page:
        checks.ask(page, "chest_xray", {"image": grey.getvalue()})
        page.locator("#opacity").fill("100")
        strongest, bare = pixel(page, 150, 275), pixel(page, 695, 5)
        said = page.locator("figcaption").inner_text()
    assert strongest[0] > 100 > max(strongest[1:3])
    assert bare[:3] == [128, 128, 128]
    assert "at the lower left" in said


def pixel(page: Page, x: int, y: int) -> list[int]:
    return page.evaluate(
        "([x, y]) => [...document.querySelector('.lightbox canvas').getContext('2d').getImageData(x, y, 1, 1).data]",
        [x, y],
    )


@pytest.mark.parametrize("kind", ["DICOM", "TIFF"])
def test_what_the_browser_cannot_show_is_shown_as_the_network_saw_it(chromium: Browser, stand_in: StandIn, kind: str):
    content = DICOM if kind == "DICOM" else checks.picture("TIFF")
    with opened(chromium, stand_in.url) as page:
        checks.choose(page, "brain_ct", {"image": content})
        expect(page.locator(".zone")).to_contain_text(f"{kind}, ")
        expect(page.locator(".zone")).to_contain_text("cannot show it")
        page.click("#ask")
        expect(page.locator(".lightbox canvas")).to_have_attribute("width", "224")
        expect(page.locator(".segments")).to_have_count(0)
        checks.check_slider(page)


def test_sixteen_bits_are_shown_as_the_network_saw_them(chromium: Browser, stand_in: StandIn):
    """A browser shows their upper byte: black, where a detector fills twelve of them."""
    deep = io.BytesIO()
    Image.linear_gradient("L").convert("I").point(lambda value: value * 16).convert("I;16").save(deep, "PNG")
    with opened(chromium, stand_in.url) as page:
        checks.ask(page, "chest_xray", {"image": deep.getvalue()})
        expect(page.get_by_label("As the network saw it")).to_be_checked()
        page.get_by_label("As sent").check()
        expect(page.get_by_label("As sent")).to_be_checked()


def test_an_upright_picture_is_shown_upright(chromium: Browser, stand_in: StandIn):
    """EXIF 6: a wide file of a tall picture."""
    exif = Image.Exif()
    exif[0x0112] = 6
    kept = io.BytesIO()
    Image.new("RGB", (300, 200), "grey").save(kept, "JPEG", exif=exif)
    with opened(chromium, stand_in.url) as page:
        checks.ask(page, "chest_xray", {"image": kept.getvalue()})
        canvas = page.locator(".lightbox canvas")
        assert [canvas.get_attribute(side) for side in ("width", "height")] == ["200", "300"]


@pytest.mark.parametrize("given", [("ct",), ("mri",), ("ct", "mri")])
def test_of_two_pictures_one_may_be_left_out(chromium: Browser, stand_in: StandIn, given: tuple[str, ...]):
    with opened(chromium, stand_in.url) as page:
        checks.ask(page, "brain_fusion", {part: checks.picture() for part in given})
        checks.check_answer(page, described("brain_fusion"), given)
        expect(page.locator(".chip")).to_have_text(f"Made from: {' and '.join(part.upper() for part in given)}")
        assert set(stand_in.received[-1][1]) == set(given)


def test_nothing_is_asked_with_nothing_given(chromium: Browser, stand_in: StandIn):
    with opened(chromium, stand_in.url) as page:
        for name, sentence in (
            ("chest_xray", "Image: choose a picture first."),
            ("brain_fusion", "Give at least one of: CT, MRI."),
            ("solubility", "SMILES: type something first."),
        ):
            checks.choose(page, name, {})
            page.click("#ask")
            expect(page.locator("#form-problem")).to_have_text(sentence)
            assert page.evaluate("document.activeElement.id").startswith("input-")
        assert stand_in.received == []


def test_the_molecule_is_drawn(chromium: Browser, stand_in: StandIn):
    assert Chem.MolFromSmiles(ASPIRIN) is not None
    with opened(chromium, stand_in.url) as page:
        ask(page, "solubility")
        drawn = page.locator(".paper img")
        expect(drawn).to_have_attribute("alt", "The molecule, drawn from what was sent")
        assert drawn.evaluate("image => image.complete && image.naturalWidth > 0")
        assert page.locator("#answer svg").count() == 0
        expect(page.locator(".scale-said")).to_have_text("90% interval: −3.02 to −1.25 log mol/L")


def test_recent_results_hold_no_names_and_can_be_cleared(chromium: Browser, stand_in: StandIn):
    with opened(chromium, stand_in.url) as page:
        checks.choose(page, "chest_xray", {"image": checks.picture()}, name="Doe_Jane_1970-01-01.png")
        page.click("#ask")
        page.wait_for_selector(checks.ANSWER)
        ask(page, "solubility")
        expect(page.locator(".recent-item")).to_have_count(2)
        page.reload()
        page.locator(".recent-item").nth(1).click()
        checks.check_answer(page, described("chest_xray"), ["image"])
        checks.check_slider(page)
        assert "Doe" not in page.content()
        checks.check_history(page, ["Doe", ".png", ASPIRIN])
    assert [name for _, parts in stand_in.received for name, _ in parts.values()] == ["upload", None]


def test_a_full_store_keeps_the_newest(chromium: Browser, stand_in: StandIn):
    with opened(chromium, stand_in.url) as page:
        ask(page, "chest_xray")
        page.evaluate(
            """() => {
              for (let size = 1 << 22; size > 64; size >>= 1)
                for (let at = 0; at < 2; at += 1)
                  try { sessionStorage.setItem(`filler ${size} ${at}`, "x".repeat(size)); } catch { /* full */ }
            }"""
        )
        ask(page, "skin_lesion")
        checks.check_answer(page, described("skin_lesion"), ["image"])
        expect(page.locator(".recent-item")).to_have_count(1)
