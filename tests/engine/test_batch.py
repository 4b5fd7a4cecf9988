"""Many answers at once, each as if it were alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.batch import answer_many
from engine.errors import EngineError
from engine.messages import ChatTurn, Sampling, VoiceUse
from engine.model import Model
from engine.native import Context
from engine.voice import PLAIN, Steering
from tests.engine.conftest import Loader
from tests.engine.helpers import SYSTEM, ask, edit_file, user, vector_file
from tests.tiny_models import write_tiny_llama

WARM = Sampling(temperature=1.0, top_p=1.0, top_k=0, min_p=0.0, max_tokens=30)
PROMPTS = [[SYSTEM, user(f"Write {'about the rain ' * (number % 5)}{number}.")] for number in range(11)]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models this small spend their time with threads waiting for each other."""
    monkeypatch.setattr("engine.batch.processors", lambda: 1)


def answers(
    model: Model,
    prompts: Sequence[Sequence[ChatTurn]] = PROMPTS,
    sampling: Sampling = WARM,
    *,
    seed: int = 3,
    parallel: int = 4,
    steering: Steering = PLAIN,
) -> dict[int, str]:
    """The answers by number; each came once."""
    found: dict[int, str] = {}

    def done(number: int, text: str) -> None:
        assert number not in found
        found[number] = text

    answer_many(model, prompts, sampling, seed, done, lambda: False, parallel, steering)
    return found


def test_every_prompt_is_answered_once(model: Model) -> None:
    found = answers(model)
    assert sorted(found) == list(range(11))
    assert len(set(found.values())) > 8


def test_an_answer_is_the_same_however_many_are_written_beside_it(model: Model) -> None:
    expected = answers(model, parallel=1)
    for parallel in (2, 3, 8, 30):
        assert answers(model, parallel=parallel) == expected


def test_an_answer_is_the_same_whichever_are_written_beside_it(model: Model) -> None:
    expected = answers(model)
    others = [[SYSTEM, user(f"Other {'word ' * number}")] for number in range(11)]
    for kept in (0, 5, 10):
        company = [*others[:kept], PROMPTS[kept], *others[kept + 1 :]]
        assert answers(model, company)[kept] == expected[kept]
    assert answers(model, PROMPTS[:3]) == {number: expected[number] for number in range(3)}


def test_no_token_is_computed_alone(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last bits would be others than in company."""
    add, run = Context.add, Context.run
    together, sizes = 0, []

    def counted_add(context: Context, tokens: Sequence[int], *args: int, **options: bool) -> int:
        nonlocal together
        together += len(tokens)
        return add(context, tokens, *args, **options)

    def counted_run(context: Context) -> bool:
        nonlocal together
        sizes.append(together)
        together = 0
        return run(context)

    monkeypatch.setattr(Context, "add", counted_add)
    monkeypatch.setattr(Context, "run", counted_run)
    for parallel in (1, 2, 3):
        answers(model, PROMPTS[:4], parallel=parallel)
    assert len(sizes) > 20
    assert min(sizes) >= 2


def test_the_same_prompt_twice_has_two_answers_and_another_seed_others(model: Model) -> None:
    same = [PROMPTS[0]] * 6
    assert len(set(answers(model, same).values())) > 3
    assert answers(model, same) == answers(model, same)
    assert answers(model, same) != answers(model, same, seed=4)


def test_answers_end_where_the_model_ends_them(tmp_path: Path, load: Loader) -> None:
    speller = load(write_tiny_llama(tmp_path / "speller.gguf", spells="Yes, 你."))
    greedy = Sampling(temperature=0.0, repeat_penalty=1.0, max_tokens=30)
    assert answers(speller, sampling=greedy) == dict.fromkeys(range(11), "Yes, 你.")


def test_answers_are_as_long_as_asked_at_most_and_whole_characters(tmp_path: Path, load: Loader) -> None:
    speller = load(write_tiny_llama(tmp_path / "speller.gguf", spells="Yes, 你."))
    greedy = Sampling(temperature=0.0, repeat_penalty=1.0, max_tokens=6)
    assert answers(speller, sampling=greedy) == dict.fromkeys(range(11), "Yes, ")


def test_no_prompts_are_no_answers(model: Model) -> None:
    assert answers(model, []) == {}


def test_once_stopped_no_more_answers_come(model: Model) -> None:
    found: list[int] = []
    answer_many(model, PROMPTS, WARM, 3, lambda number, _: found.append(number), lambda: len(found) >= 2, 2)
    assert 2 <= len(found) <= 3
    answer_many(model, PROMPTS, WARM, 3, lambda number, _: found.append(number), lambda: True)
    assert len(found) <= 3
    assert len(answers(model)) == 11


def test_a_prompt_too_long_for_the_model_is_refused_before_any_is_answered(model: Model) -> None:
    with pytest.raises(EngineError, match="too long"):
        answer_many(
            model, [*PROMPTS, [user("xyz" * 600)]], WARM, 3, lambda *_: pytest.fail("answered"), lambda: False
        )


def test_a_prompt_of_several_computations_is_read_whole(tiny: Path, load: Loader) -> None:
    model = load(tiny, 2048)
    long = [SYSTEM, user("the rain in my garden " * 120)]
    first = answers(model, [long, *PROMPTS])
    assert first == answers(model, [long, *PROMPTS], parallel=1)
    other = [SYSTEM, user("The rain in my garden " + "the rain in my garden " * 119)]
    assert first[0] != answers(model, [other, *PROMPTS])[0]


def test_answers_in_a_voice_do_not_depend_on_their_company_either(model: Model, tmp_path: Path) -> None:
    vector, adapter = vector_file(tmp_path / "vector.gguf"), edit_file(tmp_path / "adapter.gguf")
    plain = answers(model)
    seen = [plain]
    for use in (VoiceUse(vector), VoiceUse(adapter=adapter), VoiceUse(vector, 1.0, adapter)):
        steering = model.voices.steering(use)
        seen.append(answers(model, steering=steering))
        assert answers(model, steering=steering, parallel=1) == seen[-1]
        off = model.voices.steering(VoiceUse(vector, 0.0, adapter))
        assert answers(model, steering=off) == plain
    assert all(one != other for place, one in enumerate(seen) for other in seen[:place])


def test_answers_in_a_voice_leave_the_model_as_it_was(model: Model, tmp_path: Path) -> None:
    before = ask(model)
    use = VoiceUse(vector_file(tmp_path / "vector.gguf"), 1.0, edit_file(tmp_path / "adapter.gguf"))
    answers(model, steering=model.voices.steering(use))
    assert ask(model) == before
    model.steer(model.voices.steering(use))
    steered = ask(model)
    answers(model)
    assert ask(model) == steered != before
