"""McNemar's test against published values."""

from __future__ import annotations

import pytest

from export.figures import mcnemar_p


@pytest.mark.parametrize(
    ("first", "second", "p"), [(0, 0, 1.0), (3, 3, 1.0), (2, 6, 0.2890625), (6, 2, 0.2890625), (0, 10, 0.001953125)]
)
def test_mcnemars_exact_p_value(first: int, second: int, p: float) -> None:
    assert mcnemar_p(first, second) == pytest.approx(p)


def test_mcnemars_p_value_of_many_items() -> None:
    assert mcnemar_p(400, 600) == pytest.approx(2.7e-10, rel=0.05)
