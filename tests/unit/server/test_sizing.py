"""A machine's cores and memory, what a launch makes of them, and how it says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from server.explain import explained
from server.machine import Machine, _memory_mb
from server.profiles import Profile
from server.repository import Repository, lay_out_models
from server.sizing import (
    ENGINE_THREADS,
    LONGEST,
    QUEUE_SIZE,
    REPORT_WORKERS,
    SHORTEST,
    STEP_WORKERS,
    VARIABLES,
    SizingError,
    numbers,
    sized,
)
from tests.support.checkout import ROOT

COMMITTED = Repository.read(ROOT / "model_repository")
NEEDED = COMMITTED.closure(["chest_xray", "solubility"])
NOTHING = dict.fromkeys(VARIABLES, "")


def _values(machine: Machine, **given: str) -> dict[str, int]:
    return {number.name: number.value for number in numbers(machine, COMMITTED, NEEDED, NOTHING | given)}


@pytest.mark.parametrize(
    ("cores", "memory_mb", "workers", "reporters", "queue"),
    [
        (1, 24_000, 1, 1, LONGEST),
        (2, 24_000, 2, 1, LONGEST),
        (9, 24_000, 9, 2, LONGEST),
        (64, 256_000, 64, 8, LONGEST),
        (64, 2_048, 2, 1, SHORTEST),  # 512 MB for two steps' workers of 96 MB
        (4, 256, 1, 1, SHORTEST),
    ],
)
def test_numbers_follow_the_machine(cores: int, memory_mb: int, workers: int, reporters: int, queue: int) -> None:
    assert _values(Machine(cores, memory_mb, ())) == {
        STEP_WORKERS: workers,
        REPORT_WORKERS: reporters,
        ENGINE_THREADS: 0,
        QUEUE_SIZE: queue,
    }


@pytest.mark.parametrize(("shared_mb", "workers"), [(64, 8), (512, 64), (4, 1)])
def test_workers_fit_into_shared_memory(shared_mb: int, workers: int) -> None:
    """Two steps; a container has 64 MB of /dev/shm unless it is given more."""
    machine = Machine(64, 256_000, (), shared_mb=shared_mb)
    assert _values(machine)[STEP_WORKERS] == workers


@pytest.mark.parametrize(("tasks", "workers"), [(4096, 28), (16384, 64), (512, 1)])
def test_workers_fit_into_the_containers_tasks(tasks: int, workers: int) -> None:
    assert _values(Machine(64, 256_000, (), tasks=tasks))[STEP_WORKERS] == workers


def test_what_the_user_says_comes_first() -> None:
    found = numbers(Machine(2, 24_000, ()), COMMITTED, NEEDED, NOTHING | {STEP_WORKERS: "5"})
    assert found[0].value == 5
    assert "STEP_WORKERS says" in found[0].reason
    for text in ("0", "-1", "2.5", "two", "²"):
        with pytest.raises(SizingError, match="QUEUE_SIZE: expected a whole number above 0"):
            _values(Machine(2, 24_000, ()), QUEUE_SIZE=text)


def test_configs_get_the_numbers_and_the_committed_ones_stay() -> None:
    before = {name: str(config) for name, config in COMMITTED.configs.items()}
    given = NOTHING | {STEP_WORKERS: "3", REPORT_WORKERS: "2", ENGINE_THREADS: "4", QUEUE_SIZE: "7"}
    own = sized(COMMITTED, numbers(Machine(2, 24_000, ()), COMMITTED, NEEDED, given))
    assert [group.count for group in own.configs["preprocess_xray"].instance_group] == [3]
    assert [group.count for group in own.configs["featurize_molecule"].instance_group] == [3]
    assert [group.count for group in own.configs["report"].instance_group] == [2]
    assert [group.count for group in own.configs["describe"].instance_group] == [1]
    assert own.configs["chest_xray_net"].parameters["intra_op_thread_count"].string_value == "4"
    for name in ("preprocess_xray", "chest_xray_net"):
        assert own.configs[name].parameters["max_queue_size"].string_value == "7"
    assert not own.configs["report"].parameters  # nobody waits for it who has not waited before
    assert own.workers(NEEDED) == 3 + 3 + 2 + 1 + 1 + 1
    assert {name: str(config) for name, config in COMMITTED.configs.items()} == before


def test_what_is_served_is_what_was_sized(tmp_path: Path) -> None:
    own = sized(COMMITTED, numbers(Machine(2, 24_000, ()), COMMITTED, NEEDED, NOTHING | {QUEUE_SIZE: "9"}))
    lay_out_models(own, NEEDED, tmp_path / "models")
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == sorted(NEEDED)
    net = tmp_path / "models" / "chest_xray_net"
    written = text_format.Parse((net / "config.pbtxt").read_text(), pb.ModelConfig())
    assert written.parameters["max_queue_size"].string_value == "9"
    assert (net / "labels.txt").is_symlink()
    assert not (net / "configs").exists()  # one profile is served, and that is the config


def test_explain_names_every_number_and_model() -> None:
    machine = Machine(2, 24_000, ("avx2",))
    chosen = numbers(machine, COMMITTED, NEEDED, NOTHING)
    said = explained(machine, Profile("", "as PROFILE says"), sized(COMMITTED, chosen), NEEDED, chosen)
    for expected in ("2 cores, 24,000 MB, avx2", "STEP_WORKERS=2", "ENGINE_THREADS=2", f"QUEUE_SIZE={LONGEST}"):
        assert expected in said
    for name in NEEDED:
        assert (f"  {name}: " in said) == (COMMITTED.configs[name].platform != "ensemble")


def test_a_containers_memory_counts(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(f"{300 << 20}\n")
    assert _memory_mb(limit) == 300
    limit.write_text("max\n")
    assert _memory_mb(limit) == _memory_mb(tmp_path / "none") > 300
