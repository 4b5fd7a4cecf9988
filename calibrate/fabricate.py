"""Step 3, fabricate: the preference pairs (query, own, plain), one by one as they are made.

Goes in: representative passages, the quantised model, pairs of earlier runs. Comes out: `PairMade` messages.

Two sources: ``history`` (own = the real passage, plain = the model's answer to the query; StyleVector,
arXiv 2503.05213) and ``insight`` (own = the model under the personal insight, plain = under the neutral one;
CHAMELEON, arXiv 2503.01048). Every pair is sent as soon as it is made; a later run finds it by its key and
does not make it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from calibrate.insight import Writer, neutral_insight, under_insight
from calibrate.messages import JobPassage, PairMade
from calibrate.queries import Query

ANSWER_TOKENS = 80
_TEMPERATURE = 0.7
# Raised when what is fabricated from the same passage changes (prompts, sampling): older pairs then no longer serve.
_RECIPE = "1"


@dataclass(frozen=True)
class Draft:
    """A pair before its model-written sides exist. ``systems``: the prompts that write (own, plain); own is
    None where the passage itself is the own side."""

    key: str
    source: str
    passage: JobPassage
    query: Query
    systems: tuple[str | None, str]


def drafts(
    passages: Sequence[JobPassage],
    query_of: Callable[[str], Query],
    model: Writer,
    insight: str,
    insight_pairs: int,
    seed: int,
) -> list[Draft]:
    """The pairs to make: a history pair for every passage, an insight pair for the first ``insight_pairs``."""
    made = [
        Draft(
            _key("history", passage, model, seed),
            "history",
            passage,
            query_of(passage.text),
            (None, model.system),
        )
        for passage in passages
    ]
    own, plain = (under_insight(model.system, text) for text in (insight, neutral_insight()))
    made += [
        Draft(_key("insight", passage, model, seed), "insight", passage, query_of(passage.text), (own, plain))
        for passage in passages[:insight_pairs]
    ]
    return made


def fabricate(
    model: Writer,
    wanted: Sequence[Draft],
    made: Mapping[str, PairMade],
    seed: int,
    on_pair: Callable[[PairMade], None],
    should_stop: Callable[[], bool],
) -> list[PairMade]:
    """All ``wanted`` pairs in order: those in ``made`` (by key) as they are, the others newly written.

    ``on_pair`` gets each new pair at once. Ends early, with what there is, when ``should_stop`` says so.
    """
    pairs = {draft.key: made[draft.key] for draft in wanted if draft.key in made}
    missing = [draft for draft in wanted if draft.key not in pairs]
    asked = [(draft, side) for draft in missing for side in (0, 1) if draft.systems[side] is not None]
    written: dict[str, dict[int, str]] = {draft.key: {} for draft in missing}

    def on_answer(index: int, answer: str) -> None:
        draft, side = asked[index]
        written[draft.key][side] = answer
        sides = written[draft.key]
        if len(sides) < sum(system is not None for system in draft.systems):
            return
        own = draft.query.answer if draft.systems[0] is None else sides[0]
        pair = PairMade(
            draft.key, draft.source, draft.passage.id, draft.query.kind, draft.query.text, own, sides[1]
        )
        pairs[draft.key] = pair
        on_pair(pair)

    model.answers(
        [(draft.systems[side] or "", draft.query.text) for draft, side in asked],
        max_tokens=ANSWER_TOKENS,
        temperature=_TEMPERATURE,
        seed=seed,
        on_answer=on_answer,
        should_stop=should_stop,
    )
    return [pairs[draft.key] for draft in wanted if draft.key in pairs]


def _key(source: str, passage: JobPassage, model: Writer, seed: int) -> str:
    parts = (_RECIPE, source, passage.text, model.sha256, model.system, str(seed))
    return sha256("\0".join(parts).encode()).hexdigest()[:24]
