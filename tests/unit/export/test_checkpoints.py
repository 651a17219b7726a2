"""Every shape of checkpoint, and every way in which one can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from export.checkpoints import CheckpointError, find, load
from export.loading import fill
from export.models import all_specs
from export.nets.heads import head_from_state

SPEC = all_specs()["pneumonia_cnn"]
RESNET = all_specs()["chest_xray"]


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(7)
    return SPEC.build()


def _loaded(content: object, folder: Path, spec=SPEC) -> nn.Module:
    path = folder / spec.weights.filename
    torch.save(content, path)
    target = spec.build()
    fill(target, load(path, spec), spec)
    return target


def _same(first: nn.Module, second: nn.Module, tolerance: float = 0.0) -> bool:
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return all(torch.allclose(a, b, rtol=0, atol=tolerance) for a, b in pairs)


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("wrap", [None, "state_dict", "model_state_dict"])
def test_every_shape_is_accepted(net: nn.Module, tmp_path: Path, prefix: str, wrap: str | None) -> None:
    state = {prefix + key: value for key, value in net.state_dict().items()}
    assert _same(_loaded({wrap: state, "epoch": 3} if wrap else state, tmp_path), net)


def test_half_precision_and_missing_batch_counters(net: nn.Module, tmp_path: Path) -> None:
    state = {k: v.half() for k, v in net.state_dict().items() if "num_batches" not in k}
    loaded = _loaded(state, tmp_path)
    assert _same(loaded, net, tolerance=1e-3)
    assert all(parameter.dtype == torch.float32 for parameter in loaded.parameters())


@pytest.mark.parametrize(
    ("head", "keys"),
    [
        (nn.Linear(2048, 4), {"fc.weight", "fc.bias"}),
        (
            nn.Sequential(nn.Linear(2048, 512), nn.ReLU(), nn.Dropout(), nn.Linear(512, 4)),
            {"fc.0.weight", "fc.3.weight"},
        ),
        (
            nn.Sequential(nn.Dropout(), nn.Linear(2048, 512), nn.ReLU(), nn.Dropout(), nn.Linear(512, 4)),
            {"fc.1.weight", "fc.4.weight"},
        ),
        (
            nn.Sequential(nn.Linear(2048, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 4)),
            {"fc.1.running_mean"},
        ),
    ],
)
def test_a_resnet_head_takes_the_shape_that_its_keys_tell(tmp_path: Path, head: nn.Module, keys: set[str]) -> None:
    torch.manual_seed(3)
    source = RESNET.build()
    source.fc = head
    assert keys <= set(source.state_dict())
    loaded = _loaded(source.state_dict(), tmp_path, RESNET)
    x = torch.randn(5, 2048)
    assert torch.equal(loaded.eval().fc(x), source.eval().fc(x))


def test_two_linear_layers_in_a_row_are_no_head() -> None:
    with pytest.raises(ValueError, match="ReLU"):
        head_from_state(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)).state_dict(prefix="fc."), "fc")


def test_each_missing_unexpected_and_wrongly_shaped_key_is_named(net: nn.Module, tmp_path: Path) -> None:
    state = dict(net.state_dict())
    del state["features.0.0.weight"]
    state["stray.weight"] = torch.zeros(2)
    state["features.1.0.weight"] = torch.zeros(1, 2, 3, 4)
    with pytest.raises(CheckpointError) as caught:
        _loaded(state, tmp_path)
    said = str(caught.value)
    assert "missing: features.0.0.weight (32, 3, 3, 3)" in said
    assert "unexpected: stray.weight (2,)" in said
    assert "wrong shape: features.1.0.weight: expected (64, 32, 3, 3), got (1, 2, 3, 4)" in said


def test_class_names_in_another_order_are_refused(net: nn.Module, tmp_path: Path) -> None:
    state = net.state_dict()
    assert _same(_loaded({"state_dict": state, "class_names": ["normal", "pneumonia"]}, tmp_path), net)
    with pytest.raises(CheckpointError, match="order"):
        _loaded({"state_dict": state, "class_names": ["PNEUMONIA", "NORMAL"]}, tmp_path)

    with pytest.raises(CheckpointError, match="order"):
        _loaded({"state_dict": state, "class_to_idx": {"NORMAL": 1, "PNEUMONIA": 0}}, tmp_path)


def test_a_weight_under_two_prefixes_is_refused(net: nn.Module, tmp_path: Path) -> None:
    state = dict(net.state_dict()) | {"module.classifier.3.bias": torch.zeros(2)}
    with pytest.raises(CheckpointError, match=r"got classifier\.3\.bias under two prefixes"):
        _loaded(state, tmp_path)


@pytest.mark.parametrize(
    "state",
    [
        nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).state_dict(prefix="fc."),
        {"fc.999999999.weight": torch.zeros(2, 3)},
    ],
)
def test_what_is_no_head_is_said_to_be_none(state: dict) -> None:
    with pytest.raises(ValueError, match="head 'fc': expected"):
        head_from_state(state, "fc")


class _Evil:
    def __reduce__(self):
        return (print, ("code from a checkpoint ran",))


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CheckpointError, match="could run code"):
        _loaded({"state_dict": _Evil()}, tmp_path)
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut"])
def test_what_is_no_checkpoint_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        load(path, SPEC)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": {}}])
def test_no_state_dict(tmp_path: Path, content: object) -> None:
    with pytest.raises(CheckpointError, match="expected a state_dict"):
        _loaded(content, tmp_path)


def test_a_weight_that_is_not_finite_is_refused(net: nn.Module, tmp_path: Path) -> None:
    state = dict(net.state_dict())
    state["classifier.0.bias"] = torch.full((256,), float("nan"))
    with pytest.raises(CheckpointError, match=r"not finite: classifier\.0\.bias"):
        _loaded(state, tmp_path)


def test_found_below_the_folder_by_its_name(tmp_path: Path) -> None:
    assert find(SPEC, None, {}) is None
    assert find(SPEC, tmp_path, {}) is None
    inner = tmp_path / "project" / "models"
    inner.mkdir(parents=True)
    (inner / SPEC.weights.filename).touch()
    assert find(SPEC, tmp_path, {}) == inner / SPEC.weights.filename
    (tmp_path / SPEC.weights.filename).touch()
    with pytest.raises(CheckpointError, match="found 2"):
        find(SPEC, tmp_path, {})
    assert find(SPEC, tmp_path, {SPEC.name: tmp_path / SPEC.weights.filename}) == tmp_path / SPEC.weights.filename
    with pytest.raises(CheckpointError, match="found none"):
        find(SPEC, tmp_path / "nowhere", {})


def test_a_head_without_dropout_cannot_tell_its_doubt(tmp_path: Path) -> None:
    spec = all_specs()["skin_lesion"]
    net = spec.build()
    net.fc = nn.Linear(2048, 9)
    path = tmp_path / "x.pth"
    torch.save(net.state_dict(), path)
    with pytest.raises(CheckpointError, match="expected a head with dropout"):
        fill(spec.build(), load(path, spec), spec)


def test_a_rule_that_can_never_fire_is_no_rule() -> None:
    from dataclasses import replace

    from report.rules import OperatingPoint, Rules

    spec = all_specs()["pneumonia"]
    for rules in (
        Rules(),  # 0.5 of two classes
        Rules(review_below_confidence=None, operating_points=(OperatingPoint(label="melanoma", at_least=0.2),)),
        Rules(review_below_confidence=None, review_above=(("unknown_atoms", 0.0),)),
    ):
        with pytest.raises(ValueError, match="rules"):
            replace(spec, rules=rules)
