"""Numbers and stages in words, the same on the command line and in the window."""

from __future__ import annotations

import math
from typing import Protocol


class Measured(Protocol):
    """A measured likeness, as the store and the calibrate process describe it."""

    @property
    def own(self) -> float: ...
    @property
    def own_low(self) -> float: ...
    @property
    def own_high(self) -> float: ...
    @property
    def others(self) -> float: ...
    @property
    def words_heldout(self) -> int: ...


_STAGES = {
    "select": "Choosing representative passages",
    "insight": "Describing how you write",
    "fabricate": "Writing the same things plainly",
    "read": "Reading both versions",
    "align": "Finding what sets you apart",
    "refine": "Tuning the voice",
    "measure": "Measuring on text it never saw",
    "export": "Writing the voice file",
}


def stage_name(stage: str) -> str:
    """What a stage of learning does, for a person."""
    return _STAGES.get(stage, stage.capitalize())


def duration(seconds: float) -> str:
    """``seconds`` as a person says it: ``45 s``, ``3 min 20 s``, ``1 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(whole // 60, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def time_left(seconds: float | None) -> str:
    """How much longer it takes, rounded to what such an estimate is worth; "" while nobody can say."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    if seconds < 50:
        return f"about {max(10, math.ceil(seconds / 10) * 10)} s left"
    return f"about {max(1, round(seconds / 60))} min left"


def nats(change: float) -> str:
    """A change of nats per token with its sign: ``−0.31``."""
    return f"{change:+.2f}".replace("-", "−")


def likeness_sentence(likeness: Measured) -> str:
    """What a measured likeness means, in a sentence or two, without promising more than was measured."""
    own, others = math.exp(-likeness.own), math.exp(-likeness.others)
    on = f"On {likeness.words_heldout:,} words of yours that it never saw"
    if likeness.own_high >= 0:
        return f"{on}, the voice is not measurably closer to you than the plain model. More text may help."
    sentence = f"{on}, each piece of a word became {own:.2f} times as likely"
    if likeness.others >= 0:
        return f"{sentence}, while other people's text became no likelier: the voice is yours."
    if own > others:
        return f"{sentence}; on other people's text {others:.2f} times. The difference is what is yours."
    return (
        f"{sentence}, but so did other people's text ({others:.2f} times): little of it is your own manner."
    )


def likeness_numbers(likeness: Measured) -> str:
    """The measured numbers on one line."""
    return (
        f"own {nats(likeness.own)} nats per token ({nats(likeness.own_low)} … {nats(likeness.own_high)}), "
        f"others {nats(likeness.others)}"
    )
