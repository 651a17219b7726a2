"""A file of keys as another user meets it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.gateway.test_access_keys import entry, put


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(("mode", "taken"), [(0o644, True), (0o440, True), (0o666, False), (0o664, False)])
def test_roots_file_is_taken_by_others_as_kubernetes_mounts_it(tmp_path: Path, mode: int, taken: bool) -> None:
    """As user 1000, in the group of the file: fsGroup."""
    put(tmp_path, entry(), mode)
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    code = (
        "import sys, pathlib; from gateway.access.keys_file import read_keys; import os; os.setgid(0); os.setuid(1000);"
    )
    code += f"print(len(read_keys(pathlib.Path({str(tmp_path / 'keys')!r}))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is taken, done.stderr
