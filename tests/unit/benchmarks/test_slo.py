"""The file of promises, what is counted, and what a verdict may be drawn from."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from benchmarks.load import report
from benchmarks.load.recorder import Latency, Recorder, total
from benchmarks.load.run import Run, of
from benchmarks.load.slo import Campaign, Files, SloError
from benchmarks.load.traffic import items
from benchmarks.load.verdict import judged
from benchmarks.load.watch import Served, Step
from export.models import all_specs
from tests.support.load_runs import run

CAMPAIGN = Campaign.read()
SLO = CAMPAIGN.slo[0]


def _served() -> Served:
    step = Step(
        name="net", requests=9, items=9, executions=3, queue_ms=1, input_ms=1, infer_ms=1, output_ms=1, batches={"3": 3}
    )
    return Served(steps=[step], cpu_s={"tritonserver": 1.0}, cpu_share=None, memory_mb=10.0)


def test_every_model_has_files_and_every_light_one_a_promise() -> None:
    light = {spec.name for spec in all_specs().values() if not spec.on_request}
    assert set(CAMPAIGN.files) == set(all_specs())
    assert {name for slo in CAMPAIGN.slo for name in slo.models} == light
    for model, spec in all_specs().items():
        assert set(CAMPAIGN.files[model]) == {sent.name for sent in spec.step.inputs}
    assert all(slo.p95_ms or slo.items_per_second for slo in CAMPAIGN.slo if not slo.may_refuse)


FILES = "[files.m]\nx = {folder = 'f'}\n"
WHOLE = "[[slo]]\nname = 'a'\nmodels = {m = 1}\np50_ms = 1\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FILES + WHOLE.replace("{m = 1}", "{}"), "expected models"),
        (FILES + WHOLE.replace("m = 1", "n = 1"), "expected models with files"),
        (FILES + WHOLE.replace("m = 1", "m = 0"), "Expected"),
        (FILES + WHOLE.replace("p50_ms = 1", ""), "expected a limit"),
        (FILES + WHOLE.replace("p50_ms = 1", "p50_ms = 0"), "Expected"),
        (FILES + WHOLE.replace("p50", "p90"), "p90_ms"),
        (FILES + WHOLE + WHOLE, "twice"),
        (FILES + WHOLE + "batch = 2\nsend = 'tensors'\n", "batch: expected send"),
        ("runs = 0\n" + FILES + WHOLE, "Expected"),
        ("runs = ", "slo.toml"),
    ],
)
def test_a_file_that_promises_nothing_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "slo.toml"
    file.write_text(text)
    with pytest.raises(SloError, match=said):
        Campaign.read(file)


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "slo.toml"
    file.write_text(FILES + WHOLE)
    assert [slo.name for slo in Campaign.read(file).slo] == ["a"]


def test_an_unknown_promise_is_named_with_the_known_ones() -> None:
    with pytest.raises(SloError, match=f"{SLO.name}.*got abacus"):
        CAMPAIGN.chosen(["abacus"])


def test_a_server_that_stood_still_is_seen() -> None:
    recorder = Recorder(warm_s=0)
    for number in range(1000):
        recorder.answer("m", number / 100, 0.25)  # ten seconds of a hundred, and then nothing for ten
    for _ in range(100):
        recorder.answer("m", 25.0, 15.0)
    found = of(recorder, "s", ["m"], 20, offered=1100, checked=1100, client_cpu_s=0)
    assert found.answered.p95 == pytest.approx(15000, rel=0.01)
    assert found.per_second == 50
    assert found.complaints() == ["nothing was answered for 10 s"]


def test_the_warm_up_is_not_counted_and_what_comes_late_is_no_throughput() -> None:
    recorder = Recorder(warm_s=2)
    for now in (0.5, 1.9, 2.0, 3.5, 4.9, 5.1):
        recorder.answer("m", now, 0.25)
    found = of(recorder, "s", ["m"], 3, offered=6, checked=6, client_cpu_s=0)
    assert [second.answered.count for second in found.timeline] == [1, 1, 1]
    assert (found.answered.count, found.late) == (4, 1)
    assert found.per_second == 1
    assert found.answered.p50 == pytest.approx(250, rel=0.002)


def test_workers_counts_add_up() -> None:
    master, worker = Recorder(0), Recorder(0)
    for number in range(50):
        (master if number % 2 else worker).answer("m", number / 25, (number + 1) / 1000)
    worker.failure("broken")
    worker.refusal(1, 0.5)
    packed = msgspec.msgpack.decode(msgspec.msgpack.encode(worker.packed()))
    master.add(packed)
    whole = Latency.of(total(master.answered))
    assert (whole.count, round(whole.longest)) == (50, 50)
    assert master.failed == {"broken": 1}
    assert total(master.refused).total_count == 1
    assert master.models["m"].total_count == 50


def test_a_promise_that_is_kept() -> None:
    result = judged(SLO, [run()] * 3, [_served()] * 3)
    assert not result.missed
    assert result.per_second == pytest.approx(5)
    text = report.markdown("a machine", [result])
    assert f"| {SLO.name} | 100 | 100 (≤ " in text
    assert "| net | 9 | 3.0 | 1.0 |" in text
    assert "data:image/png;base64," in report.html("a machine", [result])


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (run(0), "no call was answered"),
        (run(failed="WrongAnswer: another item's"), "1 × WrongAnswer"),
        (run(checked=99), "1 answers were not compared"),
        (run(latency_s=5.0), "p95: expected at most"),
    ],
)
def test_a_run_that_proves_nothing_or_is_slow_is_a_miss(found: Run, said: str) -> None:
    runs = [found] * 2 + [run()] if "p95" in said else [run(), found, run()]
    assert any(said in sentence for sentence in judged(SLO, runs, [_served()] * 3).missed)


def test_a_model_that_nobody_asked_is_a_miss() -> None:
    found = msgspec.structs.replace(run(), models={**run().models, "silent": Latency(0, 0, 0, 0, 0, 0)})
    assert any("silent" in sentence for sentence in judged(SLO, [found], [_served()]).missed)


def test_no_run_is_no_verdict() -> None:
    with pytest.raises(ValueError, match="expected a run"):
        judged(SLO, [], [])


@pytest.mark.parametrize(("size", "format_"), [((299, 299), "PNG"), ((600, 450), "JPEG")])
def test_files_are_made_where_there_is_no_sample_data(tmp_path: Path, size: tuple[int, int], format_: str) -> None:
    found = items({"image": Files(folder="cxr", size=size, format=format_)}, tmp_path, 6)
    assert len({item["image"] for item in found}) == 6
    for item in found:
        with Image.open(io.BytesIO(item["image"])) as image:
            assert (image.size, image.format) == (size, format_)


def test_real_files_are_sent_as_they_are_where_they_fit(sample_data: object) -> None:
    data = sample_data.folder / "data"
    for model, inputs in CAMPAIGN.files.items():
        found = items(inputs, data, 8)
        assert len({tuple(item.values()) for item in found}) == 8, model
    real = {path.read_bytes() for path in (data / "derm").rglob("*.jpg")}
    lesions = next(files for files in CAMPAIGN.files.values() if any(one.folder == "derm" for one in files.values()))
    assert all(item["image"] in real for item in items(lesions, data, 8))
