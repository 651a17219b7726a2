"""Tests of the exporter trace each network once, and keep the trace from one run to the next."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _traces(kept_traces: None) -> None:
    """See `tests.support.traces`."""
