"""From a spec to a published artefact: fingerprints, cards, the gate, and what makes an export stale."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from export import parity, variants
from export.__main__ import main
from export.artefact import folder_of
from export.checkpoints import CheckpointError
from export.graphs import serving_graph
from export.models import all_specs, select
from export.pictures import gather
from export.publish import Order, WouldUntrain, check_not_untraining, publish, stale
from export.references import reference
from export.repository import differing, write
from export.spec import Bounds
from export.to_onnx import export_onnx
from report.answer import Reporter
from report.card import Card, CardError
from tests.support.checkout import ROOT
from tests.support.repositories import copy_repository, replace_file
from tests.support.specs import LARGE, affordable_specs, tiny_specs

SHIPPED = all_specs()["solubility"]
SPEC = replace(SHIPPED, shipped=None)
IMAGE_SPEC = tiny_specs()["pneumonia_cnn"]

pytestmark = pytest.mark.usefixtures("kept_traces")


@pytest.fixture(scope="module")
def repository(tiny_repository: Path) -> Path:
    """Tiny networks: nothing below judges accuracy or size."""
    return tiny_repository


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("solubility") / "repository"
    write(list(all_specs().values()), folder)
    publish(SPEC, folder, Order())
    return folder


def _initializers(file: Path) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(file).graph.initializer}


def test_the_card_describes_the_file(exported: Path) -> None:
    folder = exported / "solubility_net" / "1"
    card = Card.read(folder / "card.json")
    artefact = card.artefacts["fp32.onnx"]
    assert artefact.size_bytes == (folder / "fp32.onnx").stat().st_size
    assert _initializers(folder / "fp32.onnx")["fingerprint"].tolist() == [list(artefact.fingerprint)]
    assert all(0 <= part < 1 << 24 for part in artefact.fingerprint)
    assert artefact.opset == onnx.load(folder / "fp32.onnx").opset_import[0].version == 18
    assert card.weights.trained is False
    assert set(artefact.comparisons[0].max_error) == {"log_s", "interval"}
    assert [path.name for path in sorted(folder.iterdir())] == ["card.json", "fp16.onnx", "fp32.onnx"]


def test_the_file_names_no_path_of_this_machine(exported: Path) -> None:
    content = (exported / "solubility_net" / "1" / "fp32.onnx").read_bytes()
    assert str(ROOT).encode() not in content
    assert b"site-packages" not in content


@pytest.mark.slow
def test_the_same_weights_give_the_same_bytes_and_others_another_fingerprint(tmp_path: Path) -> None:
    def export(seed: int, name: str) -> tuple[tuple[int, int], bytes]:
        torch.manual_seed(seed)
        file = tmp_path / name
        return export_onnx(serving_graph(SPEC.build(), SPEC), SPEC, file), file.read_bytes()

    first, again, other = export(1, "a"), export(1, "b"), export(2, "c")
    assert first == again
    assert first[0] != other[0]


@dataclass(frozen=True)
class Ran:
    """`python -m export models`, in this process: to import torch takes most of its time."""

    status: int
    out: str
    err: str


Export = Callable[..., Ran]


@pytest.fixture
def export(capsys: pytest.CaptureFixture[str]) -> Export:
    def run(folder: Path, *arguments: str, models: str = "solubility", checkpoints: Path | str = "") -> Ran:
        command = ["models", "--repository", str(folder), "--models", models, "--checkpoints", str(checkpoints)]
        status = main([*command, *arguments])
        return Ran(status, *capsys.readouterr())

    return run


def test_trained_weights_are_not_replaced_by_untrained_ones(tmp_path: Path, export: Export) -> None:
    folder = tmp_path / "repository"
    checkpoint = tmp_path / SPEC.weights.filename
    torch.save(SPEC.build().networks()[0].state_dict(), checkpoint)  # under the source project's names
    assert "checkpoint best_drug" in export(folder, checkpoints=tmp_path).err
    assert "up to date solubility: checkpoint best_drug" in export(folder).out
    card = folder / "solubility_net" / "1" / "card.json"
    replace_file(card, card.read_text().replace('"recipe": "', '"recipe": "0'))
    ran = export(folder)
    assert ran.status == 1
    assert "was trained" in ran.err
    assert Card.read(card).weights.trained
    whole = card.read_text()
    for damaged in (whole.replace('"schema": 3', '"schema": 0'), whole[:100]):
        replace_file(card, damaged)
        assert export(folder).status == 1
        assert card.read_text() == damaged
    ran = export(folder, checkpoints=f"solubility={checkpoint}")  # a temperature may be lost with the card
    assert ran.status == 1
    assert "expected a card with a calibration" in ran.err
    card.unlink()
    assert export(folder, checkpoints=f"solubility={checkpoint}").status == 0
    assert Card.read(card).weights.trained


@pytest.mark.parametrize("spec", affordable_specs().values(), ids=lambda spec: spec.name)
def test_every_model_is_published(spec, repository: Path) -> None:
    card = Card.read(repository / spec.net / "1" / "card.json")
    artefact = card.artefacts["fp32.onnx"]
    assert artefact.comparisons[0].label_flips == 0
    assert set(artefact.comparisons[0].max_error) == {output.name for output in spec.outputs}


@pytest.mark.slow  # networks of real size
@pytest.mark.parametrize("name", ["pneumonia", "pneumonia_cnn"])  # the others of `repository` are untrained anyway
def test_untrained_weights_pass_too(name: str, tmp_path: Path) -> None:
    """What `make serve` does for a user who has no checkpoint yet."""
    card = publish(all_specs()[name], tmp_path, Order())
    assert not card.weights.trained
    assert card.artefacts["fp32.onnx"].comparisons[0].label_flips == 0


def test_the_repository_text_is_the_committed_one() -> None:
    assert differing(list(all_specs().values()), ROOT / "model_repository") == []


def test_a_changed_missing_or_foreign_text_is_found_and_mended(tmp_path: Path) -> None:
    specs = list(all_specs().values())
    write(specs, tmp_path)
    (tmp_path / "chest_xray" / "config.pbtxt").write_text("name: 'x'")
    (tmp_path / "report" / "1" / "model.py").unlink()
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "config.pbtxt").write_text((tmp_path / "report" / "config.pbtxt").read_text())
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "config.pbtxt").write_text('backend: "python"')
    assert [str(path) for path in differing(specs, tmp_path)] == [
        "chest_xray/config.pbtxt",
        "gone/config.pbtxt",
        "report/1/model.py",
    ]
    write(specs, tmp_path)
    assert differing(specs, tmp_path) == []
    assert (tmp_path / "theirs" / "config.pbtxt").is_file()


def test_stale_says_why(exported: Path, tmp_path: Path) -> None:
    folder = copy_repository(exported, tmp_path / "repository")
    inner = folder / "solubility_net" / "1"
    text = (inner / "card.json").read_text()
    assert stale(SPEC, folder, Order()) == ""
    assert stale(IMAGE_SPEC, folder, Order()) == "not exported yet"
    other = tmp_path / "other.pth"
    other.write_bytes(b"x")
    assert stale(SPEC, folder, Order(checkpoint=other)) == "other weights"
    replace_file(inner / "card.json", text.replace('"recipe": "', '"recipe": "0'))
    assert stale(SPEC, folder, Order()) == "the exporter changed"
    replace_file(inner / "card.json", text.replace(SPEC.task, "another task"))
    assert stale(SPEC, folder, Order()) == "the spec changed"
    replace_file(inner / "card.json", text[:200])
    assert stale(SPEC, folder, Order()) == "not exported yet"
    replace_file(inner / "card.json", text)
    replace_file(inner / "fp32.onnx", (inner / "fp32.onnx").read_bytes()[:-1])
    assert stale(SPEC, folder, Order()) == "artefact is not the one in its card"
    (inner / "fp32.onnx").unlink()
    assert stale(SPEC, folder, Order()) == "artefact missing"


def _scale_weights(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        if tensor.name.endswith("after.1.weight"):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 1.1, tensor.name))


def _forget_normalisation(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        if tensor.name == "encoder.mean":
            tensor.CopyFrom(numpy_helper.from_array(np.zeros_like(numpy_helper.to_array(tensor)), tensor.name))


def _swap_channels(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        if tensor.name in ("encoder.mean", "encoder.std"):
            value = numpy_helper.to_array(tensor)[:, ::-1].copy()
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))


def _poison(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        if tensor.name.endswith("after.1.bias"):
            tensor.CopyFrom(numpy_helper.from_array(np.full(2, np.nan, np.float32), tensor.name))


@pytest.fixture(scope="module")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.nn.Module, Path, tuple[int, int]]:
    torch.manual_seed(5)
    net = IMAGE_SPEC.build().eval()
    file = tmp_path_factory.mktemp("cnn") / "fp32.onnx"
    return net, file, export_onnx(serving_graph(net, IMAGE_SPEC), IMAGE_SPEC, file)


def held(net: torch.nn.Module) -> parity.Reference:
    """What artefacts of this network are held to, on generated pictures."""
    items, _ = gather(IMAGE_SPEC, None)
    return parity.Reference(spec=IMAGE_SPEC, expected=reference(net.eval(), IMAGE_SPEC, items.inputs), items=items)


def test_a_true_artefact_passes_the_gate(cnn) -> None:
    net, file, fingerprint = cnn
    (figures,) = held(net).comparisons(file, "fp32", ["onnxruntime"], fingerprint)
    assert figures.samples == 8
    assert figures.label_flips == 0
    assert max(figures.max_error.values()) < 1e-4
    assert figures.refused == ()


@pytest.mark.parametrize("harm", [_scale_weights, _forget_normalisation, _swap_channels, _poison])
def test_a_false_artefact_does_not(cnn, tmp_path: Path, harm) -> None:
    net, file, fingerprint = cnn
    model = onnx.load(file)
    before = model.SerializeToString()
    harm(model)
    assert model.SerializeToString() != before, "the harm hit nothing"
    bad = tmp_path / "fp32.onnx"
    onnx.save(model, bad)
    (figures,) = held(net).comparisons(bad, "fp32", ["onnxruntime"], fingerprint)
    assert any("expected max |Δ|" in sentence for sentence in figures.refused)


def test_a_failed_gate_publishes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "broken", lambda *_: ["no"])
    with pytest.raises(parity.ParityError, match="no"):
        publish(SPEC, tmp_path, Order())
    assert list((tmp_path / "solubility_net" / "1").iterdir()) == []


def test_a_spec_that_names_another_size_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected 1 parameters, got 46,209"):
        publish(replace(SPEC, parameters=1), tmp_path, Order())


def test_a_broken_card_is_an_error_with_its_path(tmp_path: Path) -> None:
    for content in ("", "[]", '{"schema": 99}', '{"schema": 1}'):
        (tmp_path / "card.json").write_text(content)
        with pytest.raises(CardError, match=r"card\.json"):
            Card.read(tmp_path / "card.json")


def test_the_command_line_exports_once_and_says_so(tmp_path: Path, export: Export) -> None:
    folder = tmp_path / "repository"
    assert "shipped weights solubility.safetensors" in export(folder).err
    stamp = (folder / "solubility_net" / "1" / "fp32.onnx").stat().st_mtime_ns
    profile = folder / "solubility_net" / "configs" / "cpu.pbtxt"
    written = profile.read_text()
    profile.write_text("# as an older version wrote it")
    assert "up to date solubility: shipped weights" in export(folder).out
    assert profile.read_text() == written
    assert (folder / "solubility_net" / "1" / "fp32.onnx").stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--models", "chest_xrey"], "chest_xray"),
        (["--checkpoints", "/nowhere"], "expected a folder"),
        (["--checkpoints", "pneumonai=x.pth"], "expected NAME=PATH with a name of brain_ct"),
        (["--models", "pneumonia", "--pictures", "/nowhere"], "PICTURES: expected a folder"),
        (["--pictures", "/tmp"], "films are no test of a skin model"),
        (["--folders", "a="], "expected folder=label"),
        (["--checkpoints", "a,b"], "expected one folder"),
    ],
)
def test_the_command_line_refuses_with_a_sentence(
    tmp_path: Path, export: Export, arguments: list[str], words: str
) -> None:
    ran = export(tmp_path, *arguments, models="")
    assert ran.status == 1
    assert words in ran.err


def test_shipped_weights_serve_until_there_is_a_checkpoint(tmp_path: Path) -> None:
    card = publish(SHIPPED, tmp_path, Order())
    assert card.weights.trained
    assert card.weights.shipped
    assert stale(SHIPPED, tmp_path, Order()) == ""
    older = replace(card, weights=replace(card.weights, checkpoint_sha256="00" * 32))
    older.write(folder_of(SHIPPED, tmp_path))
    assert stale(SHIPPED, tmp_path, Order()) == "other weights"
    check_not_untraining(SHIPPED, tmp_path, None, "other weights")  # shipped weights give way to newer ones
    theirs = replace(card, weights=replace(card.weights, checkpoint_sha256="00" * 32, shipped=False))
    theirs.write(folder_of(SHIPPED, tmp_path))
    assert stale(SHIPPED, tmp_path, Order()) == ""
    with pytest.raises(WouldUntrain):
        check_not_untraining(SHIPPED, tmp_path, None, "the spec changed")


def test_weights_beyond_one_file_lie_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens to an artefact of more than 2 GiB, at a size that tests can afford."""
    from export import to_onnx

    monkeypatch.setattr(to_onnx, "EXTERNAL_BYTES", 1 << 16)
    monkeypatch.setattr(to_onnx, "EXTERNAL_TENSOR_BYTES", 1 << 12)
    card = publish(SPEC, tmp_path, Order())
    folder = folder_of(SPEC, tmp_path)
    assert list(card.artefacts["fp32.onnx"].external) == ["fp32.onnx.data"]
    assert (folder / "fp32.onnx.data").stat().st_size > 1 << 16
    assert stale(SPEC, tmp_path, Order()) == ""
    with (folder / "fp32.onnx.data").open("r+b") as data:
        data.seek(1000)
        data.write(b"\x00\x01\x02")
    assert stale(SPEC, tmp_path, Order()) == "artefact is not the one in its card"
    monkeypatch.undo()
    publish(SPEC, tmp_path, Order())
    assert not (folder / "fp32.onnx.data").exists()


