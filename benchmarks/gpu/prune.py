"""Leave one GPU architecture's device code in a CUDA shared library: the same size and layout, less to compress."""

from __future__ import annotations

import struct
from pathlib import Path

_MAGIC = struct.pack("<I", 0xBA55ED50)  # of a fat binary: magic, version, header size, size of what follows
_CONTAINER = struct.Struct("<IHHQ")
_ENTRY = struct.Struct("<HHIQIIHHI")  # kind, 0, header size, payload size, …, and the architecture last
_KINDS = (1, 2)  # PTX, ELF


def prune(source: Path, target: Path, architecture: int) -> int:
    """Write the library with zeros in the place of other architectures' code, and return the bytes that were kept.

    CUDA loads the code of its own architecture alone. Source of the format: NVIDIA's fatbinary section, as CUDA 13
    writes it.

    Args:
        source: the library.
        target: to be written; it may be the same file.
        architecture: compute capability times ten.

    Raises:
        ValueError: an entry that has another format, or no code for this architecture.
    """
    content = bytearray(source.read_bytes())
    place = kept = 0
    while (found := content.find(_MAGIC, place)) >= 0:
        _, version, header, size = _CONTAINER.unpack_from(content, found)
        if version != 1 or header != _CONTAINER.size or size > len(content) - found:
            place = found + len(_MAGIC)
            continue
        entry, end = found + header, found + header + size
        while entry < end:
            kind, _, own, payload, *_, of = _ENTRY.unpack_from(content, entry)
            if kind not in _KINDS or not _ENTRY.size <= own <= 4096:
                raise ValueError(
                    f"{source}: expected a fat binary's entry at {entry}, got another format than CUDA 13's"
                )
            if of == architecture:
                kept += payload
            else:
                content[entry + own : entry + own + payload] = bytes(payload)
            entry += own + payload
        place = end
    if not kept:
        raise ValueError(f"{source}: expected device code for sm_{architecture}, found none")
    target.write_bytes(content)
    return kept
