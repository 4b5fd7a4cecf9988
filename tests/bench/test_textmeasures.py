from __future__ import annotations

import pytest

pytest.importorskip("rouge_score", reason="the benchmark needs the bench extra")

from tests.bench.textmeasures import content_words, overlap, repetition


def test_words_that_say_what_to_write_are_not_content() -> None:
    assert content_words("Write a short note to my neighbour about the noise at night.") == content_words(
        "neighbour noise night"
    )


def test_another_form_of_a_word_is_the_same_word() -> None:
    assert overlap("Ask the library to renew two books.", "The Library's book was renewed.") == 1.0


def test_overlap_is_the_share_of_the_request_that_is_there() -> None:
    assert overlap("cancel dinner on Friday", "Dinner shall be on Sunday.") == pytest.approx(1 / 3)
    assert overlap("cancel dinner on Friday", "") == 0.0
    assert overlap("write to me", "anything") == 1.0


def test_words_in_other_letters_count_as_they_are() -> None:
    assert overlap("Grüße an Łukasz", "Viele Grüße von Łukasz") == 1.0


def test_repetition_counts_trigrams_that_came_before() -> None:
    assert repetition("one two three four five") == 0.0
    assert repetition("la la la la la la") == pytest.approx(3 / 4)
    assert repetition("two words") == repetition("") == 0.0
