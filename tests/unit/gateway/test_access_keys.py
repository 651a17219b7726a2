"""Keys: what is read, what is refused, what changes while it runs, and that wrong ones cost what right ones do."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge
from typer.testing import CliRunner

from gateway.access import AccessError, Caller
from gateway.access.commands import app
from gateway.access.keyring import Defaults, KeyRing
from gateway.access.keys import new_key, read_file, read_list
from gateway.access.keys_file import KeysFile
from gateway.watched import LOOK_S
from tests.support.access_app import OTHER, SECRET, key, sha256
from tests.support.clock import Clock

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PLANTED = "planted-secret"


def entry(secret: str = SECRET, id_: str = "ward", more: str = "") -> str:
    return f'[[key]]\nid = "{id_}"\nsha256 = "{sha256(secret)}"\nmodels = ["*"]\n{more}\n'


# ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_is_read_whole() -> None:
    (found,) = read_file(
        f'[[key]]\nid = "ward-3"\nsha256 = "{sha256(SECRET).upper()}"\nmodels = ["a", "b"]\nscopes = ["drift"]\n'
        "rate_per_s = 2\nburst = 3\nconcurrency = 4\nexpires = 2026-07-01T02:00:00+02:00\n".encode()
    )
    ring = KeyRing((found,), Defaults())
    assert ring.find(SECRET, NOW) == Caller(
        id="ward-3", models=frozenset("ab"), scopes=frozenset(("drift",)), rate_per_s=2, burst=3, concurrency=4
    )
    assert ring.find(SECRET, datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC))
    assert ring.find(SECRET, datetime(2026, 7, 1, tzinfo=UTC)) is None


def test_what_a_key_does_not_say_the_settings_say() -> None:
    found = KeyRing((key(burst=2),), Defaults(rate_per_s=7, burst=9, concurrency=3)).find(SECRET, NOW)
    assert (found.rate_per_s, found.burst, found.concurrency) == (7, 2, 3)


def test_the_environments_list() -> None:
    wide, narrow = read_list(f"wide:{sha256(SECRET)}  narrow:{sha256(OTHER)}:a,b:drift,metrics\n")
    assert (wide.models, wide.scopes) == (("*",), ())
    assert (narrow.models, narrow.scopes) == (("a", "b"), ("drift", "metrics"))


def test_models_and_unknown_names() -> None:
    narrow = KeyRing((key(models=("a",)),), Defaults()).find(SECRET, NOW)
    assert narrow.may("a")
    assert not any(narrow.may(name) for name in ("b", "*", "", "A"))
    assert KeyRing((key(),), Defaults()).find(SECRET, NOW).may("whatever")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "key = []",
        f"[[key]]\nid = '{PLANTED}",
        f"key = '{PLANTED}'",
        f"[[key]]\n{PLANTED} = 1",
        entry(more=f"'{PLANTED}' = 1"),
        f"[[key]]\nid = 'x'\nsha256 = '{PLANTED}'\nmodels = ['*']",
        f"[[key]]\nid = '{PLANTED}:x'\nsha256 = '{'0' * 64}'\nmodels = ['*']",
        f"[[key]]\nid = 'x'\nsha256 = '{'0' * 64}'",
        f"[[key]]\nid = 'x'\nsha256 = '{'0' * 64}'\nmodels = []",
        f"[[key]]\nid = 'x'\nsha256 = \"{'0' * 64}\\n\"\nmodels = ['*']",
        f"[[key]]\nid = \"x\\n\"\nsha256 = '{'0' * 64}'\nmodels = ['*']",
        entry() + entry(OTHER),
        entry() + entry(id_="other"),
        entry(more="expires = 2027-01-01T00:00:00"),
        entry(more="expires = 2027-01-01"),
        entry(more="rate_per_s = 0"),
        entry(more="rate_per_s = -1"),
        entry(more="rate_per_s = nan"),
        entry(more="rate_per_s = inf"),
        entry(more="burst = 0"),
        entry(more="burst = 1.5"),
        entry(more="concurrency = 0"),
        entry(more="concurrency = true"),
        entry(more="scopes = ['everything']"),
        entry().replace('["*"]', '["*", "a"]'),
        entry().replace('["*"]', '"*"'),
        "[" * 3000,
        "a = " + "[" * 3000 + "]" * 3000,
        "\udcff",
    ],
)
def test_broken_files_are_refused_and_not_quoted(content: str) -> None:
    with pytest.raises(AccessError) as refused:
        read_file(content.encode("utf-8", "surrogateescape"))
    assert PLANTED not in str(refused.value)
    assert "0" * 64 not in str(refused.value)
    assert refused.value.__cause__ is None  # a traceback would quote it


@pytest.mark.parametrize(
    "text",
    [
        " ",
        PLANTED,
        f"a:{PLANTED}",
        f"a:{'0' * 64}:x:{PLANTED}",
        f"a:{'0' * 64}:b:c:d",
        f"{PLANTED}!:{'0' * 64}",
        f"a:{'0' * 64} a:{'1' * 64}",
        f"a:{'0' * 64}:*,b",
        ":",
        "::::",
    ],
)
def test_broken_lists_are_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(AccessError) as refused:
        read_list(text)
    assert PLANTED not in str(refused.value)


def test_an_empty_key_is_nobodys() -> None:
    assert KeyRing((), Defaults()).find("", NOW) is None
    assert KeyRing((key(),), Defaults()).find("", NOW) is None
    assert KeyRing((key(),), Defaults()).find("\udcff\ud800"[:1], NOW) is None


# ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def ring(kind: type[KeyRing]) -> KeyRing:
    keys = [key(f"{SECRET}{at}", id=f"k{at}", expires=NOW - timedelta(1) if at == 200 else None) for at in range(400)]
    return kind(keys, Defaults())


class EarlyExit(KeyRing):
    """The planted mistake."""

    def find(self, secret: str, now: datetime) -> Caller | None:
        digest = hashlib.sha256(secret.encode()).digest()
        for one in self._known:
            if hmac.compare_digest(one.digest, digest):
                return one.caller if now < one.expires else None
        return None


SHOWN = {"first": f"{SECRET}0", "last": f"{SECRET}399", "expired": f"{SECRET}200", "wrong": f"{SECRET}x", "none": ""}


def compared(ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many digests are compared in constant time for each key that is sent."""
    counts, compare = dict.fromkeys(SHOWN, 0), hmac.compare_digest
    for name, secret in SHOWN.items():

        def counted(one: bytes, other: bytes, name: str = name) -> bool:
            counts[name] += 1
            return compare(one, other)

        monkeypatch.setattr(hmac, "compare_digest", counted)
        ring.find(secret, NOW)
    return counts


