"""Who asks, and what for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

FEEDBACK, METRICS, DRIFT = "feedback", "metrics", "drift"
SCOPES = frozenset((FEEDBACK, METRICS, DRIFT))  # each is the first part of the path that it opens


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever holds a key or a token.

    Args:
        id: of the key, or "oidc:" and the token's subject, or "" where nobody is asked; never the key itself.
        models: that may be asked; None: all.
        scopes: of SCOPES: the routes beside the models'.
        rate_per_s: requests a second in the long run; None: as many as there is room for.
        burst: requests at once after a pause, at least 1; means nothing without a rate.
        concurrency: requests under way; None: as many as there is room for.
    """

    id: str
    models: frozenset[str] | None = None
    scopes: frozenset[str] = frozenset()
    rate_per_s: float | None = None
    burst: int = 1
    concurrency: int | None = None

    def may(self, model: str) -> bool:
        """Whether it may ask this model."""
        return self.models is None or model in self.models


def models_of(names: Iterable[str]) -> frozenset[str] | None:
    """Which models a key or a token names; None: all. Hyphens are as good as underscores, as in routes."""
    found = frozenset(name.replace("-", "_") for name in names)
    return None if "*" in found else found


ANYONE = Caller(id="", scopes=SCOPES)  # where nobody is asked who he is
NOBODY = Caller(id=":page", models=frozenset())  # of the page's own files
