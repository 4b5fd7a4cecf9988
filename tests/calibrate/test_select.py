from __future__ import annotations

from calibrate.messages import JobDocument, JobPassage
from calibrate.select import HELD_OUT_SHARE, evenly, representative, split


def documents(count: int, passages_each: int = 1, words_each: int = 100) -> list[JobDocument]:
    return [
        JobDocument(
            number,
            f"letter {number}",
            None,
            tuple(
                JobPassage(number * 100 + place, f"letter{number} part{place} " + "word " * (words_each - 2))
                for place in range(passages_each)
            ),
        )
        for number in range(count)
    ]


def test_the_latest_whole_documents_are_held_out() -> None:
    parts = split(documents(20, passages_each=2))
    held = {passage.id // 100 for passage in parts.held_out}
    assert held == {16, 17, 18, 19}
    assert parts.whole_documents
    seen = {passage.id // 100 for passage in (*parts.train, *parts.validation)}
    assert seen == set(range(16))


def test_validation_documents_are_whole_and_spread_over_time() -> None:
    parts = split(documents(40, passages_each=2))
    validation = sorted({passage.id // 100 for passage in parts.validation})
    train = {passage.id // 100 for passage in parts.train}
    assert not train & set(validation)
    assert len(validation) >= 3
    assert validation[0] < 12
    assert validation[-1] > 20


def test_every_passage_is_in_exactly_one_part() -> None:
    parts = split(documents(9, passages_each=3))
    ids = [passage.id for passage in (*parts.train, *parts.validation, *parts.held_out)]
    assert len(ids) == len(set(ids)) == 27


def test_one_long_document_is_split_by_passages_and_says_so() -> None:
    parts = split(documents(1, passages_each=20))
    assert not parts.whole_documents
    assert [passage.id for passage in parts.held_out] == [16, 17, 18, 19]
    assert len(parts.held_out) / 20 >= HELD_OUT_SHARE


def test_representatives_are_what_the_person_mostly_writes() -> None:
    usual = [
        JobPassage(n, f"My dear friend, the rain came again on day {n} and I stayed at home.")
        for n in range(20)
    ]
    odd = JobPassage(99, "0xFFFF 42 QZJ XKCD ### 17 17 17")
    first = representative([*usual[:10], odd, *usual[10:]], count=30)
    assert {passage.id for passage in first} == {*range(20), 99}
    assert len(representative([*usual, odd], count=5)) == 5


def test_a_single_passage_represents_itself() -> None:
    only = JobPassage(1, "The only letter there is.")
    assert representative([only], count=8) == [only]


def test_the_selection_does_not_depend_on_chance() -> None:
    passages = [
        JobPassage(n, f"text {n * n} about the {'rain' if n % 3 else 'house'} number {n}") for n in range(30)
    ]
    assert representative(passages, 7) == representative(passages, 7)


def test_an_even_choice_covers_the_whole_length() -> None:
    passages = [JobPassage(n, str(n)) for n in range(100)]
    assert [passage.id for passage in evenly(passages, 3)] == [0, 49, 99]
    assert evenly(passages[:2], 3) == passages[:2]
