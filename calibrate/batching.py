"""Samples in groups that go through the model at once, and smaller ones when memory runs short."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

# Tokens in one forward pass while tuning: bounds the memory of the saved activations (about 1.2 MB a token
# for the default model in float32), and keeps them in the processor's cache; more is slower.
_TOKENS = 512
_FEWEST_TOKENS = 64
# What torch says, as a RuntimeError, when the system gives it no more (on Linux, macOS and Windows).
_SHORT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


@dataclass(frozen=True)
class Sample:
    """A request and its answer as token ids; only the answer is scored."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    @property
    def length(self) -> int:
        """Tokens in all."""
        return len(self.prompt) + len(self.answer)


class Batching:
    """How much goes through at once: ``tokens`` with padding, or one sample."""

    def __init__(self, tokens: int = _TOKENS) -> None:
        self.tokens = tokens

    def shrink(self) -> bool:
        """Halve ``tokens`` for all that follows; False, and nothing changed, where that would no longer help."""
        if self.tokens <= _FEWEST_TOKENS:
            return False
        self.tokens //= 2
        return True

    def each(self, samples: Sequence[Sample], work: Callable[[list[int]], None], *, light: int = 1) -> None:
        """Call ``work`` with the indices of one group of ``samples`` after another, all of them once.

        ``light`` times as many tokens go at once where the work keeps less. A group for which memory does not suffice
        comes again in smaller ones; raises MemoryError where one sample is too much.
        """
        left = list(range(len(samples)))
        while left:
            groups = batches([samples[index] for index in left], self.tokens * light)
            group = [left[place] for place in groups[0]]
            try:
                with memory_errors():
                    work(group)
            except MemoryError:
                if not self.shrink():
                    raise
            else:
                done = set(group)
                left = [index for index in left if index not in done]


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise MemoryError for what torch reports as an error like any other."""
    try:
        yield
    except RuntimeError as error:
        if any(words in str(error).lower() for words in _SHORT_OF_MEMORY):
            raise MemoryError(str(error)) from error
        raise


def batches(samples: Sequence[Sample], tokens: int) -> list[list[int]]:
    """Indices of ``samples`` in groups of like length, each at most ``tokens`` with padding (or one sample)."""
    order = sorted(range(len(samples)), key=lambda index: samples[index].length)
    groups: list[list[int]] = []
    for index in order:
        if groups and samples[index].length * (len(groups[-1]) + 1) <= tokens:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups
