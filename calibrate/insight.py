"""Step 2, insight: a few sentences, written by the model from the history, saying how this person writes.

Goes in: the most representative passages. Comes out: the personal insight, and beside it the neutral one that is
its control (CHAMELEON, arXiv 2503.01048, section 3.1). The prompts are text files under resources/prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from resources import read_text

_SAMPLE_WORDS = 90
_SAMPLES = 4


class Writer(Protocol):
    """What steps 2 and 3 need of a model; `quantised.Quantised` is the real one."""

    system: str
    sha256: str

    def answers(
        self,
        requests: Sequence[tuple[str, str]],
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        on_answer: Callable[[int, str], None] = ...,
        should_stop: Callable[[], bool] = ...,
    ) -> list[str]: ...


def personal_insight(model: Writer, passages: Sequence[str], seed: int) -> str:
    """The model's description of how the writer of ``passages`` writes."""
    samples = "\n\n".join(_shortened(passage) for passage in passages[:_SAMPLES])
    request = read_text("prompts", "insight.txt").format(samples=samples)
    (answer,) = model.answers([(model.system, request)], max_tokens=90, temperature=0.3, seed=seed)
    return _whole_sentences(answer)


def neutral_insight() -> str:
    """The control: a manner nobody in particular has."""
    return read_text("prompts", "insight-neutral.txt")


def under_insight(system: str, insight: str) -> str:
    """The system prompt that asks for the manner ``insight`` describes."""
    return read_text("prompts", "under-insight.txt").format(system=system, insight=insight)


def _shortened(passage: str) -> str:
    tokens = passage.split()
    return " ".join(tokens[:_SAMPLE_WORDS]) + (" …" if len(tokens) > _SAMPLE_WORDS else "")


def _whole_sentences(text: str) -> str:
    """``text`` without the sentence that the token limit cut off."""
    text = " ".join(text.split())
    end = max(text.rfind(mark) for mark in ".!?")
    return text[: end + 1] if end > 0 else text
