"""Everything that can go wrong with the audit log.

AuditError
├── InvalidEntry (ValueError)         what was to be recorded may not be kept: the caller's fault, nothing was written
├── LogUnavailable (ConnectionError)  the log cannot be read or written: no database, no room, no lock in time
└── ChainBroken (RuntimeError)        it can be read, and is not what was written: altered, cut short, put together
"""

from __future__ import annotations


class AuditError(Exception):
    """The line was not recorded, or the log cannot be trusted: no answer may go out that rests on it."""


class InvalidEntry(AuditError, ValueError):
    """A field holds what an audit line may not hold."""


class LogUnavailable(AuditError, ConnectionError):
    """The log cannot be read or written now."""


class ChainBroken(AuditError, RuntimeError):
    """The log is not what was written.

    Args:
        place: of the first fault: "line 17", "head", "database".
        fault: what was expected there, and what was found.
    """

    def __init__(self, place: str, fault: str) -> None:
        super().__init__(f"{place}: {fault}")
        self.place = place
        self.fault = fault

    def __reduce__(self) -> tuple[object, ...]:
        """Processes may hand errors to each other."""
        return (type(self), (self.place, self.fault))
