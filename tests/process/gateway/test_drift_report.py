"""`drift report` where no gateway is."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.drift.commands import NOT_TRIED
from tests.unit.gateway.test_drift_report import reported


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "no-url", "http://", "ftp://127.0.0.1", "http://[", "http://\x00"]
)
def test_nobody_there_ends_with_2(tmp_path: Path, url: str):
    result = reported(url, tmp_path)
    assert result.exit_code == NOT_TRIED, result.output
    assert "drift report:" in result.output
