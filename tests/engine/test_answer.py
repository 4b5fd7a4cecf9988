"""What a plain model writes: streamed, repeatable, stopped, with memory of what was read before."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.chat import Prompt
from engine.errors import EngineError
from engine.messages import ChatTurn, Sampling
from engine.model import Model, groups
from engine.native import Context
from engine.stopping import StopFlag
from tests.engine.conftest import Loader
from tests.engine.helpers import GREEDY, SYSTEM, ask, expected_after, prompt_of, user
from tests.tiny_models import END, write_tiny_llama

WARM = Sampling(temperature=1.0, top_p=1.0, top_k=0, min_p=0.0, max_tokens=40, seed=7)
LONG = [SYSTEM, user("the rain in my garden " * 100)]  # several computations long


@pytest.fixture
def roomy(tiny: Path, load: Loader) -> Model:
    """The tiny model with room for `LONG`."""
    return load(tiny, 2048)


def speller(tmp_path: Path, load: Loader, text: str) -> Model:
    return load(write_tiny_llama(tmp_path / "speller.gguf", spells=text))


@pytest.mark.parametrize("text", ["My dear.", "Hé 你→", "a👩b", "€5!"])
def test_an_answer_comes_in_whole_characters_and_ends_where_the_model_ends_it(
    tmp_path: Path, load: Loader, text: str
) -> None:
    model = speller(tmp_path, load, text)
    answer = model.answer(prompt_of(model, [user("Hello")]), GREEDY)
    pieces = list(answer)
    assert "".join(pieces) == text
    assert all(pieces)
    assert len(pieces) == len(text)  # one token a byte: text comes as soon as it is certain
    assert (answer.reason, answer.tokens) == ("end", len(text.encode()))


def test_an_answer_cut_in_a_character_leaves_the_character_out(tmp_path: Path, load: Loader) -> None:
    model = speller(tmp_path, load, "a你b")
    answer = model.answer(prompt_of(model, [user("Hello")]), replace(GREEDY, max_tokens=3))
    assert ("".join(answer), answer.reason, answer.tokens) == ("a", "length", 3)


def test_a_stop_of_the_prompt_ends_the_answer(tmp_path: Path, load: Loader) -> None:
    model = speller(tmp_path, load, "My, \x0bUser:")
    prompt = prompt_of(model, [user("Hello")])
    answer = model.answer(Prompt(prompt.tokens, 0, ("User:",)), GREEDY)
    assert ("".join(answer), answer.reason) == ("My, \x0b", "end")


def test_what_might_have_begun_a_stop_comes_at_last(tmp_path: Path, load: Loader) -> None:
    model = speller(tmp_path, load, "Ok\x0bUsx")
    prompt = Prompt(prompt_of(model, [user("Hello")]).tokens, 0, ("\x0bUser:",))
    for most, text in ((5, "Ok\x0bUs"), (20, "Ok\x0bUsx")):
        assert "".join(model.answer(prompt, replace(GREEDY, max_tokens=most))) == text


def test_an_answer_is_as_long_as_was_asked_at_most(model: Model) -> None:
    answer = model.answer(prompt_of(model, [user("Hello")]), replace(WARM, max_tokens=5))
    list(answer)
    assert (answer.tokens, answer.reason) == (5, "length")
    nothing = model.answer(prompt_of(model, [user("Hello")]), replace(WARM, max_tokens=0))
    assert (list(nothing), nothing.tokens, nothing.reason) == ([], 0, "length")


def test_an_answer_ends_where_the_context_does(tmp_path: Path, load: Loader, tiny: Path) -> None:
    model = load(tiny, 256)
    prompt = model.chat.prompt([user("rain " * 150)], 256, 64)
    sampling = next(
        each
        for each in (replace(WARM, seed=seed, max_tokens=400) for seed in range(50))
        if _written(model, prompt, each) == 256 - len(prompt.tokens)
    )
    answer = model.answer(prompt, sampling)
    list(answer)
    assert answer.reason == "length"
    assert ask(model)  # and the next answer is none the worse


def _written(model: Model, prompt: Prompt, sampling: Sampling) -> int:
    answer = model.answer(prompt, sampling)
    list(answer)
    return answer.tokens


def test_a_seed_is_drawn_where_none_is_asked_for_and_brings_the_text_back(model: Model) -> None:
    turns = [SYSTEM, user("Hello")]
    drawn = [model.answer(prompt_of(model, turns), replace(WARM, seed=None)) for _ in range(4)]
    texts = ["".join(answer) for answer in drawn]
    assert len({answer.seed for answer in drawn}) == 4
    fresh = model.answer(prompt_of(model, turns), replace(WARM, seed=drawn[0].seed))
    assert "".join(fresh) == texts[0]


def test_another_seed_is_another_text(model: Model) -> None:
    assert len({ask(model, sampling=replace(WARM, seed=seed)) for seed in range(8)}) >= 6


def test_the_same_seed_is_the_same_text_whatever_was_computed_before(tiny: Path, load: Loader) -> None:
    fresh = load(tiny)
    question = [SYSTEM, user("Write about the rain.")]
    expected = ask(fresh, question, WARM)
    used = load(tiny)
    answer = ask(used, [SYSTEM, user("Write about")], WARM)
    ask(used, [SYSTEM, user("Write about"), ChatTurn("assistant", answer), user("Go on")], WARM)
    for before in ([SYSTEM, user("Write about the house")], [user("x" * 300)], question, question[:1]):
        ask(used, before, replace(WARM, seed=None))
        assert ask(used, question, WARM) == expected


def test_a_conversation_read_turn_by_turn_is_answered_as_one_read_at_once(tiny: Path, load: Loader) -> None:
    turns = [SYSTEM]
    growing = load(tiny, 1024)
    for number in range(5):
        turns.append(user(f"question {number} about my house"))
        answer = ask(growing, turns, WARM)
        assert answer == ask(load(tiny, 1024), turns, WARM)
        turns.append(ChatTurn("assistant", answer))


@pytest.mark.parametrize("cuts", [(2,), (17, 40), (511, 513)])
def test_logits_do_not_depend_on_how_a_text_was_cut(roomy: Model, cuts: tuple[int, ...]) -> None:
    tokens = prompt_of(roomy, LONG).tokens
    expected = expected_after(roomy, tokens)
    roomy.read([0, 0])
    for place in cuts:
        roomy.read(tokens[:place])
    roomy.read(tokens)
    np.testing.assert_array_equal(roomy.logits(), expected)


def test_what_was_written_token_by_token_is_read_again_where_every_bit_counts(roomy: Model) -> None:
    tokens = prompt_of(roomy, LONG).tokens[:200]
    expected = expected_after(roomy, tokens)
    for exact in (True, False):
        roomy.read([0, 0])
        roomy.read(tokens[:100])
        assert all(roomy.write(token) for token in tokens[100:150])
        roomy.read(tokens, exact=exact)
        np.testing.assert_allclose(roomy.logits(), expected, atol=1e-2)
        # Were it the same for both, computing tokens again would be for nothing.
        assert np.array_equal(roomy.logits(), expected) is exact


def test_what_was_read_is_not_read_again(roomy: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []
    add = Context.add

    def counted(context: Context, tokens: list[int], *args: int, **options: bool) -> int:
        computed.append(len(tokens))
        return add(context, tokens, *args, **options)

    monkeypatch.setattr(Context, "add", counted)
    turns = [*LONG, ChatTurn("assistant", "Yes."), user("And?")]
    ask(roomy, LONG, replace(GREEDY, seed=None, max_tokens=1))
    first = sum(computed)
    computed.clear()
    ask(roomy, turns, replace(GREEDY, seed=None, max_tokens=1))
    assert first > 1000
    assert sum(computed) < 60


def test_a_flag_set_before_means_no_text(roomy: Model) -> None:
    stop = StopFlag()
    stop.set()
    answer = roomy.answer(prompt_of(roomy, LONG), WARM, stop)
    assert (list(answer), answer.reason, answer.tokens) == ([], "stopped", 0)


@pytest.mark.parametrize("computations", [0, 1, 2])
def test_a_stop_in_the_middle_of_reading_spoils_nothing(
    tiny: Path, load: Loader, monkeypatch: pytest.MonkeyPatch, computations: int
) -> None:
    expected = ask(load(tiny, 2048), LONG, WARM)
    model, stop, done = load(tiny, 2048), StopFlag(), itertools.count()
    run = Context.run

    def stopping(context: Context) -> bool:
        if next(done) == computations:
            stop.set()
        return run(context)

    monkeypatch.setattr(Context, "run", stopping)
    answer = model.answer(prompt_of(model, LONG), WARM, stop)
    assert (list(answer), answer.reason) == ([], "stopped")
    assert next(done) == computations + 1  # the rest of the prompt was not computed
    monkeypatch.undo()
    assert ask(model, LONG, WARM) == expected


def test_a_stop_between_two_tokens_ends_the_text_there(model: Model) -> None:
    whole = ask(model, sampling=WARM)
    stop, heard = StopFlag(), ""
    answer = model.answer(prompt_of(model, [SYSTEM, user("Write to my friend.")], WARM), WARM, stop)
    for piece in answer:
        heard += piece
        if len(heard) > 10:
            stop.set()
    assert answer.reason == "stopped"
    assert 10 < len(heard) < len(whole)
    assert whole.startswith(heard)
    assert ask(model, sampling=WARM) == whole


def test_an_answer_nobody_listens_to_any_more_spoils_nothing(model: Model) -> None:
    whole = ask(model, sampling=WARM)
    for _ in model.answer(prompt_of(model, [SYSTEM, user("Write to my friend.")], WARM), WARM):
        break
    assert ask(model, sampling=WARM) == whole


def test_a_flag_stops_its_own_answer_only(model: Model) -> None:
    stop = StopFlag()
    whole = ask(model, sampling=WARM)
    list(model.answer(prompt_of(model, [user("Hello")]), GREEDY, stop))
    stop.set()
    assert ask(model, sampling=WARM) == whole


def test_without_temperature_the_likeliest_token_is_taken(model: Model) -> None:
    prompt = prompt_of(model, [SYSTEM, user("Hello")])
    expected = expected_after(model, prompt.tokens)
    pieces = model.answer(prompt, GREEDY)
    assert next(iter(pieces)).encode() == model.weights.piece(int(expected.argmax()))
    assert len({ask(model, sampling=replace(GREEDY, seed=seed)) for seed in range(4)}) == 1


def test_one_candidate_leaves_no_choice(model: Model) -> None:
    for narrow in (replace(WARM, top_k=1), replace(WARM, top_p=1e-6), replace(WARM, min_p=1.0)):
        narrow = replace(narrow, repeat_penalty=1.0, max_tokens=24)
        assert ask(model, sampling=narrow) == ask(model, sampling=GREEDY)


def test_a_penalty_keeps_words_from_coming_again(roomy: Model) -> None:
    def variety(penalty: float) -> float:
        words = ask(roomy, sampling=replace(GREEDY, repeat_penalty=penalty, max_tokens=60)).split()
        return len(set(words)) / len(words)

    assert variety(3.0) > variety(1.0)


def test_groups_hold_every_token_in_order_and_none_alone() -> None:
    for length, most in itertools.product(range(40), range(3, 9)):
        made = groups(list(range(length)), most)
        assert [token for group in made for token in group] == list(range(length))
        assert all(len(group) <= most for group in made)
        assert length < 2 or all(len(group) >= 2 for group in made)


def test_the_end_token_is_never_text(model: Model) -> None:
    for seed in range(5):
        assert END not in ask(model, sampling=replace(WARM, seed=seed))


def test_a_stop_that_was_asked_for_ends_the_answer_before_it(tmp_path: Path, load: Loader) -> None:
    model = speller(tmp_path, load, "My dear.")
    answer = model.answer(prompt_of(model, [user("Hello")]), replace(GREEDY, stop=("r.", "ea", "")))
    assert ("".join(answer), answer.reason) == ("My d", "end")


SCHEMA = '{"type": "object", "properties": {"n": {"enum": [1, 2]}, "ok": {"type": "boolean"}}, "required": ["n", "ok"]}'


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_an_answer_fits_the_json_schema(model: Model, temperature: float) -> None:
    for seed in range(5):
        sampling = replace(WARM, temperature=temperature, seed=seed, json_schema=SCHEMA, max_tokens=300)
        answer = model.answer(prompt_of(model, [user("Hello")]), sampling)
        text = "".join(answer)
        found = json.loads(text)
        assert answer.reason == "end"
        assert set(found) == {"n", "ok"}
        assert found["n"] in (1, 2)
        assert found["ok"] in (True, False)


@pytest.mark.parametrize(
    "schema", ["{", '{"type": "nonsense"}', '{"$ref": "https://example.org/schema.json"}']
)
def test_what_is_no_json_schema_is_refused_before_anything_is_computed(model: Model, schema: str) -> None:
    with pytest.raises(EngineError, match="JSON schema cannot be used"):
        model.answer(prompt_of(model, [user("Hello")]), replace(GREEDY, json_schema=schema))
    assert ask(model)


def test_reading_is_counted_to_its_end(roomy: Model) -> None:
    tokens = prompt_of(roomy, LONG).tokens
    counted: list[tuple[int, int]] = []
    list(
        roomy.answer(Prompt(tokens, 0, ()), GREEDY, on_read=lambda done, total: counted.append((done, total)))
    )
    assert counted[-1] == (len(tokens), len(tokens))
    assert [done for done, _ in counted[:2]] == [512, 1024]


def test_what_every_prompt_begins_with_is_known_beforehand(model: Model) -> None:
    opening = model.chat.opening([SYSTEM])
    for text in ("Hello", "9 lives", "", "<|im_end|>"):
        assert prompt_of(model, [SYSTEM, user(text)]).tokens[: len(opening)] == opening
    assert len(opening) > 20
