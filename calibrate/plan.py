"""What a budget buys, and how long it is expected to take."""

from __future__ import annotations

from dataclasses import dataclass

from calibrate.fabricate import ANSWER_TOKENS
from calibrate.measure import SCALES
from calibrate.progress import Clock

# Passages measured a second time, through the engine with the exported files.
ENGINE_CHECKS = 6


@dataclass(frozen=True)
class Plan:
    """``passages`` to tune on, of which ``pairs`` become history pairs and ``insight_pairs`` insight pairs;
    ``passes`` of tuning at most; how many passages of each kind a measurement looks at."""

    passages: int
    pairs: int
    insight_pairs: int
    passes: int
    validation: int
    held_out: int
    others: int

    def to_score(self, validation: int) -> int:
        """Passages scored in all while measuring."""
        return (1 + len(SCALES)) * validation + 3 * self.held_out + 2 * self.others

    def clock(self, passages: int) -> Clock:
        """Expected seconds by stage on two cores; only their proportion matters."""
        pairs = min(self.pairs, passages)
        return Clock(
            {
                "select": 1.0,
                "insight": 4.0,
                "fabricate": (pairs + 2 * self.insight_pairs) * ANSWER_TOKENS / 300,
                "read": 3.0 + 0.25 * (pairs + self.insight_pairs),
                "align": 2.0,
                "refine": self.passes * (0.45 * passages + 0.15 * self.validation),
                "measure": 0.15 * self.to_score(self.validation),
                "export": 1.0 + 1.5 * ENGINE_CHECKS,
            }
        )


PLANS = {
    "fast": Plan(passages=100, pairs=24, insight_pairs=4, passes=2, validation=12, held_out=24, others=18),
    "normal": Plan(passages=320, pairs=64, insight_pairs=12, passes=2, validation=20, held_out=40, others=36),
    "thorough": Plan(
        passages=1000, pairs=128, insight_pairs=32, passes=3, validation=32, held_out=80, others=72
    ),
}
