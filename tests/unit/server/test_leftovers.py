"""What a run that is over leaves behind, and whose it is."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from server import leftovers
from server.leftovers import clean_up, own_tag, prune_cache
from tests.support.cards import made_card

GONE = "medserve-999999999-1700000000"  # no process has such a number


@pytest.fixture
def shm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shm"
    folder.mkdir()
    monkeypatch.setattr(leftovers, "SHM", folder)
    return folder


def _run(runtime: Path, shm: Path, tag: str) -> list[Path]:
    """The files of one run."""
    (runtime / tag / "models").mkdir(parents=True)
    (shm / f"{tag}-region").write_bytes(b"x")
    return [runtime / tag, shm / f"{tag}-region"]


def test_what_belongs_to_a_launcher_that_is_gone_is_removed(tmp_path: Path, shm: Path) -> None:
    dead, own = _run(tmp_path / "run", shm, GONE), _run(tmp_path / "run", shm, own_tag())
    (shm / "somebody-elses").write_bytes(b"x")
    assert clean_up(tmp_path / "run") == 2
    assert not any(path.exists() for path in dead)
    assert all(path.exists() for path in [*own, shm / "somebody-elses"])


def test_a_number_that_another_process_has_now_is_of_a_launcher_that_is_gone(tmp_path: Path, shm: Path) -> None:
    number, started = psutil.Process().pid, int(psutil.Process().create_time())
    old = _run(tmp_path / "run", shm, f"medserve-{number}-{started - 1000}")
    moved = _run(tmp_path / "run", shm, f"medserve-{number}-{started - 1}")  # the clock was set by a second
    clean_up(tmp_path / "run")
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in moved)


def test_the_end_of_a_run_removes_its_own_files_alone(tmp_path: Path, shm: Path) -> None:
    own, other = _run(tmp_path / "run", shm, own_tag()), _run(tmp_path / "run", shm, GONE)
    assert clean_up(tmp_path / "run", own_tag()) == 2
    assert not any(path.exists() for path in own)
    assert all(path.exists() for path in other)


def test_compilations_of_artefacts_that_are_listed_no_more_go(tmp_path: Path) -> None:
    version = tmp_path / "repository" / "lung_net" / "1"
    version.mkdir(parents=True)
    made_card().write(version)
    (tmp_path / "repository" / "broken" / "1").mkdir(parents=True)
    (tmp_path / "repository" / "broken" / "1" / "card.json").write_text("{")
    for name in ("ab" * 32, "0" * 64):
        (tmp_path / "compiled" / name).mkdir(parents=True)
    prune_cache(tmp_path / "compiled", tmp_path / "repository")
    assert [path.name for path in (tmp_path / "compiled").iterdir()] == ["ab" * 32]
