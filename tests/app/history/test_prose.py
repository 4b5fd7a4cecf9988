from __future__ import annotations

import pytest

from app.history.prose import is_prose, without_fences, without_quotations
from app.history.sentences import sentence_ends


def sentences(text: str) -> list[str]:
    begin, found = 0, []
    for end, after in sentence_ends(text):
        found.append(text[begin:end])
        begin = after
    return [*found, text[begin:]]


@pytest.mark.parametrize(
    "paragraph",
    [
        "Dear Anna,",
        "I owe you 20 £ (or was it 25?), and I have not forgotten.",
        "Yours ever,\nIris",
        "- tea and a kettle\n- the old lamp",
        "See https://example.org/a/very/long/address?with=everything for what he wrote about it.",
        "“No,” she said – “never!”",
        "昨日は一日中川沿いを散歩しました。",
        "Вчера мы весь день гуляли.",
        "NO! I said NO to him, and he went away again without a word.",
        "I lost #1 of them.",
    ],
)
def test_what_people_write_to_each_other_is_prose(paragraph: str) -> None:
    assert is_prose(paragraph)


@pytest.mark.parametrize(
    "paragraph",
    [
        "",
        " \n ",
        "---",
        "1 2 3 4 5",
        "| a | b |\n|---|---|",
        "https://example.org",
        "if (x == 3) { return y[4]; }",
        "CHAPTER ONE",
        "# Notes of the week",
        "03.05. 12:30 – 14:00; 04.05. 9:00",
    ],
)
def test_signs_numbers_code_and_headings_are_not(paragraph: str) -> None:
    assert not is_prose(paragraph)


def test_fenced_code_is_left_out_even_if_it_is_not_closed() -> None:
    assert without_fences("Before.\n```py\nx = 1\n```\nAfter.").split() == ["Before.", "After."]
    assert without_fences("Before.\n~~~\nx = 1\n```\ny\n~~~\nAfter.").split() == ["Before.", "After."]
    assert without_fences("Before.\n```\nx = 1\n").split() == ["Before."]
    assert without_fences("I `quote` it.") == "I `quote` it."


def test_quotations_are_left_out_and_signs_inside_a_line_are_not() -> None:
    assert without_quotations("Hello.\n> quoted\n  >> more\n5 > 4, you see.") == "Hello.\n\n\n5 > 4, you see."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It came. I went.", ["It came.", "I went."]),
        ("Mr. Jones came. So did Dr. Smith.", ["Mr. Jones came.", "So did Dr. Smith."]),
        ("J. S. Bach wrote it. True.", ["J. S. Bach wrote it.", "True."]),
        ("So did I. We went.", ["So did I.", "We went."]),
        ("He said “No!” Then he left.", ["He said “No!”", "Then he left."]),
        ("It cost 3.50 on 4 May. 12 came.", ["It cost 3.50 on 4 May.", "12 came."]),
        ("Well … perhaps. Übrigens, ja.", ["Well … perhaps.", "Übrigens, ja."]),
        ("Das ist z.B. Tee. Gut.", ["Das ist z.B. Tee.", "Gut."]),
        ("Really?! Yes.", ["Really?!", "Yes."]),
        ("昨日は。散歩した！楽しい", ["昨日は。", "散歩した！", "楽しい"]),
        ("Dear Anna,\nit came.  \n Yours", ["Dear Anna,", "it came.", "Yours"]),
        ("no end here", ["no end here"]),
        ("It ended.", ["It ended."]),
    ],
)
def test_sentences_end_where_people_end_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected
