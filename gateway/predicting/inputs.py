"""What a request's body holds, as the bytes of each input: never on a disk, never under the name that it came with.

multipart/form-data    a part for each input, or `file` where the model has one; other text fields are not looked at
application/json       {"<input>": "text, base64 or data: URI"}, or {"items": [those, or texts]}
application/x-www-form-urlencoded, or the query   <input>=text
anything else          the body is the file itself, where the model has one input

Of a model of several inputs no other name is taken: a misspelt one would be an input that nobody looks at, and the
answer that of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser

from gateway.access.bodies import has_body
from gateway.json_values import decoded
from gateway.refusals import Refused
from medserve import Description

FILE, ITEMS = "file", "items"
ANSWERED_BY = ("heatmap", "explain")  # of the query: how to answer, not what about
MOST_PARTS = 1000
_UNNAMED = b'; filename=""'
NO_LIMIT = 1 << 40  # but the body's own
Item = dict[str, bytes]
Given = Item | Refused  # what a batch holds


class _InMemory(MultiPartParser):
    """A film belongs on no disk, under no temporary name, and stays the bytes that came where it has no name."""

    spool_max_size = NO_LIMIT

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._current_part.content_disposition)
        if b"filename" not in options:
            self._current_part.content_disposition = bytes(self._current_part.content_disposition or b"") + _UNNAMED
        super().on_headers_finished()


async def many_items(request: Request, described: Description) -> list[Given]:
    """The inputs of each item, by name; a refusal in the place of one that is not what the model takes.

    Raises:
        Refused: the whole body is nothing that can be read.
    """
    _check_others(described, _overlooked(request, described))
    kind = parse_options_header(request.headers.get("content-type", ""))[0].decode("latin-1")
    if kind == "multipart/form-data":
        form = await _form(request)
        try:
            return _of_form(described, form)
        finally:
            await form.close()
    if kind == "application/x-www-form-urlencoded":
        return _of_form(described, await _urlencoded(request))
    if kind == "application/json" or kind.endswith("+json"):
        return _of_json(described, await request.body())
    if content := await request.body():
        return list[Given]([{_only(described): content}])
    names = {given.name for given in described.inputs}  # what else is there says how to answer
    asked = [(name, value) for name, value in request.query_params.multi_items() if name in names]
    return _of_form(described, FormData(list[tuple[str, str | UploadFile]](asked)))


async def _form(request: Request) -> FormData:
    parser = _InMemory(
        request.headers,
        request.stream(),
        max_files=MOST_PARTS,
    )
    try:
        return await parser.parse()
    except (MultiPartException, FormParserError, KeyError, UnicodeError, AssertionError) as exc:
        raise Refused(400, "bad_form", "expected multipart/form-data with its boundary, got another body") from exc


async def _urlencoded(request: Request) -> FormData:
    parser = FormParser(request.headers, request.stream(), max_fields=MOST_PARTS, max_part_size=NO_LIMIT)
    try:
        return await parser.parse()
    except (MultiPartException, FormParserError, UnicodeError, ValueError) as exc:
        raise Refused(400, "bad_form", "expected application/x-www-form-urlencoded, got another body") from exc


def _of_form(described: Description, form: FormData) -> list[Given]:
    """`file` may come several times; inputs by their own names make one item."""
    names = {given.name for given in described.inputs}
    parts = form.multi_items()
    files = [_content(value) for name, value in parts if name == FILE and FILE not in names]
    own = [(name, _content(value)) for name, value in parts if name in names]
    others = [(name, value) for name, value in parts if name not in {*names, FILE}]
    _check_others(described, [name for name, _ in others])
    if any(isinstance(value, UploadFile) and value.filename for _, value in others):  # a film that nobody would read
        raise _unknown_field(f"files for {', '.join(names)} or {FILE}")
    if files and own:
        raise Refused(422, "unknown_field", f"expected `{FILE}` or the inputs by name, got both")
    if files:
        return [{_only(described): content} for content in files]
    if len({name for name, _ in own}) < len(own):
        return [{_only(described): content} for _, content in own]
    return [_whole(described, dict(own))]


def _content(value: UploadFile | str) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return value.file.read()  # in memory: see _InMemory


def _of_json(described: Description, body: bytes) -> list[Given]:
    found = decoded(body)
    if isinstance(found, Mapping) and isinstance(found.get(ITEMS), list):
        _check_others(described, [name for name in found if name != ITEMS])
        return [_tried(described, one) for one in found[ITEMS]]
    names = [given.name for given in described.inputs]
    if isinstance(found, Mapping) and len(names) == 1 and isinstance(found.get(names[0]), list):
        return [_tried(described, one) for one in found[names[0]]]
    return [_of_value(described, found)]


def _tried(described: Description, value: Any) -> Given:
    """One of several: what is wrong with it is its own matter."""
    try:
        return _of_value(described, value)
    except Refused as refused:
        return refused


def _of_value(described: Description, value: Any) -> Item:
    if isinstance(value, str):
        return {_only(described): _text(value)}
    if not isinstance(value, Mapping):
        raise Refused(422, "wrong_type", "expected an object of texts, or a text, got another kind of JSON")
    names = {given.name for given in described.inputs}
    _check_others(described, [name for name in value if name not in names])
    sent = {name: one for name, one in value.items() if name in names and one is not None}
    if any(not isinstance(one, str) for one in sent.values()):
        raise Refused(422, "wrong_type", f"expected a text for each of {', '.join(sorted(names))}, got another type")
    return _whole(described, {name: _text(one) for name, one in sent.items()})


def _overlooked(request: Request, described: Description) -> list[str]:
    """Names in the query that nobody looks at: the inputs' own too, where there is a body."""
    names = [name for name in request.query_params if name not in ANSWERED_BY]
    own = {given.name for given in described.inputs}
    return names if has_body(request.headers) else [name for name in names if name not in own]


def _check_others(described: Description, others: Sequence[str]) -> None:
    """Raises Refused: names beside those of several inputs, one of which may be meant by them."""
    if others and len(described.inputs) > 1:
        raise _unknown_field(f"no names but {', '.join(given.name for given in described.inputs)}")


def _unknown_field(expected: str) -> Refused:
    return Refused(422, "unknown_field", f"expected {expected}, got another field")


def _text(value: str) -> bytes:
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise Refused(422, "wrong_type", "expected text, got a lone surrogate") from exc


def _whole(described: Description, sent: Item) -> Item:
    """As the model takes it: an optional input that is empty was left out."""
    given = {name: content for name, content in sent.items() if content or not described.optional[name]}
    if missing := [name for name, optional in described.optional.items() if not optional and name not in given]:
        raise Refused(422, "missing_field", f"expected a value for {', '.join(missing)}, got none")
    if not given:
        raise Refused(422, "empty", f"expected at least one of {', '.join(described.optional)}, got none")
    return given


def _only(described: Description) -> str:
    if len(described.inputs) != 1:
        names = ", ".join(each.name for each in described.inputs)
        raise Refused(422, "missing_field", f"expected a field for each of {names}, got one without a name")
    return described.inputs[0].name
