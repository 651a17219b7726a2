"""From a spec to a published artefact: fingerprints, cards, the gate, and what makes an export stale."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from export import parity, samples
from export.artefact import folder_of
from export.checkpoints import CheckpointError
from export.graphs import serving_graph
from export.models import all_specs, select
from export.publish import WouldUntrain, check_not_untraining, publish, stale
from export.repository import differing, write
from export.to_onnx import export_onnx
from report.card import Card, CardError
from tests.conftest import ROOT, copy_repository, replace_file, run_export
from tests.specs import LARGE, affordable_specs

SHIPPED = all_specs()["solubility"]
SPEC = replace(SHIPPED, shipped=None)
IMAGE_SPEC = all_specs()["pneumonia_cnn"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("solubility") / "repository"
    write(list(all_specs().values()), folder)
    publish(SPEC, folder, None, None, None)
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
    assert set(artefact.parity["max_abs_error"]) == {"log_s", "interval"}
    assert [path.name for path in sorted(folder.iterdir())] == ["card.json", "fp32.onnx"]


def test_the_file_names_no_path_of_this_machine(exported: Path) -> None:
    content = (exported / "solubility_net" / "1" / "fp32.onnx").read_bytes()
    assert str(ROOT).encode() not in content
    assert b"site-packages" not in content


def test_the_same_weights_give_the_same_bytes_and_others_another_fingerprint(tmp_path: Path) -> None:
    def export(seed: int, name: str) -> tuple[tuple[int, int], bytes]:
        torch.manual_seed(seed)
        file = tmp_path / name
        return export_onnx(serving_graph(SPEC.build(), SPEC), SPEC, file), file.read_bytes()

    first, again, other = export(1, "a"), export(1, "b"), export(2, "c")
    assert first == again
    assert first[0] != other[0]


def test_trained_weights_are_not_replaced_by_untrained_ones(tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    checkpoint = tmp_path / SPEC.weights.filename
    torch.save(SPEC.build().networks()[0].state_dict(), checkpoint)  # under the source project's names
    assert "checkpoint best_drug" in run_export(folder, models="solubility", checkpoints=tmp_path).stderr
    assert "up to date solubility: checkpoint best_drug" in run_export(folder, models="solubility").stdout
    card = folder / "solubility_net" / "1" / "card.json"
    replace_file(card, card.read_text().replace('"recipe": "', '"recipe": "0'))
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run_export(folder, models="solubility")
    assert "was trained" in caught.value.stderr
    assert Card.read(card).weights.trained
    whole = card.read_text()
    for damaged in (whole.replace('"schema": 2', '"schema": 0'), whole[:100]):
        replace_file(card, damaged)
        with pytest.raises(subprocess.CalledProcessError):
            run_export(folder, models="solubility")
        assert card.read_text() == damaged
    with pytest.raises(subprocess.CalledProcessError) as caught:  # a temperature may be lost with the card
        run_export(folder, models="solubility", checkpoints=f"solubility={checkpoint}")
    assert "expected a card with a calibration" in caught.value.stderr
    card.unlink()
    run_export(folder, models="solubility", checkpoints=f"solubility={checkpoint}")
    assert Card.read(card).weights.trained


@pytest.mark.parametrize("spec", affordable_specs().values(), ids=lambda spec: spec.name)
def test_every_model_is_published(spec, repository: Path) -> None:
    card = Card.read(repository / spec.net / "1" / "card.json")
    artefact = card.artefacts["fp32.onnx"]
    assert artefact.parity["label_flips"] == 0
    assert set(artefact.parity["max_abs_error"]) == {output.name for output in spec.outputs}


@pytest.mark.parametrize("name", ["pneumonia", "pneumonia_cnn"])  # the others of `repository` are untrained anyway
def test_untrained_weights_pass_too(name: str, tmp_path: Path) -> None:
    """What `make serve` does for a user who has no checkpoint yet."""
    card = publish(all_specs()[name], tmp_path, None, None, None)
    assert not card.weights.trained
    assert card.artefacts["fp32.onnx"].parity["label_flips"] == 0


def test_parity_on_the_users_own_pictures(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found none"):
        samples.from_folder(IMAGE_SPEC, tmp_path)
    (tmp_path / "README.md").write_text("not a picture")
    for seed in range(3):
        (tmp_path / f"{seed}.png").write_bytes(samples.picture(seed))
    assert samples.from_folder(IMAGE_SPEC, tmp_path)["pixels"].shape == (3, 3, 224, 224)
    (tmp_path / "broken.png").write_bytes(samples.picture(1)[:-900])
    with pytest.raises(ValueError, match=r"broken\.png: \[corrupt_image\]"):
        samples.from_folder(IMAGE_SPEC, tmp_path)


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
    assert stale(SPEC, folder, None) == ""
    assert stale(IMAGE_SPEC, folder, None) == "not exported yet"
    other = tmp_path / "other.pth"
    other.write_bytes(b"x")
    assert stale(SPEC, folder, other) == "other weights"
    replace_file(inner / "card.json", text.replace('"recipe": "', '"recipe": "0'))
    assert stale(SPEC, folder, None) == "the exporter changed"
    replace_file(inner / "card.json", text.replace(SPEC.task, "another task"))
    assert stale(SPEC, folder, None) == "the spec changed"
    replace_file(inner / "card.json", text[:200])
    assert stale(SPEC, folder, None) == "not exported yet"
    replace_file(inner / "card.json", text)
    replace_file(inner / "fp32.onnx", (inner / "fp32.onnx").read_bytes()[:-1])
    assert stale(SPEC, folder, None) == "artefact is not the one in its card"
    (inner / "fp32.onnx").unlink()
    assert stale(SPEC, folder, None) == "artefact missing"


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
def cnn(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.nn.Module, Path]:
    torch.manual_seed(5)
    net = IMAGE_SPEC.build().eval()
    torch.nn.init.normal_(net.classifier[3].weight, 0, 5.0)  # untrained logits hardly differ: make them
    file = tmp_path_factory.mktemp("cnn") / "fp32.onnx"
    export_onnx(serving_graph(net, IMAGE_SPEC), IMAGE_SPEC, file)
    return net, file


def test_a_true_artefact_passes_the_gate(cnn) -> None:
    net, file = cnn
    figures = parity.compare(IMAGE_SPEC, net, file, samples.generated(IMAGE_SPEC, 8), "generated")
    assert figures.samples == 8
    assert figures.label_flips == 0
    assert max(figures.max_abs_error.values()) < 1e-4


@pytest.mark.parametrize("harm", [_scale_weights, _forget_normalisation, _swap_channels, _poison])
def test_a_false_artefact_does_not(cnn, tmp_path: Path, harm) -> None:
    net, file = cnn
    model = onnx.load(file)
    before = model.SerializeToString()
    harm(model)
    assert model.SerializeToString() != before, "the harm hit nothing"
    bad = tmp_path / "fp32.onnx"
    onnx.save(model, bad)
    with pytest.raises(parity.ParityError, match=r"max\|Δ\|"):
        parity.compare(IMAGE_SPEC, net, bad, samples.generated(IMAGE_SPEC, 8), "generated")


def test_a_failed_gate_publishes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise parity.ParityError("no")

    monkeypatch.setattr(parity, "compare", fail)
    with pytest.raises(parity.ParityError):
        publish(SPEC, tmp_path, None, None, None)
    assert list((tmp_path / "solubility_net" / "1").iterdir()) == []


def test_a_spec_that_names_another_size_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected 1 parameters, got 46,209"):
        publish(replace(SPEC, parameters=1), tmp_path, None, None, None)


def test_a_broken_card_is_an_error_with_its_path(tmp_path: Path) -> None:
    for content in ("", "[]", '{"schema": 99}', '{"schema": 1}'):
        (tmp_path / "card.json").write_text(content)
        with pytest.raises(CardError, match=r"card\.json"):
            Card.read(tmp_path / "card.json")


def test_the_command_line_exports_once_and_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    first = run_export(folder, models="solubility")
    assert "shipped weights solubility.safetensors" in first.stderr
    stamp = (folder / "solubility_net" / "1" / "fp32.onnx").stat().st_mtime_ns
    again = run_export(folder, models="solubility")
    assert "up to date solubility: shipped weights" in again.stdout
    assert (folder / "solubility_net" / "1" / "fp32.onnx").stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--models", "chest_xrey"], "chest_xray"),
        (["--checkpoints", "/nowhere"], "expected a folder"),
        (["--checkpoints", "pneumonai=x.pth"], "expected NAME=FILE with a name of brain_ct"),
        (["--parity", "/nowhere"], "PARITY: expected a folder"),
        (["--checkpoints", "a,b"], "expected one folder"),
    ],
)
def test_the_command_line_refuses_with_a_sentence(tmp_path: Path, arguments: list[str], words: str) -> None:
    command = [sys.executable, "-m", "export", "models", "--repository", str(tmp_path), *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_shipped_weights_serve_until_there_is_a_checkpoint(tmp_path: Path) -> None:
    card = publish(SHIPPED, tmp_path, None, None, None)
    assert card.weights.trained
    assert card.weights.shipped
    assert stale(SHIPPED, tmp_path, None) == ""
    older = replace(card, weights=replace(card.weights, checkpoint_sha256="00" * 32))
    older.write(folder_of(SHIPPED, tmp_path))
    assert stale(SHIPPED, tmp_path, None) == "other weights"
    check_not_untraining(SHIPPED, tmp_path, None, "other weights")  # shipped weights give way to newer ones
    theirs = replace(card, weights=replace(card.weights, checkpoint_sha256="00" * 32, shipped=False))
    theirs.write(folder_of(SHIPPED, tmp_path))
    assert stale(SHIPPED, tmp_path, None) == ""
    with pytest.raises(WouldUntrain):
        check_not_untraining(SHIPPED, tmp_path, None, "the spec changed")


def test_weights_beyond_one_file_lie_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens to an artefact of more than 2 GiB, at a size that tests can afford."""
    from export import to_onnx

    monkeypatch.setattr(to_onnx, "EXTERNAL_BYTES", 1 << 16)
    monkeypatch.setattr(to_onnx, "EXTERNAL_TENSOR_BYTES", 1 << 12)
    card = publish(SPEC, tmp_path, None, None, None)
    folder = folder_of(SPEC, tmp_path)
    assert list(card.artefacts["fp32.onnx"].external) == ["fp32.onnx.data"]
    assert (folder / "fp32.onnx.data").stat().st_size > 1 << 16
    assert stale(SPEC, tmp_path, None) == ""
    with (folder / "fp32.onnx.data").open("r+b") as data:
        data.seek(1000)
        data.write(b"\x00\x01\x02")
    assert stale(SPEC, tmp_path, None) == "artefact is not the one in its card"
    monkeypatch.undo()
    publish(SPEC, tmp_path, None, None, None)
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
        f"mount -t tmpfs -o size=1m tmpfs {small} && "
        f"{sys.executable} -m export models --repository {small} --models pneumonia_cnn; echo status $?; "
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
    assert json.loads((tmp_path / "card.json").read_text())["schema"] == 2