def test_one_folder_of_safetensors_is_a_checkpoint(tmp_path: Path) -> None:
    """As large models come: in parts, in half precision, beside networks that are not ours."""
    from safetensors.torch import save_file

    from export.loading import loaded_net

    spec = affordable_specs()[LARGE]
    torch.manual_seed(3)
    wanted = spec.build().state_dict()
    names = sorted(wanted)
    parts = ({f"model.{name}": wanted[name].half() for name in names[start::2]} for start in (0, 1))
    for number, part in enumerate(parts):
        extra = {f"model.language_model.layers.{number}.weight": torch.full((2, 2), float("nan"))}
        save_file(part | extra, tmp_path / f"model-{number}.safetensors")
    net, weights = loaded_net(spec, tmp_path)
    assert weights.trained
    assert all(torch.equal(value, wanted[name].half().float()) for name, value in net.state_dict().items())
    (tmp_path / "model-1.safetensors").write_bytes((tmp_path / "model-1.safetensors").read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="cut short"):
        loaded_net(spec, tmp_path)
    (tmp_path / "model-1.safetensors").unlink()
    with pytest.raises(CheckpointError, match="expected a Linear as its last layer"):
        loaded_net(spec, tmp_path)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare(1) to mount a small disk")
def test_a_full_disk_publishes_nothing(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    script = (
        f"mount -t tmpfs -o size=128k tmpfs {small} && "
        f"{sys.executable} -m export models --repository {small} --models solubility; echo status $?; "
        f"find {small} -name 'fp32.onnx' -o -name card.json"
    )
    result = subprocess.run(["unshare", "-m", "sh", "-c", script], cwd=ROOT, capture_output=True, text=True)
    if "status" not in result.stdout:
        pytest.skip(f"may not mount here: {result.stderr.strip()}")
    assert result.stdout.split("status ")[1].strip() == "1"
    assert "No space left" in result.stderr


def test_select_lists_the_valid_names() -> None:
    assert [spec.name for spec in select(["pneumonia", "brain_ct"])] == ["pneumonia", "brain_ct"]
    with pytest.raises(ValueError, match="chest_xray"):
        select(["nothing"])


def test_a_card_survives_writing_and_reading(exported: Path, tmp_path: Path) -> None:
    card = Card.read(exported / "solubility_net" / "1" / "card.json")
    card.write(tmp_path)
    assert Card.read(tmp_path / "card.json") == card
    assert json.loads((tmp_path / "card.json").read_text())["schema"] == 3


IMPOSSIBLE = replace(IMAGE_SPEC, gate=replace(IMAGE_SPEC.gate, fp16=Bounds(largest=0.0)))


def test_a_variant_that_fails_is_refused_by_itself(tmp_path: Path) -> None:
    card = publish(IMPOSSIBLE, tmp_path, Order())
    assert set(card.artefacts) == {"fp32.onnx"}
    assert any("fp16 on onnxruntime, 8 samples: " in sentence for sentence in card.refused["fp16.onnx"].why)
    assert card.refused["fp16.onnx"].comparisons[0].refused == card.refused["fp16.onnx"].why
    assert "untrained weights" in card.refused["int8.onnx"].why[0]
    assert sorted(path.name for path in (tmp_path / IMAGE_SPEC.net / "1").iterdir()) == ["card.json", "fp32.onnx"]


def test_a_lower_precision_needs_calls_of_what_must_not_be_lost(tmp_path: Path) -> None:
    spec = replace(IMAGE_SPEC, gate=replace(IMAGE_SPEC.gate, critical=(IMAGE_SPEC.labels[1],)))
    card = publish(spec, tmp_path, Order())
    assert set(card.artefacts) == {"fp32.onnx"}
    (told,) = card.refused["fp16.onnx"].why
    assert told.startswith(f"fp16 on onnxruntime: {IMAGE_SPEC.labels[1]}: expected PyTorch to call it in at least 10")


def test_a_converter_that_fails_withholds_its_own_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "write_half", lambda *_: 1 / 0)
    card = publish(IMAGE_SPEC, tmp_path, Order())
    assert set(card.artefacts) == {"fp32.onnx"}
    assert card.refused["fp16.onnx"].why == ("could not be made: ZeroDivisionError: division by zero",)


