from __future__ import annotations

import pytest

from app.wording import duration, likeness_sentence, stage_name, time_left
from calibrate.messages import STAGES, Likeness


def measured(own: float, others: float, own_high: float = -0.1) -> str:
    return likeness_sentence(Likeness(own, own - 0.1, own_high, others, 1234, 9))


def test_every_stage_has_words_of_its_own() -> None:
    names = {stage_name(stage) for stage in STAGES}
    assert len(names) == len(STAGES)
    assert not names & {stage.capitalize() for stage in STAGES}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.4, "59 s"), (60, "1 min"), (200, "3 min 20 s"), (3900, "1 h 5 min")],
)
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_time_left_is_rounded_and_silent_when_unknown() -> None:
    assert time_left(None) == ""
    assert time_left(float("nan")) == ""
    assert time_left(7) == "about 10 s left"
    assert time_left(170) == "about 3 min left"


def test_likeness_is_explained_without_promising_more_than_was_measured() -> None:
    assert "1.49 times" in measured(-0.4, -0.1)
    assert "1,234 words" in measured(-0.4, -0.1)
    assert "1.11 times" in measured(-0.4, -0.1)
    assert "no likelier" in measured(-0.4, 0.02)
    assert "not measurably closer" in measured(-0.05, 0.0, own_high=0.02)
    assert "little of it is your own" in measured(-0.2, -0.3)
