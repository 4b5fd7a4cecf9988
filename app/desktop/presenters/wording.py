"""Sentences and captions that only the window shows."""

from __future__ import annotations

import datetime
import enum
import math
from dataclasses import dataclass

from app.history.records import Likeness, Message
from app.workers.learning import ENOUGH_WORDS, FEWEST_WORDS

GOOD_WORDS = 10_000

_ENDINGS = {
    "length": "cut at its longest length",
    "stopped": "stopped",
    "failed": "broke off",
    "interrupted": "interrupted when the program ended",
}


class Amount(enum.Enum):
    """How far an amount of text goes."""

    NONE = "none"
    TOO_LITTLE = "too little"
    SOME = "some"
    ENOUGH = "enough"
    GOOD = "good"


@dataclass(frozen=True)
class Sufficiency:
    """An amount of text judged: ``share`` (0–1) is how full a meter is that ends at `GOOD_WORDS`."""

    amount: Amount
    sentence: str
    share: float

    @property
    def can_learn(self) -> bool:
        """Whether a voice can be learnt from it at all."""
        return self.amount not in (Amount.NONE, Amount.TOO_LITTLE)


def sufficiency(words: int) -> Sufficiency:
    """What can be learnt from ``words`` words. The meter moves fastest where every page still counts."""
    share = min(1.0, math.sqrt(words / GOOD_WORDS))
    if words == 0:
        sentence = "Nothing chosen yet."
        return Sufficiency(Amount.NONE, sentence, share)
    if words < FEWEST_WORDS:
        sentence = f"Not enough yet: at least {count(FEWEST_WORDS - words, 'more word')} needed."
        return Sufficiency(Amount.TOO_LITTLE, sentence, share)
    if words < ENOUGH_WORDS:
        sentence = f"Enough to try. From about {ENOUGH_WORDS:,} words on the voice becomes reliable."
        return Sufficiency(Amount.SOME, sentence, share)
    if words < GOOD_WORDS:
        sentence = f"Enough for a reliable voice. It still gains up to about {GOOD_WORDS:,} words."
        return Sufficiency(Amount.ENOUGH, sentence, share)
    return Sufficiency(Amount.GOOD, "Plenty: this is a good basis for a voice.", share)


def count(number: int, thing: str) -> str:
    """``1 word``, ``1,240 words``."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def closeness(likeness: Likeness | None) -> str:
    """A likeness in two or three words, for a list: ``38 % closer to you``."""
    if likeness is None:
        return "not measured"
    if likeness.own_high >= 0:
        return "no closer to you"
    return f"{percent_closer(likeness.own)} % closer to you"


def percent_closer(change: float) -> int:
    """How much likelier text became, in per cent, for a ``change`` in nats."""
    return round((math.exp(-change) - 1) * 100)


def caption(message: Message) -> str:
    """The line under an answer: voice and strength, speed, and how it ended where that is worth saying."""
    parts = [f"{message.voice} · strength {message.strength:g}" if message.voice else "Plain model"]
    if message.tokens_per_second > 0:
        parts.append(f"{message.tokens_per_second:.0f} tokens/s")
    if message.stopped_because in _ENDINGS:
        parts.append(_ENDINGS[message.stopped_because])
    return " · ".join(parts)


def day_group(moment: str, now: datetime.datetime) -> str:
    """Under which heading a conversation of ``moment`` (ISO, UTC) is listed, seen from ``now`` (local)."""
    try:
        then = datetime.datetime.fromisoformat(moment)
    except ValueError:
        return "Earlier"
    if then.tzinfo is None:
        then = then.replace(tzinfo=datetime.UTC)
    days = (now.date() - then.astimezone(now.tzinfo).date()).days
    if days <= 0:
        return "Today"
    if days == 1:
        return "Yesterday"
    return "The last 7 days" if days < 7 else "Earlier"