def test_published_anyway_needs_a_reason_which_goes_with_every_answer(tmp_path: Path) -> None:
    card = publish(IMPOSSIBLE, tmp_path, Order(anyway="a demonstration"))
    assert card.artefacts["fp16.onnx"].published_anyway == "a demonstration"
    assert card.artefacts["fp32.onnx"].published_anyway == ""
    summary = np.float32([*card.artefacts["fp16.onnx"].fingerprint, 0.9, 0.1, *[0.1] * 3])
    provenance = json.loads(Reporter([card], "1").report(summary))["provenance"]
    assert provenance["published_anyway"] == "a demonstration"
    assert (provenance["artefact"], provenance["precision"]) == ("fp16.onnx", "fp16")


def test_int8_from_generated_pictures_is_made_only_if_asked_for_and_says_so(tmp_path: Path) -> None:
    card = publish(IMAGE_SPEC, tmp_path, Order(anyway="to see that it builds"))
    for name, form in (("int8.onnx", "symmetric"), ("int8_cpu.onnx", "unsigned")):
        made = card.artefacts[name].quantised
        assert made is not None
        assert made.calibrated.synthetic
        assert (made.form, len(made.calibrated.sha256)) == (form, 8)
        assert not set(made.calibrated.sha256) & set(card.compared.sha256)


