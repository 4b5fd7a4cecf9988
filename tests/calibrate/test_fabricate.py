from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from calibrate.fabricate import Draft, drafts, fabricate
from calibrate.insight import personal_insight
from calibrate.messages import JobPassage, PairMade
from calibrate.queries import Queries
from calibrate.text import Rarity

PASSAGES = [
    JobPassage(
        n, f"Letter {n}. The ferry was late and the harbour master sent number {n} word of it by his dog."
    )
    for n in range(6)
]


class Scribe:
    """Answers every request with its number; remembers what it was asked."""

    def __init__(self, sha256: str = "abc") -> None:
        self.system, self.sha256 = "Write what is asked.", sha256
        self.asked: list[tuple[str, str]] = []

    def answers(
        self,
        requests: Sequence[tuple[str, str]],
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        on_answer: Callable[[int, str], None] = lambda index, text: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> list[str]:
        texts = []
        for index in reversed(range(len(requests))):  # answers need not come in order
            if should_stop():
                break
            self.asked.append(requests[index])
            texts.append(f"answer {len(self.asked)}")
            on_answer(index, texts[-1])
        return texts


def queries() -> Queries:
    return Queries(Rarity(passage.text for passage in PASSAGES), 0)


def wanted(writer: Scribe, insight: str = "Brief and nautical.", seed: int = 0) -> list[Draft]:
    return drafts(PASSAGES, queries().of, writer, insight, 2, seed)


def make(
    writer: Scribe, made: dict[str, PairMade], stop_after: int = 10**9
) -> tuple[list[PairMade], list[PairMade]]:
    sent: list[PairMade] = []
    pairs = fabricate(writer, wanted(writer), made, 0, sent.append, lambda: len(sent) >= stop_after)
    return pairs, sent


def test_a_history_pair_sets_the_real_passage_against_the_plain_answer() -> None:
    pairs, _ = make(Scribe(), {})
    history = [pair for pair in pairs if pair.source == "history"]
    assert len(history) == len(PASSAGES)
    for pair, passage in zip(history, PASSAGES, strict=True):
        assert pair.own in passage.text
        assert pair.plain.startswith("answer")
        assert pair.passage_id == passage.id


def test_an_insight_pair_is_written_under_the_personal_and_the_neutral_insight() -> None:
    writer = Scribe()
    pairs, _ = make(writer, {})
    insight = [pair for pair in pairs if pair.source == "insight"]
    assert len(insight) == 2
    assert all(pair.own.startswith("answer") and pair.own != pair.plain for pair in insight)
    systems = [system for system, query in writer.asked if query == insight[0].query]
    assert any("Brief and nautical." in system for system in systems)
    assert any("plain, standard language" in system for system in systems)


def test_a_stopped_run_goes_on_where_it_was_pair_by_pair() -> None:
    first = Scribe()
    _, sent = make(first, {}, stop_after=3)
    assert len(sent) == 3
    second = Scribe()
    pairs, new = make(second, {pair.key: pair for pair in sent})
    assert len(pairs) == len(PASSAGES) + 2
    assert len(new) == len(pairs) - 3
    assert not {pair.key for pair in new} & {pair.key for pair in sent}
    assert {pair.key: pair for pair in pairs}.items() >= {pair.key: pair for pair in sent}.items()


def test_a_finished_fabrication_asks_the_model_nothing() -> None:
    pairs, _ = make(Scribe(), {})
    again = Scribe()
    assert make(again, {pair.key: pair for pair in pairs}) == (pairs, [])
    assert again.asked == []


@pytest.mark.parametrize("changed", ["model", "seed"])
def test_pairs_of_another_model_or_seed_do_not_serve(changed: str) -> None:
    keys = {draft.key for draft in wanted(Scribe())}
    other = wanted(Scribe("xyz")) if changed == "model" else wanted(Scribe(), seed=1)
    assert not keys & {draft.key for draft in other}


def test_the_insight_ends_with_a_whole_sentence() -> None:
    class Rambler(Scribe):
        def answers(self, requests: Sequence[tuple[str, str]], **_: object) -> list[str]:
            assert "harbour master" in requests[0][1]
            return ["The tone is dry. The sentences are sho"]

    assert personal_insight(Rambler(), [passage.text for passage in PASSAGES], 0) == "The tone is dry."
