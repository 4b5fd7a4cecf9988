"""How far a run is and how long it will take: expected seconds by stage, corrected by what was seen.

Goes in: an estimate for every stage, then `at(stage, done, total)`. Comes out: `Progress` messages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from calibrate.messages import STAGES, Progress


class Clock:
    """Turns steps of stages into a share of the whole and seconds left.

    Estimates need only be right in proportion: the speed seen so far scales what is left.
    """

    def __init__(self, estimates: Mapping[str, float], now: Callable[[], float] = time.monotonic) -> None:
        self._estimates = dict.fromkeys(STAGES, 0.0) | dict(estimates)
        self._now = now
        self._start = now()
        self._stage_start = self._start
        self._stage = STAGES[0]
        self.seconds_by_stage: dict[str, float] = {}

    def expect(self, stage: str, seconds: float) -> None:
        """Replace the estimate of a stage to come."""
        self._estimates[stage] = seconds

    def at(self, stage: str, done: int, total: int) -> Progress:
        """``done`` of ``total`` steps of ``stage`` are finished; stages only go forward."""
        now = self._now()
        if stage != self._stage:
            self.seconds_by_stage[self._stage] = round(now - self._stage_start, 1)
            self._stage, self._stage_start = stage, now
        share = done / total if total else 1.0
        before = sum(self._estimates[name] for name in STAGES[: STAGES.index(stage)])
        expected_done = before + self._estimates[stage] * share
        expected_all = sum(self._estimates.values()) or 1.0
        fraction = min(1.0, expected_done / expected_all)
        elapsed = now - self._start
        left = None
        if fraction > 0.02 and elapsed > 3:
            left = max(0.0, (expected_all - expected_done) * elapsed / max(expected_done, 1e-6))
        return Progress(stage, done, total, fraction, left)

    def finish(self) -> float:
        """Close the last stage; seconds of the whole run."""
        now = self._now()
        self.seconds_by_stage[self._stage] = round(now - self._stage_start, 1)
        return now - self._start
