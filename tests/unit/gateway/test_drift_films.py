"""Real chest films raise nothing; inverted, cropped and dermoscopy pictures raise the alert."""

from __future__ import annotations

import pytest
from PIL import Image, ImageOps

from tests.support.drift_statistics import measured
from tests.support.drift_streams import MODEL, Half, Pools
from tests.support.samples import SampleData

SPLITS = 20
WITHIN = 200  # requests


def inverted(picture: Image.Image) -> Image.Image:
    return ImageOps.invert(picture.convert("L"))


def cropped(picture: Image.Image) -> Image.Image:
    """The middle 60 % of either side."""
    width, height = picture.size
    return picture.crop((width // 5, height // 5, width - width // 5, height - height // 5))


def enlarged(picture: Image.Image) -> Image.Image:
    """Cropped, and as large as before."""
    return cropped(picture).resize(picture.size)


@pytest.fixture(scope="module")
def pools(sample_data: SampleData) -> Pools:
    files = sample_data.files("cxr")
    rows = [measured(file.path, inverted, cropped, enlarged) for file in files]
    films, *changed = (list(column) for column in zip(*rows, strict=True))
    kinds = dict(zip(("inverted", "cropped", "enlarged"), changed, strict=True))
    kinds["dermoscopy"] = [measured(file.path)[0] for file in sample_data.files("derm")[::2]]
    return Pools(films, kinds, [file.label for file in files])


def test_films_raise_nothing(pools: Pools):
    """Streams of 600 films drawn with replacement, from the half that the reference was not made of.

    Were one stream in ten to raise an alert, 60 of them would pass in one run of seventy.
    """
    alerts = [split for split in range(3 * SPLITS) if Half(pools, split).send(600)]
    assert len(alerts) <= 1, alerts


@pytest.mark.parametrize("kind", ["inverted", "cropped", "enlarged", "dermoscopy"])
def test_other_pictures_alone_raise_the_alert(pools: Pools, kind: str):
    took = [Half(pools, 1000 + split).send(WITHIN, kind=kind) for split in range(SPLITS)]
    assert sum(sent is not None for sent in took) >= SPLITS - 1, took


@pytest.mark.parametrize("kind", ["inverted", "cropped", "enlarged", "dermoscopy"])
def test_they_raise_it_after_a_window_full_of_films(pools: Pools, kind: str):
    took = []
    for split in range(SPLITS):
        half = Half(pools, 2000 + split)
        assert half.send(200) is None
        took.append(half.send(WITHIN, kind=kind))
    assert sum(sent is not None for sent in took) >= SPLITS - 2, took


def test_a_third_of_dermoscopy_raises_it(pools: Pools):
    took = [Half(pools, 3000 + split).send(1000, kind="dermoscopy", share=0.3) for split in range(SPLITS)]
    assert sum(sent is not None for sent in took) >= SPLITS * 0.75, took


def test_it_ends_when_films_come_again_and_does_not_flap(pools: Pools):
    half = Half(pools, 4000)
    assert half.send(WITHIN, kind="dermoscopy")
    [found] = half.monitor.state()["models"].values()
    assert any("colour" in reason for reason in found["reasons"])
    assert found["since"]
    raised = []
    for _ in range(40):
        half.send(20)
        raised.append(half.monitor.alert(MODEL))
    assert raised[0]
    assert not raised[-1]
    assert raised == sorted(raised, reverse=True)  # once down, it stays down
    assert half.monitor.state()["models"][MODEL]["reasons"] == []
