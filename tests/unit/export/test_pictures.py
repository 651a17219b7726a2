"""Which pictures compare and which calibrate: named by content, labelled by folder, never in both sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export import pictures
from export.figures import UNLABELLED
from export.models import all_specs
from export.pictures import Folder, check_disjoint, check_folders, gather, split
from export.samples import picture

SPEC = all_specs()["pneumonia_cnn"]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for name in ("normal", "sick", "other"):
        (folder / name).mkdir()
    for seed in range(36):
        (folder / ("normal", "sick", "other")[seed % 3] / f"{seed}.png").write_bytes(picture(seed))
    (folder / "README.md").write_text("not a picture")
    (folder / "other" / "copy.png").write_bytes(picture(0))
    return folder


def test_no_picture_does_both(films: Path) -> None:
    compared, calibrating = gather(SPEC, Folder(films, {"sick": "PNEUMONIA"}))
    assert len(compared) + len(calibrating) == 36  # the copy counts once
    assert not set(compared.origin.sha256) & set(calibrating.origin.sha256)
    assert len(calibrating) >= 4
    assert compared.inputs["pixels"].shape == (len(compared), 3, 224, 224)
    assert compared.origin.source == films.name
    assert not compared.origin.synthetic
    with pytest.raises(ValueError, match=r"pictures are in both sets"):
        check_disjoint(compared, compared)


def test_the_split_follows_the_content_not_the_name(films: Path, tmp_path: Path) -> None:
    for place, file in enumerate(sorted(films.rglob("*.png"))):
        (tmp_path / f"renamed{place}.png").write_bytes(file.read_bytes())
    of_both = [[list(part) for part in split(SPEC, Folder(folder, {}))] for folder in (films, tmp_path)]
    assert of_both[0] == of_both[1]


def test_folders_name_labels(films: Path) -> None:
    folder = Folder(films, {"sick": "PNEUMONIA"})
    compared, _ = gather(SPEC, folder)
    for item, label in zip(split(SPEC, folder)[0].values(), compared.labels, strict=True):
        assert label == {"normal": 0, "sick": 1, "other": UNLABELLED}[item.folder]


def test_generated_items_say_so() -> None:
    for spec in all_specs().values():
        if spec.name == "skin_lesion_medgemma":  # 896² pixels: the same code
            continue
        compared, calibrating = gather(spec, None)
        assert compared.origin.synthetic
        assert calibrating.origin.synthetic
        assert len(compared) == len(calibrating) == spec.gate.samples
        assert np.all(compared.labels == UNLABELLED)


def test_refusals_name_what_is_wrong(films: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a folder, found none"):
        gather(SPEC, Folder(tmp_path / "nowhere", {}))
    with pytest.raises(ValueError, match="expected pictures or rows for pneumonia_cnn"):
        gather(SPEC, Folder(tmp_path, {}))
    (tmp_path / "one.png").write_bytes(picture(1))
    with pytest.raises(ValueError, match="at least 4 that compare"):
        gather(SPEC, Folder(tmp_path, {}))
    for file in films.rglob("*.png"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "broken.png").write_bytes(picture(1)[:-900])
    with pytest.raises(ValueError, match=r"broken\.png: \[corrupt_image\]"):
        gather(SPEC, Folder(tmp_path, {}))


def test_a_folder_that_would_say_nothing_is_refused(films: Path) -> None:
    other = all_specs()["chest_xray"]
    check_folders([SPEC, other], [Folder(films, {"sick": "PNEUMONIA", "normal": "covid_19"})])
    with pytest.raises(ValueError, match="FOLDERS: expected folders below PICTURES, found no sicc"):
        check_folders([SPEC], [Folder(films, {"sicc": "PNEUMONIA"})])
    with pytest.raises(ValueError, match="FOLDERS: expected labels of these models, got PNEUMONIE"):
        check_folders([SPEC, other], [Folder(films, {"sick": "PNEUMONIE"})])


def test_corrected_labels_are_another_set(films: Path) -> None:
    once, again = (gather(SPEC, Folder(films, labels))[0].origin for labels in ({"sick": "PNEUMONIA"}, {}))
    assert once.sha256 == again.sha256
    assert once.labels != again.labels
    assert gather(SPEC, None)[0].origin.labels == ""


def test_more_files_than_are_read_at_once(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = gather(SPEC, Folder(films, {}))
    monkeypatch.setattr(pictures, "AT_ONCE", 5)
    parts, _ = gather(SPEC, Folder(films, {}))
    np.testing.assert_array_equal(parts.inputs["pixels"], whole.inputs["pixels"])
    assert parts.origin == whole.origin
