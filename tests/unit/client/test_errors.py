"""One tree of errors, in its docstring as it is; every status of both protocols has its place in it."""

from __future__ import annotations

import pickle
import re
from http import HTTPStatus

import grpc
import pytest

from medserve import errors
from medserve.errors import MedServeError, of_status

DRAWN = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MedServeError)]


def test_the_tree_is_drawn_as_it_is() -> None:
    assert sorted(DRAWN) == sorted(kind.__name__ for kind in KINDS if kind is not MedServeError)
    for kind, builtin in re.findall(r"[├└]── (\w+) \((\w+)\)", errors.__doc__ or ""):
        assert issubclass(getattr(errors, kind), __builtins__[builtin]), kind  # type: ignore[index]


@pytest.mark.parametrize("status", [code.name for code in grpc.StatusCode if code.name != "OK"])
def test_every_grpc_status_is_mapped(status: str) -> None:
    assert status in errors._BY_GRPC
    error = of_status(status, "in ensemble 'm', [bad_base64] item 0: no", "m")
    assert (error.code, error.status, str(error)) == (
        "bad_base64",
        status,
        "m: in ensemble 'm', [bad_base64] item 0: no",
    )
    assert error.retryable is (status == "UNAVAILABLE")


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        ("400 413 415 422 INVALID_ARGUMENT OUT_OF_RANGE", errors.InvalidInput),
        ("404 NOT_FOUND", errors.UnknownModel),
        ("401 403 407 PERMISSION_DENIED UNAUTHENTICATED", errors.NotAllowed),
        ("429 499 502 503 UNAVAILABLE ABORTED CANCELLED RESOURCE_EXHAUSTED", errors.Unavailable),
        ("408 504 DEADLINE_EXCEEDED", errors.TimedOut),
        ("500 501 405 301 INTERNAL UNKNOWN UNIMPLEMENTED FAILED_PRECONDITION ALREADY_EXISTS", errors.ServerFault),
        ("DATA_LOSS", errors.BrokenAnswer),
    ],
)
def test_each_status_is_one_error(statuses: str, kind: type[MedServeError]) -> None:
    for status in statuses.split():
        assert type(of_status(status, "no", "m")) is kind, status


def test_every_http_status_is_an_error_of_ours() -> None:
    for status in HTTPStatus:
        if status >= 300:
            error = of_status(str(int(status)), "", "m")
            assert str(error) == f"m: {int(status)}"
            assert error.retryable is (status == 503)


@pytest.mark.parametrize("kind", KINDS)
def test_processes_may_hand_them_to_each_other(kind: type[MedServeError]) -> None:
    error = kind("m: no", code="empty", status="400", retryable=True)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (str(again), again.code, again.status, again.retryable) == ("m: no", "empty", "400", True)