def test_find_any_key_compares_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """First, last, expired, wrong and no key cost the same: no time tells one from another."""
    of = ring(KeyRing)
    assert of.find(SHOWN["first"], NOW).id == "k0"
    assert of.find(SHOWN["last"], NOW).id == "k399"
    assert not any(of.find(SHOWN[name], NOW) for name in ("expired", "wrong", "none"))
    assert compared(of, monkeypatch) == dict.fromkeys(SHOWN, 401)  # 400 keys, and the one in place of wrong ones


def test_that_test_finds_an_early_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = compared(ring(EarlyExit), monkeypatch)
    assert found["first"] < found["last"] <= found["wrong"]


# ── the file, while it runs ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def watched(tmp_path: Path) -> Callable[..., KeysFile]:
    """Opens the file `keys`; `may` looks at it again; what it says goes to `.said`."""
    gauge = Gauge("broken", "x", registry=CollectorRegistry())

    def opened() -> KeysFile:
        said, clock = list[str](), Clock()
        made = KeysFile(tmp_path / "keys", Defaults(), gauge, said.append, clock)
        made.said, made.clock, made.broken = said, clock, lambda: gauge._value.get()
        return made

    return opened


def put(folder: Path, content: str, mode: int = 0o600) -> None:
    new = folder / "new"
    new.write_text(content)
    new.chmod(mode)
    new.rename(folder / "keys")


def may(keys: KeysFile) -> list[bool]:
    keys.clock.advance(LOOK_S)
    return [keys.find(secret, NOW) is not None for secret in (SECRET, OTHER)]


def test_rotation_without_a_restart(tmp_path: Path, watched: Callable[..., KeysFile]) -> None:
    put(tmp_path, entry())
    keys = watched()
    assert may(keys) == [True, False]
    put(tmp_path, entry() + entry(OTHER, "new"))
    assert may(keys) == [True, True]
    put(tmp_path, entry(OTHER, "new"))
    assert may(keys) == [False, True]
    assert keys.said == []


