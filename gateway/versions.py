"""Which version of a model answers whom: A/B, canary and shadow by weights in a TOML file.

[[route]]
model = "a_model"            # as GET /model-info names it
name = "canary"              # in the audit log and in metrics
url = "grpc://other:8001"    # the server that has this version
serves = "a_model"           # its name there, where it is another
weight = 0.1                 # share of the calls that it answers, 0..1; the rest goes to the gateway's own server
shadow = false               # true: it is asked besides, for `weight` of the calls; logged, never returned

The same input always goes to the same version: who asks twice gets the same answer twice.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.audit import LONGEST, is_recordable
from medserve import AsyncClient

OWN = ""  # the name of the route to the gateway's own server
_FIELDS: dict[str, Any] = {"model": str, "name": str, "url": str, "serves": str, "weight": (int, float), "shadow": bool}
_SHARES = 1 << 32


class RoutesError(ValueError):
    """A file of routes that cannot be meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One version: see the module's file format."""

    model: str
    name: str = OWN
    url: str = ""
    serves: str = ""
    weight: float = 0.0
    shadow: bool = False

    @property
    def own(self) -> bool:
        """Whether it is the gateway's own server."""
        return self.name == OWN

    @classmethod
    def read(cls, place: int, found: dict[str, Any]) -> Route:
        """Of one table of the file.

        Raises:
            RoutesError: a key that is none, or a value that cannot be.
        """
        where = f"route {place}"
        if unknown := sorted(set(found) - set(_FIELDS)):
            raise RoutesError(f"{where}: expected {', '.join(_FIELDS)}, got also {', '.join(unknown)}")
        for name, kind in _FIELDS.items():
            if name in found and (
                not isinstance(found[name], kind) or (isinstance(found[name], bool) and kind is not bool)
            ):
                raise RoutesError(f"{where}.{name}: expected {getattr(kind, '__name__', 'a number')}, got another type")
        if missing := [
            name for name in ("model", "name", "url", "weight") if not found.get(name) and found.get(name) != 0
        ]:
            raise RoutesError(f"{where}: expected a value for {', '.join(missing)}, got none")
        for name, field in (("name", "route"), ("model", "model")):
            if not is_recordable(field, found[name]):
                raise RoutesError(
                    f"{where}.{name}: expected printable text of {LONGEST[field]} characters at most, for the audit log"
                )
        if not 0 <= found["weight"] <= 1:
            raise RoutesError(f"{where}.weight: expected 0 to 1, got {found['weight']}")
        AsyncClient(found["url"])  # raises ValueError of an address that is none; opens nothing
        model = found["model"].replace("-", "_")  # callers may name it either way
        return cls(
            **(found | {"model": model, "weight": float(found["weight"]), "serves": found.get("serves") or model})
        )


def own_route(model: str) -> Route:
    """To the gateway's own server."""
    return Route(model=model, serves=model)


def read_routes(file: Path) -> tuple[Route, ...]:
    """All of a file.

    Raises:
        RoutesError: it cannot be read, or cannot be meant.
    """
    try:
        content = tomllib.loads(file.read_text("utf-8"))
        routes = tuple(Route.read(place, found) for place, found in enumerate(content.pop("route", ())))
    except RoutesError as exc:
        raise RoutesError(f"{file.name}: {exc}") from exc
    except (OSError, ValueError, TypeError, AttributeError) as exc:
        raise RoutesError(f"{file.name}: expected a TOML file of [[route]], got {type(exc).__name__}: {exc}") from exc
    if content:
        raise RoutesError(f"{file.name}: expected [[route]] alone, got also {', '.join(content)}")
    for model in {route.model for route in routes}:
        own = [route for route in routes if route.model == model]
        if (total := sum(route.weight for route in own if not route.shadow)) > 1 + 1e-9:
            raise RoutesError(f"{file.name}: {model}: expected weights of 1 at most in all, got {total:g}")
        if len({route.name for route in own}) < len(own):
            raise RoutesError(f"{file.name}: {model}: expected distinct names of its routes")
    return routes


def chosen(routes: Sequence[Route], model: str, digest: bytes) -> tuple[Route, list[Route]]:
    """(who answers, who is asked besides).

    Args:
        routes: all.
        model: the server's name of it.
        digest: of the input: decides, so that nothing has to be remembered.
    """
    share = int.from_bytes(digest[:4], "big") / _SHARES
    answering = own_route(model)
    for route in (each for each in routes if each.model == model and not each.shadow):
        if 0 <= share < route.weight:
            answering = route
        share -= route.weight
    other = int.from_bytes(digest[4:8], "big") / _SHARES  # of its own: a shadow sees a sample of all calls
    return answering, [each for each in routes if each.model == model and each.shadow and other < each.weight]
