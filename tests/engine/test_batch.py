"""Many answers at once, each as if it were alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.batch import answer_many
from engine.errors import EngineError
from engine.messages import ChatTurn, Sampling
from engine.model import Model
from tests.engine.conftest import Loader
from tests.engine.helpers import SYSTEM, user
from tests.tiny_models import write_tiny_llama

WARM = Sampling(temperature=1.0, top_p=1.0, top_k=0, min_p=0.0, max_tokens=30)
PROMPTS = [[SYSTEM, user(f"Write {'about the rain ' * (number % 5)}{number}.")] for number in range(11)]


def answers(
    model: Model,
    prompts: Sequence[Sequence[ChatTurn]] = PROMPTS,
    sampling: Sampling = WARM,
    *,
    seed: int = 3,
    parallel: int = 4,
) -> dict[int, str]:
    """The answers by number; each came once."""
    found: dict[int, str] = {}

    def done(number: int, text: str) -> None:
        assert number not in found
        found[number] = text

    answer_many(model, prompts, sampling, seed, done, lambda: False, parallel)
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
