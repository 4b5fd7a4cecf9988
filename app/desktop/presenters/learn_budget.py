"""How long learning takes on this computer, as honestly as it can be said beforehand."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

# Minutes on the two cores this was measured on: what every run costs, what a hundred passages add, and the number
# of passages beyond which a budget looks at no more (it tunes on two thirds of them; see calibrate/plan.py).
_MEASURED = {"fast": (1.2, 1.1, 150), "normal": (2.3, 1.1, 470), "thorough": (4.5, 1.6, 1500)}
_MEASURED_CORES = 2


@dataclass(frozen=True)
class BudgetLine:
    """One way to spend time: its ``estimate`` for this computer, and what it is ``told`` to be good for."""

    id: str
    title: str
    estimate: str
    told: str
    is_default: bool


def budget_lines(passages: int, cores: int | None = None) -> tuple[BudgetLine, ...]:
    """The budgets for learning from ``passages`` passages on a computer of ``cores`` cores (None: this one)."""
    cores = cores or os.cpu_count() or _MEASURED_CORES

    def estimate(budget: str) -> str:
        return in_minutes(minutes(budget, passages, cores))

    return (
        BudgetLine(
            "fast", "Fast", estimate("fast"), "A first impression from a part of your writing.", False
        ),
        BudgetLine(
            "normal", "Normal", estimate("normal"), "The best likeness for the time; recommended.", True
        ),
        BudgetLine(
            "thorough", "Thorough", estimate("thorough"), "Uses all of your writing; for a long break.", False
        ),
    )


def minutes(budget: str, passages: int, cores: int) -> float:
    """The expected minutes. More cores help less than in proportion."""
    fixed, per_hundred, most = _MEASURED[budget]
    return (fixed + per_hundred * min(passages, most) / 100) * math.sqrt(_MEASURED_CORES / max(1, cores))


def in_minutes(expected: float) -> str:
    """A span wide enough to be true: ``about 3–6 minutes``."""
    low, high = max(1, math.floor(expected * 0.7)), max(2, math.ceil(expected * 1.5))
    return f"about {low}–{high} minutes"
