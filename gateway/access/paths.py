"""What needs no key, and what needs more than a key: by the path that the application will route by."""

from __future__ import annotations

import re

from starlette.types import Scope

from gateway.access.caller import SCOPES

# Only names that mean themselves: no dots alone, nothing encoded, so that nothing reads another path in it.
_PAGE = re.compile(r"/page(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+")
_LONGEST = 200


def is_open_path(scope: Scope) -> bool:
    """Whether it is one of the page's own files."""
    path = routed_path(scope)
    if scope["method"] not in ("GET", "HEAD") or len(path) > _LONGEST or b"%" in scope.get("raw_path", b""):
        return False
    return path == "/" or _PAGE.fullmatch(path) is not None


def needed_scope(scope: Scope) -> str | None:
    """The scope that its path asks for."""
    first = next((part for part in routed_path(scope).split("/") if part), "")
    return first if first in SCOPES else None


def routed_path(scope: Scope) -> str:
    """The path below the application's own root, as Starlette's router takes it."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(f"{root}/") else path
