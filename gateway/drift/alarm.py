"""When distances become an alert, and when it ends."""

from __future__ import annotations

CONFIRMED = 2  # looks in a row: one batch of odd pictures is no drift
CALM = 3  # looks in a row
CALM_BELOW = 0.8  # of what raises it, so that it does not flap on the line


class Alarm:
    """One model's. It is told the largest score of each look at the window."""

    def __init__(self) -> None:
        self.raised = False
        self._run = 0

    def look(self, score: float) -> bool:
        """Whether it is raised after this look."""
        if self.raised:
            self._run = self._run + 1 if score < CALM_BELOW else 0
            self.raised = self._run < CALM
        else:
            self._run = self._run + 1 if score >= 1 else 0
            self.raised = self._run >= CONFIRMED
        if (self.raised and score >= CALM_BELOW) or (not self.raised and score < 1):
            self._run = 0
        return self.raised
