from __future__ import annotations

from calibrate.queries import Queries
from calibrate.text import Rarity, sentences, words

PASSAGES = [
    "The ferry to Harwich was late again on Thursday. I waited in the rain with Mrs. Abernathy and her parrot, "
    "and we spoke of nothing but the harbour dues. In the end the captain came ashore and begged our pardon, "
    "which I gave him, and we went aboard with our boxes and our tempers much improved by his rum.",
    "I have read your treatise on bees with great attention. The chapter on swarming is excellent; the one on "
    "honey less so. You say the queen decides. I say the meadow decides, and the queen follows. Let us settle "
    "it over supper at Michaelmas, when the hives are quiet and the cider is ready for the two of us to drink.",
] + [
    f"The day was long and the house was quiet, and I wrote letter number {n} to my friend."
    for n in range(20)
]


def queries(seed: int = 0) -> Queries:
    return Queries(Rarity(PASSAGES), seed)


def test_a_query_carries_what_the_passage_is_about() -> None:
    for seed in range(12):
        query = queries(seed).of(PASSAGES[0])
        asked = {word.lower() for word in words(query.text)}
        telling = {
            "ferry",
            "harwich",
            "abernathy",
            "parrot",
            "captain",
            "harbour",
            "dues",
            "thursday",
            "pardon",
            "rum",
        }
        assert asked & telling, query.text


def test_the_same_passage_gets_the_same_query_whatever_else_is_learnt() -> None:
    assert queries().of(PASSAGES[0]) == queries().of(PASSAGES[0])


def test_seeds_give_various_requests() -> None:
    texts = {queries(seed).of(PASSAGES[0]).text for seed in range(20)}
    kinds = {queries(seed).of(PASSAGES[0]).kind for seed in range(40)}
    assert len(texts) > 10
    assert kinds == {"topic", "notes", "continue"}


def test_a_continuation_is_answered_by_the_rest_only() -> None:
    for seed in range(60):
        query = queries(seed).of(PASSAGES[0])
        if query.kind == "continue":
            assert "The ferry to Harwich was late again on Thursday." in query.text
            assert query.answer.startswith("I waited in the rain")
            return
    raise AssertionError("no seed gave a continuation")


def test_braces_in_a_passage_do_no_harm() -> None:
    text = "The set {a, b} is written {0} by some and {name} by others, as Peano did. " * 6
    for seed in range(20):
        queries(seed).of(text)


def test_sentences_end_at_full_stops_and_paragraphs() -> None:
    assert sentences("One is here. Two is there!\n\nThree stands alone") == [
        "One is here.",
        "Two is there!",
        "Three stands alone",
    ]
    assert sentences("It cost 3.5 pounds.") == ["It cost 3.5 pounds."]
