"""A process that records until it is stopped: `python -m tests.gateway.audit.writer URL COUNT KEY`.

It prints the id of each line once it is told that the line is on disk.
"""

from __future__ import annotations

import asyncio
import sys

from gateway.audit import AuditLog, open_store
from tests.support.audit_entries import entry


async def main(url: str, count: int, key: bytes | None) -> None:
    log = AuditLog(open_store(url, key=key), between_commits_s=0)
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
