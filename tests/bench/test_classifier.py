from __future__ import annotations

import pytest

pytest.importorskip("sklearn", reason="the benchmark needs the bench extra")

from tests.bench.classifier import Attribution

BRISK = [f"Done by {n}. No fuss. Ship it, then test it. Next." for n in "abcdefgh"]
STATELY = [f"I remain, dear Madam, your most obedient {n}, and shall ever be so." for n in "abcdefgh"]


@pytest.fixture(scope="module")
def attribution() -> Attribution:
    return Attribution({"brisk": BRISK, "stately": STATELY})


def test_a_text_is_attributed_to_whose_writing_it_is_like(attribution: Attribution) -> None:
    found = attribution.authors_of(["Ship it. No fuss.", "Dear Madam, I remain obedient and shall ever be."])
    assert found == ["brisk", "stately"]


def test_a_text_without_words_is_nobody_s(attribution: Attribution) -> None:
    assert attribution.authors_of(["", " \n"]) == ["", ""]
    assert attribution.authors_of([]) == []


def test_how_a_text_is_set_out_does_not_matter(attribution: Attribution) -> None:
    assert attribution.authors_of(["Ship it.\n\n\nNo\nfuss."]) == attribution.authors_of(
        ["Ship it. No fuss."]
    )


def test_it_says_how_often_it_is_right(attribution: Attribution) -> None:
    swapped = {"brisk": [BRISK[0], STATELY[0]], "stately": [STATELY[1]], "silent": []}
    assert attribution.accuracy(swapped) == {"brisk": 0.5, "stately": 1.0}
