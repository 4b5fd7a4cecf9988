from __future__ import annotations

from app.history.textwork import count_words, one_line, storable, tidy


def test_words_are_counted_in_scripts_with_and_without_spaces() -> None:
    assert count_words("Dear Anna, it’s come.") == 4
    assert count_words("昨日は散歩した") == 3
    assert count_words("Hello 世界 there") == 3
    assert count_words("") == 0


def test_half_characters_are_mended_or_replaced() -> None:
    assert storable("\ud83d\ude42") == "🙂"
    assert storable("a\ud83db") == "a\ufffdb"
    assert storable("café") == "café"


def test_a_title_is_one_line_cut_between_words() -> None:
    assert one_line(" Dear\n\tAnna ", 60) == "Dear Anna"
    assert one_line("Thank you for the kettle, which came", 27) == "Thank you for the kettle…"
    assert one_line("x" * 100, 10) == "x" * 9 + "…"


def test_tidy_text_keeps_indents_and_empty_lines_inside() -> None:
    assert tidy("\n\n  indented  \n\n\n last \n") == "  indented\n\n\n last"
