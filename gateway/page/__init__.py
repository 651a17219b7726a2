"""The page at `/`: HTML, ES modules and style sheets as they lie here, and nothing from elsewhere.

The page knows no model: it asks `/model-info` as anybody does. Its files need no key; what it asks for does.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from gateway.access.headers import CONTENT_SECURITY_POLICY

FOLDER = Path(__file__).resolve().parent

# Nothing else of the folder is served, this module least of all. Not asked of the system, which may say otherwise.
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class _PageFiles(StaticFiles):
    """Files with their type, an ETag, and the order to ask again each time: a new version is there at once."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        media_type = MEDIA_TYPES.get(Path(path).suffix)
        if media_type is None:
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        response.headers["Content-Type"] = media_type
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def mount(app: FastAPI) -> None:
    """Serve the page at `/` and its files below `/page/`; none is in the OpenAPI document."""
    files = _PageFiles(directory=FOLDER)

    async def index(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    app.add_api_route("/", index, methods=["GET", "HEAD"], include_in_schema=False)
    app.mount("/page", files, name="page")
