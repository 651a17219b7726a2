"""The page before a real gateway and a real server: every model that it serves, real files, errors as sentences."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.process.serving.test_dicom import PLANTED, planted_file
from tests.support import page_checks as checks
from tests.support.browser import opened
from tests.support.checkout import ROOT
from tests.support.gateway_process import Running, gateway
from tests.support.live import Live
from tests.support.samples import SampleData

KEY = "a key of the tests, which nobody else has"
PICTURE = ROOT / "examples" / "phantom.png"


@pytest.mark.slow
def test_every_model(chromium: Browser, shared_gateway: Running) -> None:
    models = httpx.get(f"{shared_gateway.url}/model-info", timeout=120).json()["models"]
    assert len(models) >= 8
    for described in models:
        values = {each["name"]: PICTURE if each["picture"] else "CC(=O)Oc1ccccc1C(=O)O" for each in described["inputs"]}
        with opened(chromium, shared_gateway.url, family="each model") as page:
            checks.ask(page, described["name"], values)
            checks.check_answer(page, described, list(values))
            checks.check_accessible(page)


def test_a_real_film_on_a_phone(chromium: Browser, shared_gateway: Running, sample_data: SampleData) -> None:
    film = sample_data.files("cxr")[0].path
    with opened(chromium, shared_gateway.url, viewport={"width": 360, "height": 740}, color_scheme="dark") as page:
        checks.ask(page, "chest_xray", {"image": film})
        checks.check_fits(page)
        checks.check_slider(page)
        checks.check_history(page, [film.name, film.stem])


def test_a_dicom_file_shows_what_the_network_saw_and_nothing_of_the_patient(
    chromium: Browser, shared_gateway: Running
) -> None:
    with opened(chromium, shared_gateway.url) as page:
        checks.ask(page, "chest_xray", {"image": planted_file("chest_xray")})
        text = page.content()
    assert not [planted for planted in PLANTED if planted in text]


def test_refusals_are_sentences(chromium: Browser, shared_gateway: Running, tmp_path: Path) -> None:
    with opened(chromium, shared_gateway.url) as page:
        checks.ask(page, "chest_xray", {"image": b"this is no picture, whatever its name says"})
        expect(page.get_by_role("alert")).to_contain_text("expected an image file")


def test_a_key_is_asked_for(chromium: Browser, triton: Live, tmp_path: Path) -> None:
    digest = hashlib.sha256(KEY.replace(" ", "-").encode()).hexdigest()
    with gateway(triton.grpc_url, tmp_path, GATEWAY_KEYS=f"ward:{digest}") as own:
        with opened(chromium, own.url) as page:
            page.locator("#key").fill(KEY.replace(" ", "-"))
            page.keyboard.press("Enter")
            checks.ask(page, "solubility", {"smiles": "CCO"})
            expect(page.locator("#answer-body .result")).to_be_visible()
        assert KEY.replace(" ", "-") not in own.log()
