"""How likely the model, plain or steered, finds a given answer: the measure behind likeness.

Goes in: prompt and answer as token ids, additive vectors and an adapter file. Comes out: negative log-likelihood in
nats.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from engine.adapterfile import read_low_rank_edit
from engine.native import Adapter, Context, Logits, Weights
from engine.voicefile import Vector


class Scorer:
    """A model for scoring only: no sampling, no memory from one sample to the next."""

    def __init__(self, weights: Weights, tokens: int, threads: int) -> None:
        """``tokens``: of the longest sample, prompt and answer. Raises EngineError without the memory."""
        self._weights = weights
        self._context = Context(weights, tokens, threads=threads)
        self._adapter: Adapter | None = None

    def close(self) -> None:
        """Free the context and the adapter; the weights stay."""
        self._context.close()
        self._drop_adapter()

    def steer(self, edit: Vector | None, adapter: Path | None = None) -> None:
        """From now on add ``edit`` (layers, hidden) to the block outputs, and edit the weights by ``adapter``.

        None for both = the plain model. Row 0 of ``edit`` is ignored: llama.cpp cannot steer block 0.
        ``adapter`` is a file as `engine.adapterfile` writes it, in force with scale 1. Raises EngineError when it
        is none, or does not fit the model; then nothing has changed.
        """
        loaded = None
        if adapter is not None:
            read_low_rank_edit(adapter)  # llama.cpp is shown nothing that this does not let through
            loaded = Adapter(self._weights, adapter)
        self._context.steer(None if edit is None else edit[1:])
        self._context.adapt([(loaded, 1.0)] if loaded is not None else [])
        self._drop_adapter()
        self._adapter = loaded

    def _drop_adapter(self) -> None:
        if self._adapter is not None:
            self._adapter.close()
            self._adapter = None

    def logits(self, prompt: Sequence[int], answer: Sequence[int]) -> Logits:
        """The logits that predict each token of ``answer``: (answer tokens, vocabulary)."""
        context, tokens = self._context, [*prompt, *answer]
        rows: list[Logits] = []
        context.clear()
        done = 0
        while done < len(tokens) - 1:
            # What comes before the last prompt token predicts nothing that is asked for.
            scored = done >= len(prompt) - 1
            end = len(tokens) - 1 if scored else len(prompt) - 1
            part = tokens[done : min(end, done + context.room)]
            context.add(part, done, scored=scored)
            context.run()
            if scored:
                rows += [context.logits(index) for index in range(len(part))]
            done += len(part)
        return np.stack(rows)

    def nll(self, prompt: Sequence[int], answer: Sequence[int]) -> float:
        """−Σ log p(answer token | all before it), in nats."""
        logits = self.logits(prompt, answer)
        highest = logits.max(axis=1)
        chosen = logits[np.arange(len(answer)), np.asarray(answer)]
        np.exp(logits - highest[:, None], out=logits)
        return float((np.log(logits.sum(axis=1)) + highest - chosen).astype(np.float64).sum())


@contextmanager
def scoring(model_path: Path, tokens: int, threads: int) -> Iterator[Scorer]:
    """A `Scorer` of the model in ``model_path`` for the length of a with statement."""
    weights = Weights(model_path)
    try:
        scorer = Scorer(weights, tokens, threads)
        try:
            yield scorer
        finally:
            scorer.close()
    finally:
        weights.close()
