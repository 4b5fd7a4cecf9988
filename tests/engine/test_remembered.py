"""Going back to a voice or a conversation: nothing is computed twice, and nothing is written differently for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.messages import ChatTurn, VoiceUse
from engine.model import Model
from engine.native import Context
from engine.remembered import Entry, Remembered
from tests.engine.conftest import Loader
from tests.engine.helpers import GREEDY, SYSTEM, ask, edit_file, prompt_of, user, vector_file

LONG = [SYSTEM, user("the rain in my garden " * 12)]
OTHER = [ChatTurn("system", "Be short."), user("a house on the hill " * 12)]


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many tokens went into each computation."""
    counts: list[int] = []
    add = Context.add

    def counted(context: Context, tokens: list[int], *args: int, **named: bool) -> int:
        counts.append(len(tokens))
        return add(context, tokens, *args, **named)

    monkeypatch.setattr(Context, "add", counted)
    yield counts


@pytest.fixture
def voice(tmp_path: Path) -> VoiceUse:
    return VoiceUse(vector_file(tmp_path / "v.gguf"), 1.0, edit_file(tmp_path / "a.gguf"))


def steer(model: Model, use: VoiceUse | None) -> None:
    model.steer(model.voices.steering(use))


def test_going_back_to_a_voice_computes_nothing_again_and_writes_the_same(
    tiny: Path, load: Loader, voice: VoiceUse, computed: list[int]
) -> None:
    model = load(tiny, 1024, 2**24)
    plain = ask(model, LONG)
    steer(model, voice)
    own = ask(model, LONG)
    assert own != plain
    for use, expected in ((None, plain), (voice, own), (None, plain)):
        steer(model, use)
        computed.clear()
        assert ask(model, LONG) == expected
        assert max(computed) <= 2  # the last two tokens of the prompt, then one at a time


def test_going_back_to_a_conversation_computes_only_what_is_new(
    tiny: Path, load: Loader, computed: list[int]
) -> None:
    model = load(tiny, 1024, 2**24)
    answer = ask(model, LONG)
    ask(model, OTHER)
    computed.clear()
    longer = [*LONG, ChatTurn("assistant", answer), user("And then?")]
    found = ask(model, longer)
    assert max(computed) < len(prompt_of(model, LONG).tokens) // 2
    assert found == ask(load(tiny, 1024), longer)


def test_without_room_nothing_is_put_away(
    tiny: Path, load: Loader, voice: VoiceUse, computed: list[int]
) -> None:
    model = load(tiny, 1024, 2**12)
    plain = ask(model, LONG)
    steer(model, voice)
    ask(model, LONG)
    steer(model, None)
    computed.clear()
    assert ask(model, LONG) == plain
    assert max(computed) == len(prompt_of(model, LONG).tokens)


def test_many_voices_stay_within_the_room(tiny: Path, load: Loader, voice: VoiceUse) -> None:
    model = load(tiny, 1024, 2**19)
    for number in range(1, 30):
        steer(model, VoiceUse(voice.control_vector, number / 10))
        ask(model, LONG)
        assert model._remembered.size <= 2**19
    assert model._remembered.size > 2**18


def test_a_state_that_cannot_be_restored_is_computed_again(
    tiny: Path, load: Loader, voice: VoiceUse, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(tiny, 1024, 2**24)
    plain = ask(model, LONG)
    steer(model, voice)
    ask(model, LONG)
    steer(model, None)
    state = Context.state
    monkeypatch.setattr(Context, "restore", lambda self, kept: self.clear() or False)
    assert ask(model, LONG) == plain
    assert state is Context.state


def test_what_was_written_at_a_changed_strength_is_put_away_for_nobody(
    tiny: Path, load: Loader, voice: VoiceUse
) -> None:
    model = load(tiny, 1024, 2**24)
    expected = ask(model, LONG)
    asked = iter([None, None, model.voices.steering(voice)])
    mixed = "".join(model.answer(prompt_of(model, LONG), GREEDY, steered_anew=lambda: next(asked, None)))
    assert mixed != expected
    for use in (voice, None):
        steer(model, use)
        assert ask(model, LONG) == ask_afresh(load(tiny, 1024), use)


def ask_afresh(model: Model, use: VoiceUse | None) -> str:
    steer(model, use)
    return ask(model, LONG)


def entry(key: str, tokens: str, size: int = 10, together: int | None = None) -> Entry:
    known = tuple(map(ord, tokens))
    return Entry(key, known, len(known) if together is None else together, np.zeros(size, np.uint8))


def test_the_entry_that_begins_most_alike_is_taken() -> None:
    kept = Remembered(1000)
    for each in (entry("plain", "abcd"), entry("plain", "abxy"), entry("voice", "abcdef")):
        kept.put(each)
    found, length = kept.take("plain", [*map(ord, "abcdef")], exact=False, beyond=0)
    assert found is not None
    assert (found.key, "".join(map(chr, found.tokens)), length) == ("plain", "abcd", 4)
    assert kept.take("plain", [*map(ord, "abcdef")], exact=False, beyond=2) == (None, 2)


def test_exactly_counts_only_what_was_computed_in_groups() -> None:
    kept = Remembered(1000)
    kept.put(entry("plain", "abcd", together=2))
    assert kept.take("plain", [*map(ord, "abcd")], exact=True, beyond=2) == (None, 2)
    assert kept.take("plain", [*map(ord, "abcd")], exact=False, beyond=2)[1] == 4


def test_an_entry_takes_the_place_of_those_it_goes_on_from_and_the_oldest_leave() -> None:
    kept = Remembered(25)
    kept.put(entry("plain", "ab"))
    kept.put(entry("plain", "abcd"))
    assert kept.size == 10
    kept.put(entry("voice", "ab"))
    kept.put(entry("other", "ab"))
    assert kept.size == 20
    assert kept.take("plain", [*map(ord, "abcd")], exact=False, beyond=0)[0] is None
    kept.put(entry("large", "ab", size=30))
    assert kept.size == 0
