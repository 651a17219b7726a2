"""What a request's body holds, as the bytes of each input: never on a disk, never under the name that it came with.

multipart/form-data    a part for each input, or `file` where the model has one; other text fields are not looked at
application/json       {"<input>": "text, base64 or data: URI"}
application/x-www-form-urlencoded, or the query   <input>=text
anything else          the body is the file itself, where the model has one input
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser

from gateway.refusals import Refused
from medserve import Description

FILE, ITEMS = "file", "items"
MOST_PARTS = 1000
Item = dict[str, bytes]


class _InMemory(MultiPartParser):
    """A film belongs on no disk, under no temporary name: the body's own limit bounds the memory."""

    spool_max_size = 1 << 40


async def one_item(request: Request, described: Description) -> Item:
    """The inputs of one item, by name.

    Raises:
        Refused: nothing that the model takes, or more than it takes.
    """
    items = await many_items(request, described)
    if len(items) != 1:
        raise Refused(400, "one_item", f"expected one item, got {len(items)}. Send several to …/batch.")
    return items[0]


async def many_items(request: Request, described: Description) -> list[Item]:
    """The same of several.

    Raises:
        Refused: see `one_item`.
    """
    kind = parse_options_header(request.headers.get("content-type", ""))[0].decode("latin-1")
    if kind == "multipart/form-data":
        return _of_form(described, await _form(request))
    if kind == "application/x-www-form-urlencoded":
        return _of_form(described, await _urlencoded(request))
    if kind == "application/json" or kind.endswith("+json"):
        return _of_json(described, await request.body())
    if content := await request.body():
        return [{_only(described): content}]
    return _of_form(described, FormData(list[tuple[str, str | UploadFile]](request.query_params.multi_items())))


async def _form(request: Request) -> FormData:
    parser = _InMemory(
        request.headers,
        request.stream(),
        max_files=MOST_PARTS,
        max_fields=MOST_PARTS,
        max_part_size=_InMemory.spool_max_size,
    )
    try:
        return await parser.parse()
    except (MultiPartException, FormParserError, KeyError, UnicodeError, AssertionError) as exc:
        raise Refused(400, "bad_form", "expected multipart/form-data with its boundary, got another body") from exc


async def _urlencoded(request: Request) -> FormData:
    try:
        return await FormParser(request.headers, request.stream()).parse()
    except (FormParserError, UnicodeError, ValueError) as exc:
        raise Refused(400, "bad_form", "expected application/x-www-form-urlencoded, got another body") from exc


def _of_form(described: Description, form: FormData) -> list[Item]:
    """`file` may come several times; inputs by their own names make one item."""
    sent: list[tuple[str, bytes]] = [(name, _content(value)) for name, value in form.multi_items()]
    names = {given.name for given in described.inputs}
    files = [content for name, content in sent if name == FILE and FILE not in names]
    own = [(name, content) for name, content in sent if name in names]
    strays = [
        name for name, value in form.multi_items() if isinstance(value, UploadFile) and name not in {*names, FILE}
    ]
    if strays:  # a film that nobody would read
        raise Refused(
            422, "unknown_field", f"expected files for {', '.join(names)} or {FILE}, got one for another field"
        )
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


def _of_json(described: Description, body: bytes) -> list[Item]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise Refused(400, "bad_json", "expected JSON, got another body") from exc
    if isinstance(found, Mapping) and isinstance(found.get(ITEMS), Sequence) and not isinstance(found[ITEMS], str):
        return [_of_value(described, one) for one in found[ITEMS]]
    names = [given.name for given in described.inputs]
    if isinstance(found, Mapping) and len(names) == 1 and isinstance(found.get(names[0]), list):
        return [_of_value(described, one) for one in found[names[0]]]
    return [_of_value(described, found)]


def _of_value(described: Description, value: Any) -> Item:
    if isinstance(value, str):
        return {_only(described): _text(value)}
    if not isinstance(value, Mapping):
        raise Refused(422, "wrong_type", "expected an object of texts, or a text, got another kind of JSON")
    names = {given.name for given in described.inputs}
    sent = {name: one for name, one in value.items() if name in names and one is not None}
    if any(not isinstance(one, str) for one in sent.values()):
        raise Refused(422, "wrong_type", f"expected a text for each of {', '.join(sorted(names))}, got another type")
    return _whole(described, {name: _text(one) for name, one in sent.items()})


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
