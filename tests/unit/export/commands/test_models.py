"""Which models an export does, in which order, in which precisions, and what it reports of each. No torch."""

from __future__ import annotations

import io
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from export import publish
from export.artefact import ARTEFACT, PRECISIONS, folder_of
from export.card import declaration
from export.commands import models, packages, side_by_side
from export.commands.side_by_side import Job, Outcome
from export.models import all_specs
from export.publish import Order, stale, unattempted
from report.card import Artefact, Calibration, Card, Choice, Refused, WeightsOrigin
from report.comparison import PictureSet
from server.publisher import Failed, Planned, Published, decoded

SPECS = all_specs()
SHIPPED = next(spec for spec in SPECS.values() if spec.shipped)
OTHER = next(spec for spec in SPECS.values() if not spec.shipped)
FP32 = Order(precisions=("fp32",))


@pytest.fixture(autouse=True)
def _without_a_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "recipe_digest", lambda *_, **__: "recipe")


def _card(spec, repository: Path, *names: str, trained: bool = False, refused: tuple[str, ...] = ()) -> Card:
    """Write a manifest of these files, which hold their names, and the files."""
    folder = folder_of(spec, repository)
    folder.mkdir(parents=True, exist_ok=True)
    artefacts = {}
    for name in names:
        (folder / name).write_text(name)
        artefacts[name] = Artefact(
            sha256=publish.sha256_of(folder / name), size_bytes=len(name), precision=name.partition(".")[0], opset=18,
            fingerprint=(1, 2), comparisons=(), tools={}, created="",
        )  # fmt: skip
    card = Card(
        model=spec.name,
        version="1",
        declaration=declaration(spec),
        weights=WeightsOrigin(trained=trained, checkpoint_sha256="0" if trained else None),
        calibration=Calibration(),
        recipe="recipe",
        compared=PictureSet(source="", synthetic=True, sha256=()),
        artefacts=artefacts,
        refused={name: Refused(precision="", why=("no",)) for name in refused},
    )
    card.write(folder)
    return card


def _options(repository: Path, *arguments: str) -> Namespace:
    parser = ArgumentParser()
    models.add(parser)
    parser.add_argument("--repository", type=Path)
    return parser.parse_args(["--repository", str(repository), "--models", OTHER.name, *arguments])


def test_a_manifest_of_fp32_alone_is_complete_for_serving_and_not_for_an_export(tmp_path: Path) -> None:
    _card(OTHER, tmp_path, ARTEFACT)
    assert stale(OTHER, tmp_path, FP32) == ""
    assert stale(OTHER, tmp_path, Order()) == "not exported in fp16, int8"


def test_a_refused_precision_was_attempted(tmp_path: Path) -> None:
    _card(OTHER, tmp_path, ARTEFACT, "fp16.onnx", refused=("int8.onnx", "int8_cpu.onnx"))
    assert unattempted(OTHER, tmp_path, Order()) == []
    assert stale(OTHER, tmp_path, FP32) == ""


def test_a_completion_keeps_the_fp32_file(tmp_path: Path) -> None:
    _card(OTHER, tmp_path, ARTEFACT)
    job = models._job(OTHER, tmp_path, Order(), asked=False)
    assert job == Job(model=OTHER.name, order=Order(keep_fp32=True), reason="not exported in fp16, int8")


def test_trained_weights_without_their_checkpoint_are_not_completed(tmp_path: Path, capsys) -> None:
    _card(OTHER, tmp_path, ARTEFACT, trained=True)
    assert models._job(OTHER, tmp_path, Order(), asked=False) is None
    assert "fp16, int8: say CHECKPOINTS=… to export them too" in capsys.readouterr().out


def test_a_missing_model_is_exported_whole(tmp_path: Path) -> None:
    job = models._job(OTHER, tmp_path, Order(), asked=False)
    assert job is not None
    assert (job.reason, job.order.keep_fp32) == ("not exported yet", False)


@pytest.mark.parametrize(
    ("text", "precisions"), [("fp32", ("fp32",)), ("int8", ("fp32", "int8")), (",".join(PRECISIONS), PRECISIONS)]
)
def test_fp32_is_always_exported(text: str, precisions: tuple[str, ...]) -> None:
    assert models._precisions(text) == precisions


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="expected some of fp32, fp16, int8, got fp8"):
        models._precisions("fp8")


def test_shipped_weights_come_first_then_the_smallest_model() -> None:
    ordered = sorted(SPECS.values(), key=models._rank)
    assert ordered[0] is SHIPPED
    assert [spec.parameters for spec in ordered[1:]] == sorted(spec.parameters for spec in ordered[1:])


def test_a_failure_is_reported_and_the_others_are_exported(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    jobs = [Job(model=name, order=FP32, reason="not exported yet") for name in (OTHER.name, SHIPPED.name)]
    outcomes = [Outcome(OTHER.name, failure="the gate"), Outcome(SHIPPED.name, lines="exported")]
    monkeypatch.setattr(models, "all_exported", lambda *_: iter(outcomes))
    events = io.StringIO()
    assert models._export(jobs, Path(), 2, events, tune=False)
    assert list(decoded(events.getvalue().splitlines())) == [Failed(OTHER.name, "the gate"), Published(SHIPPED.name)]
    said = capsys.readouterr().err
    assert f"export: {OTHER.name}: not exported: the gate" in said
    assert "export: 1 of 2 done in" in said


def test_the_first_event_lists_what_will_be_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "all_exported", lambda *_: iter([Outcome(OTHER.name, lines="exported")]))
    events = io.StringIO()
    assert models._run(_options(tmp_path, "--precisions", "fp32"), events) == 0
    assert list(decoded(events.getvalue().splitlines())) == [Planned((OTHER.name,)), Published(OTHER.name)]
    _card(OTHER, tmp_path, ARTEFACT)
    events = io.StringIO()
    assert models._run(_options(tmp_path, "--precisions", "fp32"), events) == 0
    assert list(decoded(events.getvalue().splitlines())) == [Planned(())]


def test_a_choice_for_another_cpu_gives_way(tmp_path: Path) -> None:
    card = _card(OTHER, tmp_path, ARTEFACT)
    choice = Choice(artefact=ARTEFACT, engine="openvino", precision="fp32", cpu=("another",), speeds={})
    replace(card, choice=choice).write(folder_of(OTHER, tmp_path))
    profile = tmp_path / OTHER.net / "configs" / "cpu.pbtxt"
    profile.parent.mkdir(parents=True)
    profile.write_text("of another")
    assert models._run(_options(tmp_path, "--precisions", "fp32"), io.StringIO()) == 0
    assert Card.read(folder_of(OTHER, tmp_path) / "card.json").choice is None
    assert not profile.exists()


def test_packages_lists_what_a_model_needs_and_is_not_installed(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    special = replace(OTHER, packages=("msgspec", "no-such-distribution"))
    monkeypatch.setattr(packages, "chosen", lambda _: [special, SHIPPED])
    assert packages.run(Namespace(models="")) == 0
    assert capsys.readouterr().out.split() == ["no-such-distribution"]


def test_one_process_exports_one_model_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def line(spec, folder, order):
        if spec is OTHER:
            raise ValueError("does not fit")
        return f"exported {spec.name}"

    monkeypatch.setattr(side_by_side, "export_line", line)
    jobs = [Job(model=name, order=FP32, reason="") for name in (OTHER.name, SHIPPED.name)]
    assert list(side_by_side.all_exported(jobs, Path(), 1)) == [
        Outcome(OTHER.name, failure="does not fit"),
        Outcome(SHIPPED.name, lines=f"exported {SHIPPED.name}"),
    ]
