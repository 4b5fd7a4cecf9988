"""Bytes become text as they come: never half a character, never a part of what ends the answer."""

from __future__ import annotations

import random

import pytest

from engine.writer import TextStream

TEXT = "Grüße – 你好 👩‍👩‍👧 \u2028 e\u0301 end"
FAMILY = "👨‍👩‍👧".encode()


def fed(stream: TextStream, pieces: list[bytes]) -> list[str]:
    """What comes out piece by piece, the rest last."""
    texts = []
    for piece in pieces:
        texts.append(stream.feed(piece))
        if stream.ended:
            return texts
    return [*texts, stream.rest()]


def cut(data: bytes, seed: int) -> list[bytes]:
    places = sorted(random.Random(seed).choices(range(len(data) + 1), k=12))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("stops", [(), ("\nUser:", "the end")])
def test_text_comes_out_as_it_went_in_however_it_is_cut(seed: int, stops: tuple[str, ...]) -> None:
    texts = fed(TextStream(stops), cut(TEXT.encode(), seed))
    assert "".join(texts) == TEXT
    assert "\ufffd" not in "".join(texts)


def test_a_character_comes_with_its_last_byte() -> None:
    assert fed(TextStream(), [bytes([byte]) for byte in "aü你".encode()]) == ["a", "", "ü", "", "", "你", ""]


def test_text_comes_at_once_where_it_cannot_begin_a_stop() -> None:
    stream = TextStream(("\nUser:",))
    assert [stream.feed(b"Dear friend,"), stream.feed(b"\n"), stream.feed(b"I am")] == [
        "Dear friend,",
        "",
        "\nI am",
    ]


def test_half_a_character_at_the_end_is_left_out() -> None:
    assert fed(TextStream(), [b"a", FAMILY[:3]]) == ["a", "", ""]


def test_bytes_that_are_no_character_are_marked_and_the_text_goes_on() -> None:
    assert "".join(fed(TextStream(), [b"a\xff", b"b", b"\xe4\xbd", b"c"])) == "a\ufffdb\ufffdc"


@pytest.mark.parametrize("seed", range(20))
def test_neither_a_stop_nor_what_follows_it_comes_out(seed: int) -> None:
    stream = TextStream(("\nUser:", "\nAssistant:"))
    texts = fed(stream, cut("Yes. ü\nAss no\nAssistant: and\nUser: more".encode(), seed))
    assert "".join(texts) == "Yes. ü\nAss no"
    assert stream.ended


def test_what_looked_like_a_stop_but_was_none_comes_with_the_end() -> None:
    stream = TextStream(("\nUser:",))
    assert fed(stream, [b"Yes.", b"\nUs", b"er"]) == ["Yes.", "", "", "\nUser"]
    assert not stream.ended


def test_of_two_stops_the_first_in_the_text_counts() -> None:
    assert TextStream(("late", "early")).feed(b"so early and late") == "so "
