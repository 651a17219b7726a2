"""Serving while models are published: what is loaded, announced, reported missing, and started again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from server import supervisor
from server.health import Health, State
from server.preflight import PreflightError
from server.publisher import Ended, Event, Failed, Planned, Published
from server.repository import Repository
from server.supervisor import DEATH_WINDOW_S, MAX_DEATHS, SHORT_DRAIN_S, Plan, Stop, serve
from server.triton import DRAIN_TIMEOUT_S, Address, LoadError, TritonError
from tests.support.clock import Clock

MODELS = ("first", "second", "third")
GAUGE = "# TYPE medserve_worker_busy gauge\nmedserve_worker_busy %d\n"
BUSY, IDLE = GAUGE % 1, GAUGE % 0


def _ensemble(name: str, *steps: str) -> pb.ModelConfig:
    config = pb.ModelConfig(name=name, platform="ensemble")
    for step in steps:
        config.ensemble_scheduling.step.add(model_name=step)
    return config


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Three ensembles of a shared step, a network each and a shared report."""
    folder = tmp_path / "repository"
    configs = [pb.ModelConfig(name=name, backend="python") for name in ("describe", "read", "report")]
    for model in MODELS:
        configs += [pb.ModelConfig(name=f"{model}_net", backend="onnxruntime")]
        configs += [_ensemble(model, "read", f"{model}_net", "report")]
    for config in configs:
        (folder / config.name / "1").mkdir(parents=True)
        (folder / config.name / "config.pbtxt").write_text(text_format.MessageToString(config))
    return Repository.read(folder)


class FakeServer:
    """Records what it is told to do; dies when its `troubles` say so, one a look."""

    def __init__(self, troubles: Sequence[str] = (), rejects: str = "", metrics: Sequence[str | Stop] = ()) -> None:
        self.loaded: list[str] = []
        self.ended: list[str] = []
        self.looks = list(metrics)
        self.troubles, self.rejects = list(troubles), rejects

    def load(self, models: Sequence[str]) -> None:
        for model in models:
            if model == self.rejects:
                raise LoadError(f"{model}: no")
            self.loaded.append(model)

    def trouble(self) -> str:
        return self.troubles.pop(0) if self.troubles else ""

    def metrics(self) -> str:
        look = self.looks.pop(0) if self.looks else IDLE
        if isinstance(look, Stop):
            raise look
        return look

    def drain(self, timeout_s: float) -> None:
        self.ended.append("drained")
        self.drain_s = timeout_s

    def kill(self) -> None:
        self.ended.append("killed")


class FakeEvents:
    """These events in this order, then Ctrl-C; an event may be something to do."""

    def __init__(self, *events: Event | None) -> None:
        self.left, self.closed = list(events), False

    def next(self, timeout_s: float) -> Event | None:
        if not self.left:
            raise Stop
        event = self.left.pop(0)
        return event() if callable(event) else event

    def close(self) -> None:
        self.closed = True


class Run:
    """One run of `serve` with stand-ins; what it did."""

    def __init__(self, repository: Repository, tmp_path: Path) -> None:
        self.repository, self.folder = repository, tmp_path / "run"
        self.servers: list[FakeServer] = []
        self.starts: list[list[str]] = []
        self.announced: list[str] = []
        self.verified: list[list[str]] = []
        self.bad = ""
        self.health = Health("127.0.0.1", 1, repository.closure(MODELS), "", 1000)
        self.missing: list[dict[str, str]] = []
        self.events = FakeEvents()
        self.clock = Clock()
        self.delay_s = 0.0

    def __call__(self, *events: Event | None, expected: Sequence[str] = MODELS, servers: Sequence[FakeServer] = ()):
        waiting = list(servers)
        self.events = FakeEvents(*events)

        def start(plan: Plan, unpublished: Collection[str]) -> FakeServer:
            self.starts.append(plan.read().available(plan.models, unpublished))
            self.servers.append(waiting.pop(0) if waiting else FakeServer())
            return self.servers[-1]

        plan = Plan(
            triton=None,  # type: ignore[arg-type]
            read=lambda: self.repository,
            models=MODELS,
            address=Address("127.0.0.1", 1, 2, 3),
            runtime=self.folder,
            tag="medserve-test",
            verify=self._verify,
            verbose=False,
            drain_delay_s=self.delay_s,
        )
        serve(
            plan, self.health, self, expected, self.events,
            start=start, clock=self.clock, sleep=self.clock.advance,
        )  # fmt: skip

    def _verify(self, repository: Repository, names: Sequence[str]) -> None:
        self.verified.append(list(names))
        if self.bad in names:
            raise PreflightError(f"{self.bad}: not the artefact that was verified")

    def model(self, repository: Repository, name: str) -> None:
        self.announced.append(name)

    def ready(self) -> None:
        self.announced.append("READY")


