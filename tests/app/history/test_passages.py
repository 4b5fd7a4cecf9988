from __future__ import annotations

import time

import pytest

from app.history.passages import FEWEST_WORDS, LEAST_WORDS, LONGEST_WORDS, MOST_WORDS, cut
from app.history.textwork import count_words
from tests.app.history.writing import prose


def lengths(text: str) -> list[int]:
    return [count_words(piece) for piece in cut(text)]


def test_a_long_document_becomes_passages_of_70_to_200_words() -> None:
    for paragraph in (30, 60, 110, 190, 330, 700):
        text = "\n\n".join(prose(paragraph, f"N{number}") for number in range(20))
        found = lengths(text)
        assert all(FEWEST_WORDS <= words <= MOST_WORDS for words in found), (paragraph, found)
        assert sum(found) == 20 * paragraph, "not a word is lost"


def test_passages_end_between_paragraphs_where_they_can() -> None:
    paragraphs = [prose(120, mark) for mark in ("Anna", "Ben", "Cora")]
    assert cut("\n\n".join(paragraphs)) == paragraphs


def test_paragraphs_of_a_passage_stay_apart() -> None:
    first, second = prose(50, "Anna"), prose(50, "Ben")
    assert cut(f"{first}\n \t\n\n{second}") == [f"{first}\n\n{second}"]


def test_line_breaks_inside_a_paragraph_stay() -> None:
    text = f"Dear Anna,\n{prose(100)}\nYours, Iris"
    assert cut(text) == [text]


def test_a_long_paragraph_is_cut_at_the_ends_of_sentences() -> None:
    text = prose(1000)
    pieces = cut(text)
    assert " ".join(pieces) == text
    assert all(piece.endswith(".") for piece in pieces)
    assert len(pieces) >= 5


def test_a_short_document_is_one_short_passage_and_a_scrap_is_none() -> None:
    assert cut(prose(30)) == [prose(30)]
    assert lengths(" ".join(prose(100).split()[:LEAST_WORDS])) == [LEAST_WORDS]
    assert cut(" ".join(prose(100).split()[: LEAST_WORDS - 1])) == []
    assert cut("") == cut(" \n\n ") == []


def test_a_short_remainder_lengthens_its_neighbour_rather_than_being_lost() -> None:
    found = lengths(f"{prose(190)}\n\n{prose(20, 'Ben')}")
    assert sum(found) == 210
    assert max(found) <= LONGEST_WORDS


def test_a_sentence_too_long_for_a_passage_is_cut_at_clauses_and_in_need_between_words() -> None:
    clauses = ", ".join("and then we walked along the harbour again" for _ in range(100))
    pieces = cut(clauses)
    assert all(piece.endswith(",") for piece in pieces[:-1])
    assert all(FEWEST_WORDS <= count_words(piece) <= MOST_WORDS for piece in pieces)
    breathless = " ".join(["word"] * 1000)
    assert sum(lengths(breathless)) == 1000
    assert max(lengths(breathless)) <= MOST_WORDS


def test_text_without_spaces_between_words_is_cut_too() -> None:
    text = "昨日は一日中川沿いを散歩して、たわいもないことを話しました。" * 60
    pieces = cut(text)
    assert "".join(pieces) == text
    assert len(pieces) > 4
    assert all(FEWEST_WORDS <= count_words(piece) <= MOST_WORDS for piece in pieces)
    assert all(piece.endswith("。") for piece in pieces)


def test_what_is_no_prose_is_left_out_and_parts_what_is_around_it() -> None:
    code = "```python\nfor each in everything:\n    print(each)\n```"
    between = [
        code,
        "| 1 | 2 | 3 |\n|---|---|---|\n| 4.5 | 6.7 | 8.9 |",
        "https://example.org/a/long/address\nhttps://example.org/another",
        "* * *",
        "> Somebody else wrote this sentence.\n> And this one too.",
        "## A heading in Markdown",
        "CHAPTER THE SECOND",
        "12.5 13.7 14.2 15.9 (8) [9]",
    ]
    for piece in between:
        assert cut(f"{prose(40)}\n\n{piece}\n\n{prose(40, 'Ben')}") == [
            f"{prose(40)}\n\n{prose(40, 'Ben')}"
        ], piece


def test_quoted_mail_between_the_lines_of_an_answer_is_left_out() -> None:
    mail = f"{prose(40)}\n> Will you come on Sunday?\n>> He asked before.\n{prose(40, 'Ben')}"
    assert cut(mail) == [f"{prose(40)}\n\n{prose(40, 'Ben')}"]


@pytest.mark.parametrize(
    "flood",
    [
        "word " * 200 + " " * 300_000 + "word " * 200,
        "word " * 200 + "\t" * 300_000 + "— word " * 200,
        "Word." + " " * 300_000 + "word",
        "x" * 1_000_000,
        "\n" * 300_000,
        "\n " * 300_000,
        "```\n" * 100_000,
        "> a\n" * 100_000,
        "., " * 100_000,
        "Mr. " * 20_000,
    ],
    ids=lambda flood: repr(flood[-7:]),
)
def test_no_text_takes_long(flood: str) -> None:
    began = time.monotonic()
    cut(flood)
    assert time.monotonic() - began < 5
