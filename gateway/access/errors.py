"""What can go wrong with who may.

AccessError (ValueError)    a variable or a file that cannot be meant: nothing starts, or what was known stays
NotVouched (Exception)      nobody can say now whether a token is right: its issuer's keys were never got
"""

from __future__ import annotations


class AccessError(ValueError):
    """Settings or a file of keys that cannot be meant. Its sentence quotes nothing secret."""


class NotVouched(Exception):
    """The issuer's keys are not known yet, so a token is neither right nor wrong."""