@pytest.fixture
def run(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(supervisor, "clean_up", lambda *_: 0)
    return Run(repository, tmp_path)


def test_available_leaves_out_ensembles_and_networks_that_are_not_published(repository: Repository) -> None:
    assert repository.available(MODELS, MODELS) == ["describe", "read", "report"]
    assert repository.available(MODELS, ["second", "third"]) == ["first", "describe", "read", "first_net", "report"]
    assert set(repository.available(MODELS, [])) == set(repository.closure(MODELS))


def test_a_complete_repository_is_started_and_announced_at_once(run: Run) -> None:
    run(expected=())
    assert run.starts == [run.repository.closure(MODELS)]
    assert run.announced == [*MODELS, "READY"]
    assert run.health.missing == {}
    assert run.servers[0].loaded == []


def test_models_are_loaded_verified_and_announced_as_they_are_published(run: Run) -> None:
    run(
        Published("second"),
        None,
        Published("first"),
        Published("third"),
        Ended(0),
        expected=["second", "first", "third"],
    )
    assert run.starts == [["describe", "read", "report"]]
    assert run.servers[0].loaded == ["second_net", "second", "first_net", "first", "third_net", "third"]
    assert run.verified == [["second_net", "second"], ["first_net", "first"], ["third_net", "third"]]
    assert run.announced == ["second", "first", "third", "READY"]
    assert run.health.missing == {}
    assert (run.folder / "medserve-test" / "models" / "second_net" / "config.pbtxt").is_file()


def test_a_failed_export_is_reported_missing_and_the_others_are_served(run: Run, capsys: pytest.CaptureFixture) -> None:
    run(Failed("second", "the gate"), Published("first"), Published("third"), Ended(1))
    assert run.announced == ["first", "third"]
    assert run.health.missing == {"second": "export failed: the gate"}
    assert "not every model is served. second: export failed: the gate" in capsys.readouterr().err


def test_an_export_that_ends_early_leaves_its_models_missing(run: Run) -> None:
    run(Published("first"), Ended(-9))
    assert run.announced == ["first"]
    assert set(run.health.missing) == {"second", "third"}
    assert "status -9" in run.health.missing["second"]


def test_a_death_in_the_meantime_starts_all_that_was_published(run: Run) -> None:
    dies = FakeServer(["", "worker 7 died"])
    run(Published("first"), Published("second"), Published("third"), servers=[dies])
    assert dies.loaded == ["first_net", "first"]
    assert run.starts[1] == run.repository.available(MODELS, ["second", "third"])
    assert run.servers[1].loaded == ["second_net", "second", "third_net", "third"]
    assert run.announced == [*MODELS, "READY"]
    assert run.health.restarts == 1


def test_a_death_during_a_load_leaves_the_load_to_the_next_server(run: Run) -> None:
    dies = FakeServer(["", "tritonserver ended by itself", "tritonserver ended by itself"], rejects="first_net")
    run(Published("first"), None, servers=[dies])
    assert "first_net" in run.starts[1]
    assert run.announced == ["first"]
    assert "first" not in run.health.missing


def test_a_model_that_triton_rejects_is_missing_and_the_others_are_served(run: Run) -> None:
    run(
        Published("first"), Published("second"), expected=["first", "second"], servers=[FakeServer(rejects="first_net")]
    )
    assert run.announced == ["third", "second"]
    assert run.health.missing == {"first": "not loaded: first_net: no"}
    assert not (run.folder / "medserve-test" / "models" / "first_net").exists()


def test_a_late_artefact_that_is_not_its_manifests_is_not_loaded(run: Run) -> None:
    run.bad = "first_net"
    run(Published("first"), Published("second"), expected=["first", "second"])
    assert run.servers[0].loaded == ["second_net", "second"]
    assert "not the artefact that was verified" in run.health.missing["first"]


def test_events_about_other_models_change_nothing(run: Run) -> None:
    run(Planned(("first",)), Published("fourth"), Failed("fourth", "x"), expected=["first"])
    assert run.servers[0].loaded == []
    assert run.health.missing == {"first": "being exported"}


def test_a_stop_ends_the_export_and_drains(run: Run) -> None:
    run(expected=["first"])
    assert run.events.closed
    assert run.health.state is State.DRAINING
    assert run.servers[0].ended == ["drained", "killed"]


def test_a_server_that_keeps_dying_is_given_up(run: Run) -> None:
    servers = [FakeServer(["worker 7 died"]) for _ in range(MAX_DEATHS)]
    with pytest.raises(TritonError, match=f"died {MAX_DEATHS} times"):
        run(*[None] * MAX_DEATHS, expected=(), servers=servers)
    assert servers[-1].ended == ["killed"]


def test_deaths_that_lie_far_apart_are_not_added_up(run: Run) -> None:
    apart_s = DEATH_WINDOW_S / (MAX_DEATHS - 1)
    servers = [FakeServer(["worker 7 died"]) for _ in range(20)]
    run(*[lambda: run.clock.advance(apart_s)] * 20, expected=(), servers=servers)
    assert run.health.restarts == 20


def test_calls_are_answered_for_the_delay_before_triton_is_ended(run: Run) -> None:
    run.delay_s, began = 10.0, run.clock()
    run(expected=())
    assert run.clock() - began >= 10
    assert run.servers[0].drain_s == pytest.approx(DRAIN_TIMEOUT_S)


def test_calls_that_never_end_are_waited_for_no_longer_than_the_timeout(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run.delay_s = 10.0
    run(expected=(), servers=[FakeServer(metrics=[BUSY] * 1000)])
    assert run.servers[0].drain_s == SHORT_DRAIN_S
    assert "calls are still under way after 40 s" in capsys.readouterr().err


def test_a_second_stop_ends_triton_at_once(run: Run) -> None:
    run(expected=(), servers=[FakeServer(metrics=[BUSY, Stop()])])
    assert run.servers[0].ended == ["killed", "killed"]