def test_a_precision_that_a_spec_rules_out_is_not_made(tmp_path: Path) -> None:
    spec = replace(IMAGE_SPEC, unsupported=(("fp16", "overflows at 70,000"), ("int8", "loses 3 of 10")))
    card = publish(spec, tmp_path, Order(anyway="to see that it builds"))
    assert set(card.artefacts) == {"fp32.onnx"}
    assert card.refused["fp16.onnx"].why == ("unsupported: overflows at 70,000",)
    assert card.refused["int8.onnx"].why == card.refused["int8_cpu.onnx"].why == ("unsupported: loses 3 of 10",)


@pytest.mark.slow
def test_the_gates_report_says_and_shows_why(tmp_path: Path) -> None:
    publish(IMPOSSIBLE, tmp_path / "repository", Order(report=tmp_path / "report"))
    found = json.loads((tmp_path / "report" / IMAGE_SPEC.name / "report.json").read_text())
    assert found["variants"]["fp16.onnx"]["why_not"]
    assert found["variants"]["fp32.onnx"]["comparisons"][0]["label_flips"] == 0
    assert found["bounds"]["int8"]["largest"] is None  # none
    page = (tmp_path / "report" / IMAGE_SPEC.name / "report.html").read_text()
    assert "fp16.onnx on onnxruntime in fp16: <span class=refused>refused</span>" in page
    assert "expected max |Δ| ≤ 0" in page
    assert page.count('alt="the 5 items that differ most"') >= 2
    assert "Not made: untrained weights" in page
    assert IMAGE_SPEC.disclaimer in page


def test_a_plan_does_not_outlive_the_weights_it_was_built_of(tmp_path: Path) -> None:
    publish(SPEC, tmp_path, Order())
    folder = tmp_path / SPEC.net / "1"
    for left in ("sm90.plan", "int8.onnx"):
        (folder / left).write_bytes(b"of an earlier export")
    card = publish(SPEC, tmp_path, Order())
    assert card.plans == {}
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "fp16.onnx", "fp32.onnx"]
