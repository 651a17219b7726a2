"""Copies of a repository in which plans are built: once, whole, and found again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from export.plans.store import key, own_copy, timings
from server.gpu import Gpu

H100 = Gpu("NVIDIA H100 80GB HBM3", "9.0", 132)
SLICE = Gpu("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "9.0", 16)
L4 = Gpu("NVIDIA L4", "8.9", 58)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "x_net" / "1").mkdir(parents=True)
    (folder / "x_net" / "1" / "card.json").write_text("{}")
    (folder / "x_net" / "config.pbtxt").write_text('name: "x_net"')
    return folder


def _build(source: Path, into: Path, name: str) -> bool:
    """Whether anything had to be built."""
    with own_copy(source, into, name) as copy:
        if copy is None:
            return False
        (copy / "x_net" / "1" / "sm90.plan").write_text(name)
        return True


def test_another_gpu_library_artefact_config_or_order_is_another_copy(source: Path) -> None:
    first = key(source, H100, "tensorrt 10.14.1", "x")
    assert first.startswith("sm90-tensorrt-10.14.1-")
    found = {first, key(source, L4, "tensorrt 10.14.1", "x"), key(source, H100, "tensorrt 10.15.0", "x")}
    found.add(key(source, H100, "tensorrt 10.14.1", "x,y"))
    found.add(key(source, SLICE, "tensorrt 10.14.1", "x"))
    (source / "x_net" / "1" / "card.json").write_text('{"a": 1}')
    found.add(key(source, H100, "tensorrt 10.14.1", "x"))
    (source / "x_net" / "config.pbtxt").write_text('name: "y"')
    found.add(key(source, H100, "tensorrt 10.14.1", "x"))
    assert len(found) == 7


def test_what_was_built_is_not_built_again(source: Path, tmp_path: Path) -> None:
    into = tmp_path / "work"
    into.mkdir()
    assert _build(source, into, "a")
    assert not _build(source, into, "a")
    assert (into / "models" / "x_net" / "1" / "sm90.plan").read_text() == "a"
    assert not (source / "x_net" / "1" / "sm90.plan").exists()


def test_link_of_one_server_stays_at_its_own_copy(source: Path, tmp_path: Path) -> None:
    into = tmp_path / "work"
    into.mkdir()
    with own_copy(source, into, "old", tmp_path / "chosen"):
        pass
    _build(source, into, "new")  # a pod of the next version, on the same claim
    assert (tmp_path / "chosen").resolve() == into / "old"
    assert (into / "models").resolve() == into / "new"


def test_a_build_that_fails_leaves_what_is_served(source: Path, tmp_path: Path) -> None:
    into = tmp_path / "work"
    into.mkdir()
    _build(source, into, "a")
    with pytest.raises(ZeroDivisionError), own_copy(source, into, "b"):
        raise ZeroDivisionError
    assert (into / "models").resolve().name == "a"
    assert sorted(path.name for path in into.iterdir()) == ["a", "models"]


def test_two_who_build_at_once_agree(source: Path, tmp_path: Path) -> None:
    into = tmp_path / "work"
    into.mkdir()
    with own_copy(source, into, "a") as slow:
        assert slow is not None
        # Another machine's: the same folder, another process.
        (into / "a" / "x_net").mkdir(parents=True)
        (into / "a" / "x_net" / "theirs").touch()
    assert (into / "models" / "x_net" / "theirs").is_file()
    assert sorted(path.name for path in into.iterdir()) == ["a", "models"]


def test_the_copy_before_stays_and_older_ones_go(source: Path, tmp_path: Path) -> None:
    into = tmp_path / "work"
    into.mkdir()
    for name in "abc":
        _build(source, into, name)
    assert sorted(path.name for path in into.iterdir()) == ["b", "c", "models"]


def test_what_a_killed_build_left_goes_after_a_day(source: Path, tmp_path: Path) -> None:
    into = tmp_path / "work"
    for name in (".dead.host.1", ".alive.host.2"):
        (into / name).mkdir(parents=True)
    os.utime(into / ".dead.host.1", (0, 0))
    _build(source, into, "a")
    assert sorted(path.name for path in into.iterdir()) == [".alive.host.2", "a", "models"]


def test_copy_of_a_read_only_repository_can_be_written(source: Path, tmp_path: Path) -> None:
    """As root nothing is read-only: what counts is the mode that the copy has."""
    into = tmp_path / "work"
    into.mkdir()
    folders = [source, *filter(Path.is_dir, source.rglob("*"))]
    for file in filter(Path.is_file, source.rglob("*")):
        file.chmod(0o444)
    for folder in reversed(folders):
        folder.chmod(0o555)
    with own_copy(source, into, "a") as copy:
        assert copy is not None
        modes = {path.stat().st_mode & 0o200 for path in (copy, *copy.rglob("*"))}
    for folder in folders:
        folder.chmod(0o755)
    assert modes == {0o200}


def test_timings_are_reused_by_the_next_artifact_and_by_no_other_gpu_or_library(tmp_path: Path) -> None:
    found = [
        timings(tmp_path, gpu, library) for gpu in (H100, SLICE, L4) for library in ("tensorrt 10.14", "tensorrt 11")
    ]
    assert len(set(found)) == 6
    assert found[0] == tmp_path / "timings-NVIDIA-H100-80GB-HBM3-132-tensorrt-10.14.cache"
