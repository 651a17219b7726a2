"""`medserve` in a shell: what it reads, prints and returns, with a server in memory."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medserve import Client, Unavailable
from medserve.cli import connection, main
from medserve.testing import FakeModel, FakeServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """What every command connects to, whatever its URL."""

    def reading(sent) -> dict:
        return {"echo": sent["image"][:4].hex()}

    server = FakeServer(
        {
            "film": FakeModel(
                labels=("Normal", "COVID-19"),
                probabilities=(0.25, 0.75),
                heatmap=np.full((7, 7), 0.5, np.float32),
                answering=reading,
                needs_review=True,
            ),
            "molecule": FakeModel(value=-1.5, unit="log mol/L", inputs=("smiles",)),
            "pair": FakeModel(labels=("A",), probabilities=(1.0,), inputs=("ct", "mri"), optional=("ct",)),
        }
    )
    monkeypatch.setattr(connection, "Client", lambda *_, **options: Client(transport=server, **options))
    return server


@pytest.fixture
def films(tmp_path: Path) -> Path:
    (tmp_path / "ward" / "seven").mkdir(parents=True)
    for name in ("a.png", "ward/b.png", "ward/seven/c.png"):
        Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / name)
    (tmp_path / "ward" / "README.md").write_text("not a film")
    return tmp_path


def _run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    status = main([*map(str, arguments)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_files_folders_and_patterns(server: FakeServer, films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, "predict", "film", films / "a.png", films / "ward", films / "*.png", "--json")
    assert status == 0
    assert [json.loads(line)["item"] for line in out.splitlines()] == [
        str(films / name) for name in ("a.png", "ward/b.png", "ward/seven/c.png", "a.png")
    ]
    answer = json.loads(out.splitlines()[0])
    assert {"prediction", "confidence", "probabilities", "processing_time", "timestamp", "disclaimer"} <= set(answer)


def test_for_a_person(server: FakeServer, films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, "predict", "film", films / "a.png")
    assert status == 0
    assert out.startswith(f"{films / 'a.png'}: COVID-19 (0.750)\n")
    assert "needs review: yes (a fake server says so)" in out
    assert "A fake server's answer." in out


def test_several_are_a_table(server: FakeServer, films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (films / "empty.png").write_bytes(b"")
    status, out, err = _run(capsys, "predict", "film", films / "a.png", films / "empty.png", films / "ward")
    assert status == 1
    head, *rows, disclaimer = out.splitlines()
    assert head.split()[:3] == ["item", "prediction", "confidence"]
    assert len(rows) == 3
    assert all("COVID-19" in row and "0.750" in row and "a fake server says so" in row for row in rows)
    assert "a.png" in rows[0]
    assert disclaimer == "A fake server's answer."
    assert "[empty]" in err


def test_for_a_spreadsheet(server: FakeServer, films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (films / "empty.png").write_bytes(b"")
    status, out, err = _run(capsys, "predict", "film", films / "a.png", films / "empty.png", "--csv")
    assert status == 1
    good, bad = csv.DictReader(io.StringIO(out))
    assert (good["prediction"], good["confidence"], good["weights"], good["error"]) == (
        "COVID-19",
        "0.75",
        "untrained",
        "",
    )
    assert (bad["prediction"], bad["code"]) == ("", "empty")
    assert "[empty]" in err


def test_one_that_is_gone_fails_alone(server: FakeServer, films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = _run(capsys, "predict", "film", films / "gone.png", films / "a.png", "--json")
    failed, answered = map(json.loads, out.splitlines())
    assert status == 1
    assert answered["prediction"] == "COVID-19"
    assert "cannot be read" in failed["error"]
    assert str(films / "gone.png") in err


def test_texts(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, "predict", "molecule", "CCO", "c1ccccc1")
    assert status == 0
    assert out.count("-1.500 log mol/L") == 2


def test_several_inputs_are_one_item(server: FakeServer, films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, "predict", "pair", f"mri={films / 'a.png'}", "--json")
    assert status == 0
    assert json.loads(out)["prediction"] == "A"
    for wrong, told in (
        ([films / "a.png"], "pair: expected ct=FILE mri=FILE"),
        (["mri=a", "mri=b"], "pair: expected each of ct, mri once"),
    ):
        status, _, err = _run(capsys, "predict", "pair", *wrong)
        assert status == 2
        assert told in err


@pytest.mark.parametrize("binary", [True, False])
def test_stdin(
    server: FakeServer, films: Path, binary: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = (films / "a.png").read_bytes() if binary else f"{films / 'a.png'}\n{films / 'ward' / 'b.png'}\n".encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sent)))
    status, out, _ = _run(capsys, "predict", "film", "-", "--json")
    assert status == 0
    items = [json.loads(line)["item"] for line in out.splitlines()]
    assert items == (["-"] if binary else [str(films / "a.png"), str(films / "ward" / "b.png")])


def test_heatmaps_get_files_of_their_own(server: FakeServer, films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = films / "maps" / "of today"
    status, _, _ = _run(capsys, "predict", "film", films / "a.png", films / "a.png", "--heatmap", out)
    assert status == 0
    assert len(list(out.glob("*a.png-film-image*.png"))) == 2
    status, _, err = _run(capsys, "predict", "molecule", "CCO", "--heatmap", out)
    assert status == 2
    assert "expected a model of pictures" in err


def test_an_overlay_that_cannot_be_written_fails_alone(
    server: FakeServer, films: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from medserve.cli import predict

    own = predict._write_overlays

    def full(client, described, item, *rest) -> None:
        if item.name.endswith("a.png"):
            raise OSError(28, "No space left on device")
        own(client, described, item, *rest)

    monkeypatch.setattr(predict, "_write_overlays", full)
    both = (films / "a.png", films / "ward" / "b.png")
    status, out, err = _run(capsys, "predict", "film", *both, "--json", "--heatmap", films / "maps")
    failed, answered = map(json.loads, out.splitlines())
    assert status == 1
    assert "No space left" in failed["error"]
    assert "No space left" in err
    assert answered["prediction"] == "COVID-19"


def test_what_the_server_says_of_itself(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, "models")
    assert status == 0
    assert "UNTRAINED" in out
    assert json.loads(_run(capsys, "models", "--json")[1]).keys() == {"film", "molecule", "pair"}
    assert "Normal, COVID-19" in _run(capsys, "describe", "film")[1]
    assert json.loads(_run(capsys, "describe", "film", "--json")[1])["labels"] == ["Normal", "COVID-19"]
    status, out, _ = _run(capsys, "health")
    assert (status, out.count("ready")) == (0, 4)
    server.fail(Unavailable("nobody is there"))
    status, out, _ = _run(capsys, "health", "--json")
    assert status == 1
    assert json.loads(out)["live"] is False


def test_bench(server: FakeServer, films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, "bench", "film", films / "a.png", "--calls", "20", "--concurrency", "4")
    assert status == 0
    assert out.startswith("20 of 20 answered in ")
    assert "p50" in out


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["predict", "brain", "a.png"], 1, "brain: expected one of film, molecule, pair"),
        (["predict", "film", "*.jpg"], 2, "expected files that match, found none"),
        (["predict", "film", "a.png", "--json", "--csv"], 2, "expected one of them"),
        (["predict", "film"], 2, "Missing argument"),
        (["predikt"], 2, "predikt"),
        (["predict", "pair", "a.png"], 2, "expected ct=FILE mri=FILE"),
        (["predict", "pair", "ct=a", "ct=b"], 2, "once"),
        (["predict", "pair", "pet=a"], 2, "expected ct=FILE mri=FILE"),
        (["predict", "pair", "mri=gone.png"], 1, "pair.inputs.mri: cannot be read"),
        (["predict", "film", "gone.png"], 1, "film.inputs.image: cannot be read"),
        (["predict", "molecule", "CCO", "--heatmap", "x"], 2, "expected a model of pictures"),
        (["predict", "film", "a.png", "--heatmap", "a.png"], 2, "a.png"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    server: FakeServer,
    films: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    told: str,
) -> None:
    monkeypatch.chdir(films)
    got, _, err = _run(capsys, *arguments)
    assert got == status
    assert told in err
    assert "Traceback" not in err


def test_a_wrong_url_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = _run(capsys, "models", "--url", "nonsense")
    assert status == 2
    assert "url: expected grpc or grpcs or http or https" in err


def test_without_the_extra_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("medserve.cli.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "typer", None)
    assert _run(capsys) == (2, "", "medserve: expected typer. Run `pip install 'medserve[cli]'`.\n")
