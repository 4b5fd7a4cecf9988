from __future__ import annotations

from app.history.order import in_order, natural_key


def order(*dates: str | None) -> list[int]:
    """The places, in the order they were written, of items with these dates."""
    items = list(enumerate(dates))
    return [number for number, _ in in_order(items, lambda item: item[1])]


def test_numbers_in_names_count_as_numbers() -> None:
    names = ["Letter 10.txt", "letter 2.txt", "letter 2b.txt", "letter 2/9.txt", "letter ².txt", "letter.txt"]
    assert sorted(names, key=natural_key) == [
        "letter 2.txt",
        "letter 2/9.txt",
        "letter 2b.txt",
        "Letter 10.txt",
        "letter ².txt",
        "letter.txt",
    ]


def test_dates_decide_where_most_have_one() -> None:
    assert order("2021-01-01", "2020-01-01", "2019-06-01T10:00:00") == [2, 1, 0]


def test_one_without_a_date_stays_with_its_neighbour() -> None:
    assert order("2021-01-01", None, "2020-01-01") == [2, 0, 1]
    assert order(None, "2021-01-01", "2020-01-01") == [2, 0, 1]


def test_where_few_have_a_date_the_names_decide() -> None:
    assert order("2021-01-01", None, None, "2019-01-01") == [0, 1, 2, 3]
    assert order() == []
