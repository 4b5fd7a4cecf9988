"""How likely the model, plain or steered, finds a given answer: the measure behind likeness.

Goes in: prompt and answer as token ids, and additive vectors. Comes out: negative log-likelihood in nats.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from engine.voicefile import Vector


class ScoreError(RuntimeError):
    """llama.cpp could not load the model or run a sample through it."""


class Scorer:
    """A model loaded for scoring only: one context, no sampling. Use as a context manager."""

    def __init__(self, model_path: Path, context_tokens: int, threads: int) -> None:
        """Load ``model_path``. Raises ScoreError where llama.cpp refuses it."""
        llama_cpp.llama_backend_init()
        model = llama_cpp.llama_model_load_from_file(
            str(model_path).encode(), llama_cpp.llama_model_default_params()
        )
        if not model:
            raise ScoreError(f"The model {model_path} could not be loaded.")
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = context_tokens
        parameters.n_threads = parameters.n_threads_batch = threads
        context = llama_cpp.llama_init_from_model(model, parameters)
        if not context:
            llama_cpp.llama_model_free(model)
            raise ScoreError(f"There is not enough memory to run {model_path}.")
        self._model, self._context = model, context
        self._context_tokens = context_tokens
        self.layer_count = int(llama_cpp.llama_model_n_layer(model))
        self.hidden_size = int(llama_cpp.llama_model_n_embd(model))
        self._vocabulary_size = int(llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model)))

    def __enter__(self) -> Scorer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the model; further use is an error."""
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)

    def steer(self, edit: Vector | None) -> None:
        """Add ``edit`` (layers, hidden) to the block outputs from now on; None = the plain model.

        Row 0 is ignored: llama.cpp cannot steer block 0.
        """
        if edit is None:
            pointer, length = None, 0
        else:
            flat = np.ascontiguousarray(edit[1:], dtype=np.float32).reshape(-1)
            pointer, length = flat.ctypes.data_as(ctypes.POINTER(ctypes.c_float)), flat.size
        failed = llama_cpp.llama_set_adapter_cvec(
            self._context, pointer, length, self.hidden_size, 1, self.layer_count
        )
        if failed:
            raise ScoreError("llama.cpp refused the control vector.")

    def logits(self, prompt: Sequence[int], answer: Sequence[int]) -> NDArray[np.float32]:
        """The logits that predict each token of ``answer``: (answer tokens, vocabulary)."""
        tokens = [*prompt, *answer]
        if not prompt or len(tokens) > self._context_tokens:
            raise ScoreError(f"{len(tokens)} tokens do not fit a context of {self._context_tokens}.")
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
        batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
        try:
            batch.n_tokens = len(tokens)
            first = len(prompt) - 1
            for position, token in enumerate(tokens):
                batch.token[position] = token
                batch.pos[position] = position
                batch.n_seq_id[position] = 1
                batch.seq_id[position][0] = 0
                batch.logits[position] = first <= position < len(tokens) - 1
            if llama_cpp.llama_decode(self._context, batch) != 0:
                raise ScoreError("llama.cpp failed to run a sample.")
            pointer = llama_cpp.llama_get_logits(self._context)
            rows = np.ctypeslib.as_array(pointer, shape=(len(answer), self._vocabulary_size))
            return rows.copy()
        finally:
            llama_cpp.llama_batch_free(batch)

    def nll(self, prompt: Sequence[int], answer: Sequence[int]) -> float:
        """−Σ log p(answer token | all before it), in nats."""
        logits = self.logits(prompt, answer)
        highest = logits.max(axis=1)
        chosen = logits[np.arange(len(answer)), np.asarray(answer)]
        np.exp(logits - highest[:, None], out=logits)
        return float((np.log(logits.sum(axis=1)) + highest - chosen).astype(np.float64).sum())