def test_a_rewrite_in_place_of_the_same_length_and_time_is_seen(
    tmp_path: Path, watched: Callable[..., KeysFile]
) -> None:
    put(tmp_path, entry())
    before = (tmp_path / "keys").stat()
    keys = watched()
    with (tmp_path / "keys").open("r+") as file:
        file.write(entry(OTHER))
    os.utime(tmp_path / "keys", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert may(keys) == [False, True]


def test_a_broken_new_file_keeps_the_old_keys_and_is_said_once(
    tmp_path: Path, watched: Callable[..., KeysFile]
) -> None:
    put(tmp_path, entry())
    keys = watched()
    put(tmp_path, entry()[:40])
    for _ in range(5):
        assert may(keys) == [True, False]
    assert (len(keys.said), keys.broken()) == (1, 1)
    put(tmp_path, entry(OTHER), mode=0o644)
    assert may(keys) == [True, False]
    assert (len(keys.said), keys.broken()) == (2, 1)
    put(tmp_path, entry(OTHER))
    assert may(keys) == [False, True]
    assert keys.broken() == 0


def test_a_removed_file_lets_nobody_in(tmp_path: Path, watched: Callable[..., KeysFile]) -> None:
    put(tmp_path, entry())
    keys = watched()
    (tmp_path / "keys").unlink()
    for _ in range(3):
        assert may(keys) == [False, False]
    assert (len(keys.said), keys.broken()) == (1, 1)
    put(tmp_path, "broken")
    assert may(keys) == [False, False]
    put(tmp_path, entry())
    assert may(keys) == [True, False]


def test_kubernetes_swaps_a_link(tmp_path: Path, watched: Callable[..., KeysFile]) -> None:
    for name, content in (("a", entry()), ("b", entry(OTHER))):
        (tmp_path / name).mkdir()
        put(tmp_path / name, content)
    (tmp_path / "data").symlink_to("a")
    (tmp_path / "keys").symlink_to("data/keys")
    keys = watched()
    assert may(keys) == [True, False]
    (tmp_path / "next").symlink_to("b")
    (tmp_path / "next").rename(tmp_path / "data")
    assert may(keys) == [False, True]


def test_the_file_is_looked_at_once_a_second(tmp_path: Path, watched: Callable) -> None:
    put(tmp_path, entry())
    keys = watched()
    put(tmp_path, entry(OTHER))
    keys.clock.advance(LOOK_S - 0.01)
    assert keys.find(SECRET, NOW)
    keys.clock.advance(0.01)
    assert keys.find(SECRET, NOW) is None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o606, 0o610, 0o777])
def test_files_that_others_can_reach_are_refused(tmp_path: Path, watched: Callable, mode: int) -> None:
    put(tmp_path, entry(), mode)
    if os.geteuid() == 0:
        os.chown(tmp_path / "keys", 1000, 1000)
    with pytest.raises(AccessError, match="chmod 600"):
        watched()


@pytest.mark.parametrize("kind", ["pipe", "folder", "huge", "none"])
def test_other_kinds_of_things_are_refused_at_once(tmp_path: Path, watched: Callable, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo(tmp_path / "keys", 0o600)
    elif kind == "folder":
        (tmp_path / "keys").mkdir(0o700)
    elif kind == "huge":
        put(tmp_path, "")
        os.truncate(tmp_path / "keys", 1 << 40)
    with pytest.raises(AccessError, match=f"expected .* got .*|{tmp_path}"):
        watched()


# ── commands ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_new_prints_a_key_that_its_entry_knows(tmp_path: Path) -> None:
    given = [
        "new",
        "--id",
        "ward-3",
        "--models",
        "a, b",
        "--scopes",
        "feedback",
        "--rate-per-s",
        "2.5",
        "--expires-days",
        "1",
    ]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    (secret,) = [line.strip() for line in done.stderr.splitlines() if line.startswith("  ")]
    assert secret not in done.stdout
    assert len(secret) == len("medserve_") + 43
    caller = KeyRing(read_file(done.stdout.encode()), Defaults()).find(secret, datetime.now(UTC))
    assert (caller.id, caller.models, caller.rate_per_s) == ("ward-3", frozenset("ab"), 2.5)
    put(tmp_path, done.stdout)
    checked = CliRunner().invoke(app, ["check", str(tmp_path / "keys")])
    assert checked.exit_code == 0
    assert checked.stdout.startswith("ward-3: models a, b; scopes feedback, until ")


@pytest.mark.parametrize(
    "given",
    [
        ["--id", "a b"],
        ["--id", 'x"\n[[key]]'],
        ["--id", "x", "--models", ""],
        ["--id", "x", "--burst", "0"],
        ["--id", "x", "--scopes", "all"],
        ["--id", "x", "--models", "*,a"],
        ["--id", "\udcff"],
    ],
)
def test_new_refuses_what_the_gateway_would_not_take(given: list[str]) -> None:
    done = CliRunner().invoke(app, ["new", *given])
    assert done.exit_code == 2
    assert "medserve_" not in done.stdout


def test_check_refuses_what_the_gateway_would_not_take(tmp_path: Path) -> None:
    put(tmp_path, "key = 1")
    assert CliRunner().invoke(app, ["check", str(tmp_path / "keys")]).exit_code == 2
    assert CliRunner().invoke(app, ["check", str(tmp_path / "none")]).exit_code == 2


def test_keys_are_random() -> None:
    assert len({new_key()[0] for _ in range(1000)}) == 1000
