"""python -m medserve.cli"""

from __future__ import annotations

import sys

from medserve.cli import main

sys.exit(main())
