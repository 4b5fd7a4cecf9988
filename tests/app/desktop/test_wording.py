"""Sentences the window shows."""

from __future__ import annotations

import datetime

import pytest

from app.desktop.presenters.learn_budget import budget_lines, minutes
from app.desktop.presenters.wording import (
    Amount,
    caption,
    closeness,
    count,
    day_group,
    percent_closer,
    sufficiency,
)
from app.history.records import Likeness, Message


def answer(**changes: object) -> Message:
    fields: dict[str, object] = {
        "id": 2, "conversation_id": 1, "parent_id": 1, "role": "assistant", "text": "Dear friend", "model": "tiny",
        "voice": "My voice", "strength": 1.0, "seed": 7, "prompt_tokens": 10, "tokens": 40,
        "tokens_per_second": 22.6, "stopped_because": "end", "created_at": "2025-01-01T10:00:00+00:00",
    }  # fmt: skip
    return Message(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "amount", "can_learn"),
    [
        (0, Amount.NONE, False),
        (299, Amount.TOO_LITTLE, False),
        (300, Amount.SOME, True),
        (2_999, Amount.SOME, True),
        (3_000, Amount.ENOUGH, True),
        (10_000, Amount.GOOD, True),
    ],
)
def test_an_amount_of_text_is_judged_as_learning_will_judge_it(
    words: int, amount: Amount, can_learn: bool
) -> None:
    judged = sufficiency(words)
    assert (judged.amount, judged.can_learn) == (amount, can_learn)


def test_too_little_text_says_how_much_is_missing() -> None:
    assert "88 more words" in sufficiency(212).sentence


def test_the_meter_is_full_where_text_is_plenty() -> None:
    assert sufficiency(0).share == 0.0
    assert sufficiency(10_000).share == sufficiency(50_000).share == 1.0


def test_a_caption_names_voice_strength_speed_and_what_ended_the_answer() -> None:
    assert caption(answer()) == "My voice · strength 1 · 23 tokens/s"
    assert caption(answer(voice=None, strength=0.0, stopped_because="stopped")).startswith("Plain model")
    assert caption(answer(stopped_because="stopped")).endswith("· stopped")
    assert "interrupted" in caption(answer(stopped_because="interrupted", tokens_per_second=0.0))


def test_likeness_is_a_percentage_only_where_it_was_measured_surely() -> None:
    assert percent_closer(-0.345) == 41
    assert closeness(Likeness(-0.345, -0.4, -0.29, -0.07, 900, 7)) == "41 % closer to you"
    assert closeness(Likeness(-0.05, -0.2, 0.1, -0.07, 90, 1)) == "no closer to you"
    assert closeness(None) == "not measured"


def test_counts_read_well() -> None:
    assert (count(1, "word"), count(1240, "word")) == ("1 word", "1,240 words")


def test_conversations_are_grouped_by_the_days_of_the_person() -> None:
    ahead = datetime.timezone(datetime.timedelta(hours=2))
    now = datetime.datetime(2025, 3, 10, 1, 0, tzinfo=ahead)  # 23:00 of the 9th in UTC
    assert day_group("2025-03-09T22:30:00+00:00", now) == "Today"
    assert day_group("2025-03-09T12:00:00+00:00", now) == "Yesterday"
    assert day_group("2025-03-05T12:00:00+00:00", now) == "The last 7 days"
    assert day_group("2024-03-05T12:00:00+00:00", now) == "Earlier"
    assert day_group("no date", now) == "Earlier"


def test_budgets_take_longer_with_more_effort_and_less_on_more_cores() -> None:
    fast, normal, thorough = (minutes(budget, 250, 2) for budget in ("fast", "normal", "thorough"))
    assert fast < normal < thorough
    assert minutes("normal", 250, 16) < normal
    assert [line.id for line in budget_lines(250, 2) if line.is_default] == ["normal"]
