"""Many answers at once: one token of each in one computation, since eight tokens cost little more than one.

Goes in: prompts. Comes out: texts, each as soon as it is complete. When an answer ends, the next prompt takes its
place, so the computation stays full until the prompts run out.

An answer depends neither on how many are written beside it nor on which: every prompt has a sampler of its own,
seeded from the seed and its number, and is read by itself; and no computation holds a single token alone (see
`engine.model` for why that matters).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.messages import ChatTurn, Sampling
from engine.model import Model, groups, processors
from engine.native import Adapter, Context
from engine.voice import PLAIN, Steering
from engine.writer import Writer

PARALLEL = 8
# An odd number far from the powers of two: the seeds of neighbouring prompts have nothing in common.
_SPREAD = 0x9E3779B1


@dataclass
class _Answer:
    """An answer under way in one sequence of the context."""

    number: int
    sequence: int
    position: int  # of the next token to be computed
    writer: Writer
    text: list[str] = field(default_factory=list)


def answer_many(
    model: Model,
    prompts: Sequence[Sequence[ChatTurn]],
    sampling: Sampling,
    seed: int,
    on_done: Callable[[int, str], None],
    should_stop: Callable[[], bool],
    parallel: int = PARALLEL,
    steering: Steering = PLAIN,
) -> None:
    """Answer ``prompts``, ``parallel`` at a time, under ``steering``; ``on_done(number, text)`` for each.

    ``should_stop`` is asked before every computation; once true, no more answers come. The same ``seed``
    gives the same answers. Raises EngineError when a prompt is too long for the model, or the adapter is none
    for it.
    """
    asked = [model.chat.prompt(turns, model.context_tokens, sampling.max_tokens) for turns in prompts]
    if not asked:
        return
    longest = max(len(prompt.tokens) for prompt in asked) + sampling.max_tokens
    waiting = list(reversed(list(enumerate(asked))))
    free = list(range(min(parallel, len(asked))))
    filler = len(free)
    writing: list[_Answer] = []
    adapters: list[tuple[Adapter, float]] = []
    context = Context(model.weights, longest, threads=processors(), sequences=filler + 1)

    def draw(answer: _Answer, index: int) -> None:
        answer.text.append(answer.writer.draw(context, index))
        if answer.writer.reason:
            writing.remove(answer)
            free.append(answer.sequence)
            context.forget(answer.sequence)
            answer.writer.close()
            on_done(answer.number, "".join(answer.text))

    try:
        for version, scale in steering.adapters:
            adapters.append((Adapter(model.weights, Path(version.path)), scale))
        context.steer(steering.vectors)
        context.adapt(adapters)
        while (waiting or writing) and not should_stop():
            if waiting and free:
                number, prompt = waiting.pop()
                sequence = free.pop()
                most = min(sampling.max_tokens, model.context_tokens - len(prompt.tokens))
                writer = Writer(model.weights, sampling, seed + number * _SPREAD, prompt.stops, most)
                writing.append(_Answer(number, sequence, len(prompt.tokens), writer))
                draw(writing[-1], _read(context, prompt.tokens, sequence))
                continue
            indices = []
            for answer in writing:
                indices.append(context.add([answer.writer.last], answer.position, answer.sequence))
                answer.position += 1
            if len(indices) == 1:
                context.add([0], 0, filler)
            context.run()
            context.forget(filler)
            for answer, index in zip(list(writing), indices, strict=True):
                draw(answer, index)
    finally:
        for answer in writing:
            answer.writer.close()
        context.close()
        for adapter, _ in adapters:
            adapter.close()


def _read(context: Context, tokens: Sequence[int], sequence: int) -> int:
    """Compute a whole prompt by itself; where the logits of its last token are."""
    index, position = -1, 0
    for group in groups(tokens, context.room):
        index = context.add(group, position, sequence)
        context.run()
        position += len(group)
    return index
