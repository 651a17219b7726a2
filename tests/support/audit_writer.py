"""A process that records until it is stopped: `python -m tests.support.audit_writer URL COUNT KEY`.

It prints the id of each line once it is told that the line is on disk.
"""

from __future__ import annotations

import asyncio
import sys

from gateway.audit import open_store
from tests.support.audit_entries import PATIENCE_S, audit_log, entry


async def main(url: str, count: int, key: bytes | None) -> None:
    log = audit_log(open_store(url, key=key, timeout_s=PATIENCE_S))
    await log.start()
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            each = entry(number)
            await log.record(each)
            sys.stdout.write(each.prediction_id + "\n")
            sys.stdout.flush()

    await asyncio.gather(*(caller() for _ in range(10)))
    await log.close()


asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3].encode() or None))
