"""llama.cpp as the engine uses it: weights, a context with its memory, a sampler. Nothing of conversations.

This module stands on the functions of ``llama.h`` that llama-cpp-python exposes one to one, rather than on its
``Llama`` class: that class cuts pieces of tokens at 32 bytes, refuses a model whose chat template is broken, and
knows one sequence only.

Goes in: a GGUF file, token ids, vectors to add, adapters. Comes out: token ids and logits. `NativeError` says what
llama.cpp refused, in its own words; a file it cannot load is an `EngineError`.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import EngineError
from engine.messages import Sampling
from engine.stopping import CALLBACK, StopFlag

# Threads that wait for each other spin for a moment before they sleep. With OpenMP's own idea of a moment a single
# other busy program brings two cores from 100 tokens a second to 2; with this one to 40, and alone it costs nothing.
# Read when the library is loaded, hence before the import.
os.environ.setdefault("GOMP_SPINCOUNT", "500")
# When it gives up, ggml would start a debugger to look at this process, and write what it finds into the log.
os.environ.setdefault("GGML_NO_BACKTRACE", "1")

import llama_cpp.llama_cpp as llama

Logits = NDArray[np.float32]

# Tokens in one computation. llama.cpp's own default; larger gains nothing on a processor.
BATCH = 512
_SUCCESS, _NO_ROOM, _ABORTED = 0, 1, 2
_PARSED_AS_SPECIAL = llama.LLAMA_TOKEN_ATTR_CONTROL | llama.LLAMA_TOKEN_ATTR_UNKNOWN
# The tokens a repeated token is compared with.
_REPEAT_WINDOW = 64
# ggml_log_level: from here on it is a warning or an error.
_WARNING, _ERROR = 3, 4


class NativeError(RuntimeError):
    """llama.cpp refused something it should have done; the message carries what it logged."""


_complaints: deque[str] = deque(maxlen=8)


@llama.llama_log_callback  # type: ignore[untyped-decorator]
def _listen(level: int, text: bytes, _data: object) -> None:
    if level in (_WARNING, _ERROR):
        _complaints.append(text.decode(errors="replace").strip())


llama.llama_log_set(_listen, ctypes.c_void_p(0))
llama.llama_backend_init()


def _last_complaint() -> str:
    return _complaints[-1] if _complaints else "no reason given"


class Weights:
    """A GGUF file in memory, and its vocabulary."""

    def __init__(self, path: Path) -> None:
        """Load ``path``. Raises EngineError with llama.cpp's reason when it is no model it can run."""
        _complaints.clear()
        parameters = llama.llama_model_default_params()
        parameters.n_gpu_layers = 0
        self.handle = llama.llama_model_load_from_file(os.fsencode(path), parameters)
        if not self.handle:
            raise EngineError(
                f"The model file {path} cannot be loaded: {'; '.join(_complaints) or 'no reason given'}. "
                "It may be damaged or of a kind this program does not know: get it again, or choose another."
            )
        self._vocabulary = llama.llama_model_get_vocab(self.handle)
        self.hidden_size = int(llama.llama_model_n_embd(self.handle))
        self.layer_count = int(llama.llama_model_n_layer(self.handle))
        self.trained_context = int(llama.llama_model_n_ctx_train(self.handle))
        self.token_count = int(llama.llama_vocab_n_tokens(self._vocabulary))

    def close(self) -> None:
        """Free it. Contexts made from it are closed before."""
        if self.handle:
            llama.llama_model_free(self.handle)
            self.handle = None

    def metadata(self, key: str) -> str | None:
        """A value of the file's header as text; None where the key is absent."""
        name = key.encode()
        size = llama.llama_model_meta_val_str(self.handle, name, None, 0)
        if size < 0:
            return None
        buffer = ctypes.create_string_buffer(size + 1)
        llama.llama_model_meta_val_str(self.handle, name, buffer, size + 1)
        return buffer.value.decode(errors="replace")

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """``text`` as tokens; with ``special``, the names of control tokens in it become these tokens."""
        raw = text.encode(errors="replace")
        room = len(raw) + 8  # never more tokens than bytes, but for a space put in front
        tokens = (llama.llama_token * room)()
        count = llama.llama_tokenize(self._vocabulary, raw, len(raw), tokens, room, False, special)
        if count < 0:
            raise NativeError(f"the text of {len(raw)} bytes could not be tokenised")
        return tokens[:count]

    def piece(self, token: int) -> bytes:
        """The bytes ``token`` stands for; nothing for a control token."""
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            written = llama.llama_token_to_piece(self._vocabulary, token, buffer, size, 0, False)
            if written >= 0:
                return buffer.raw[:written]
            size = -written

    def name_of(self, token: int) -> str:
        """How the vocabulary writes ``token``; empty for none (-1)."""
        return (
            "" if token < 0 else llama.llama_vocab_get_text(self._vocabulary, token).decode(errors="replace")
        )

    def is_special(self, token: int) -> bool:
        """Whether ``token`` is one that text must not be able to spell."""
        return bool(llama.llama_vocab_get_attr(self._vocabulary, token) & _PARSED_AS_SPECIAL)

    def ends(self, token: int) -> bool:
        """Whether ``token`` ends an answer."""
        return bool(llama.llama_vocab_is_eog(self._vocabulary, token))

    def grammar(self, rules: str) -> llama.llama_sampler_p:
        """A sampler that lets through what ``rules`` (GBNF, from "root" on) allow. Raises NativeError when they are
        none."""
        made: llama.llama_sampler_p = llama.llama_sampler_init_grammar(
            self._vocabulary, rules.encode(), b"root"
        )
        if not made:
            raise NativeError(f"the grammar was refused: {_last_complaint()}")
        return made

    @property
    def begin(self) -> int:
        """The token texts begin with; -1 for none."""
        return int(llama.llama_vocab_bos(self._vocabulary))

    @property
    def end(self) -> int:
        """The token texts end with; -1 for none."""
        return int(llama.llama_vocab_eos(self._vocabulary))

    @property
    def begins_texts(self) -> bool:
        """Whether the model was trained with `begin` in front of every text."""
        return bool(llama.llama_vocab_get_add_bos(self._vocabulary))


class Adapter:
    """A low-rank edit of the weights, in memory; `Context.adapt` puts it in force."""

    def __init__(self, weights: Weights, path: Path) -> None:
        """Load ``path``, a file that `engine.adapterfile` has found sound.

        Raises EngineError with llama.cpp's reason when it does not fit ``weights``.
        """
        _complaints.clear()
        self._weights = weights
        self.handle = llama.llama_adapter_lora_init(weights.handle, os.fsencode(path))
        if not self.handle:
            raise EngineError(
                f"The voice file {path} cannot be used with this model: {_last_complaint()}. "
                "Choose the model it was made for, or learn the voice again."
            )

    def close(self) -> None:
        """Free it. No context has it in force any more; closing the weights has freed it already."""
        if self.handle and self._weights.handle:
            llama.llama_adapter_lora_free(self.handle)
        self.handle = None


class Context:
    """Memory for ``sequences`` texts of ``tokens`` tokens each, and the computation on them.

    A computation is filled with `add` and done with `run`; then `logits` and `Sampler.draw` read it. Not for
    several threads at once.
    """

    def __init__(self, weights: Weights, tokens: int, *, threads: int, sequences: int = 1) -> None:
        """Raises EngineError when there is not enough memory."""
        _complaints.clear()
        self._weights = weights
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = tokens * sequences
        parameters.n_batch = parameters.n_ubatch = BATCH
        parameters.n_seq_max = sequences
        # Each sequence in memory of its own: what is computed of one does not depend on the others.
        parameters.kv_unified = False
        parameters.n_threads = parameters.n_threads_batch = threads
        # Flash attention is no faster on a processor, and its results depend on how a text is cut into computations;
        # without it they do not, as long as each has two tokens or more.
        parameters.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
        parameters.no_perf = True
        self.handle = llama.llama_init_from_model(weights.handle, parameters)
        if not self.handle:
            raise EngineError(
                f"There is not enough memory for {tokens * sequences} tokens of conversation with this model "
                f"({_last_complaint()}). Close other programs, or choose a smaller model."
            )
        self._memory = llama.llama_get_memory(self.handle)
        self._batch = llama.llama_batch_init(BATCH, 0, 1)
        self._flag: StopFlag | None = None

    def close(self) -> None:
        """Free it."""
        if self.handle:
            llama.llama_batch_free(self._batch)
            llama.llama_free(self.handle)
            self.handle = None

    def obey(self, flag: StopFlag | None) -> None:
        """From now on computations stop when ``flag`` is set."""
        callback = llama.ggml_abort_callback(CALLBACK if flag is not None else 0)
        llama.llama_set_abort_callback(self.handle, callback, flag.address if flag is not None else None)
        self._flag = flag  # kept alive as long as llama.cpp may look at it

    def steer(self, vectors: NDArray[np.float32] | None) -> None:
        """Add ``vectors`` (layers - 1, hidden; first row: block 1) to the blocks' outputs; None: nothing."""
        if vectors is None:
            refused = llama.llama_set_adapter_cvec(self.handle, None, 0, 0, 0, 0)
        else:
            rows, width = vectors.shape
            data = np.ascontiguousarray(vectors, dtype=np.float32)
            pointer = data.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
            refused = llama.llama_set_adapter_cvec(self.handle, pointer, data.size, width, 1, rows)
        if refused:
            raise NativeError(f"the control vector was refused: {_last_complaint()}")

    def adapt(self, adapters: Sequence[tuple[Adapter, float]] = ()) -> None:
        """Compute with the weights as ``adapters`` edit them, each as often as it says; none: as they are."""
        count = len(adapters)
        handles = (llama.llama_adapter_lora_p_ctypes * count)(
            *(ctypes.cast(adapter.handle, llama.llama_adapter_lora_p_ctypes) for adapter, _ in adapters)
        )
        scales = (ctypes.c_float * count)(*(scale for _, scale in adapters))
        if llama.llama_set_adapters_lora(
            self.handle, handles if count else None, count, scales if count else None
        ):
            raise NativeError(f"the adapter was refused: {_last_complaint()}")

    def add(self, tokens: Sequence[int], position: int, sequence: int = 0, *, scored: bool = False) -> int:
        """Put ``tokens`` into the next computation, from ``position`` on in ``sequence``.

        Returns the index of the last of them there, whose logits are computed; with ``scored``, those of all
        are.
        """
        batch = self._batch
        first = batch.n_tokens
        for index, token in enumerate(tokens, first):
            batch.token[index] = token
            batch.pos[index] = position + index - first
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = sequence
            batch.logits[index] = scored
        batch.n_tokens = first + len(tokens)
        batch.logits[batch.n_tokens - 1] = True
        return int(batch.n_tokens) - 1

    @property
    def room(self) -> int:
        """How many more tokens the next computation takes."""
        return BATCH - int(self._batch.n_tokens)

    def run(self) -> bool:
        """Compute what was added. False when the flag stopped it; the memory is then as it was before."""
        batch = self._batch
        result = llama.llama_decode(self.handle, batch)
        starts: dict[int, int] = {}
        for index in range(batch.n_tokens):
            starts.setdefault(batch.seq_id[index][0], batch.pos[index])
        batch.n_tokens = 0
        if result == _SUCCESS:
            return True
        for sequence, position in starts.items():
            self.forget(sequence, position)
        if result == _ABORTED:
            return False
        reason = "no room left in the context" if result == _NO_ROOM else _last_complaint()
        raise NativeError(f"llama.cpp could not compute ({result}): {reason}")

    def forget(self, sequence: int = 0, position: int = 0) -> bool:
        """Drop ``sequence`` from ``position`` on. False where this kind of model can only forget everything."""
        return bool(llama.llama_memory_seq_rm(self._memory, sequence, position, -1))

    def clear(self) -> None:
        """Forget everything."""
        llama.llama_memory_clear(self._memory, True)

    def state_size(self, sequence: int = 0) -> int:
        """Bytes that `state` takes."""
        return int(llama.llama_state_seq_get_size(self.handle, sequence))

    def state(self, sequence: int = 0) -> NDArray[np.uint8]:
        """A copy of all that was computed of ``sequence``, for `restore`."""
        copy = np.empty(self.state_size(sequence), np.uint8)
        pointer = copy.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        written = llama.llama_state_seq_get_data(self.handle, pointer, copy.size, sequence)
        return copy[:written]

    def restore(self, state: NDArray[np.uint8], sequence: int = 0) -> bool:
        """Put a copy back in place of what ``sequence`` holds; False, and nothing held, where that failed."""
        self.forget(sequence)
        pointer = state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        if llama.llama_state_seq_set_data(self.handle, pointer, state.size, sequence):
            return True
        self.clear()
        return False

    def logits(self, index: int = -1) -> Logits:
        """A copy of the logits at ``index`` of the last computation: (vocabulary,)."""
        pointer = llama.llama_get_logits_ith(self.handle, index)
        return np.ctypeslib.as_array(pointer, shape=(self._weights.token_count,)).copy()


class Sampler:
    """Draws tokens of ``weights``' vocabulary as ``sampling`` says, repeatably by ``seed``."""

    def __init__(self, weights: Weights, sampling: Sampling, seed: int, grammar: str = "") -> None:
        """``grammar``: what the text shall be, in llama.cpp's GBNF. Raises NativeError when it is none."""
        self._chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        if grammar:
            self._then(weights.grammar(grammar))
        if sampling.repeat_penalty != 1.0:
            self._then(
                llama.llama_sampler_init_penalties(
                    weights.token_count, _REPEAT_WINDOW, sampling.repeat_penalty, 0.0, 0.0
                )
            )
        if sampling.temperature <= 0.0:
            self._then(llama.llama_sampler_init_greedy())
            return
        self._then(llama.llama_sampler_init_top_k(sampling.top_k))
        self._then(llama.llama_sampler_init_top_p(sampling.top_p, 1))
        self._then(llama.llama_sampler_init_min_p(sampling.min_p, 1))
        self._then(llama.llama_sampler_init_temp(sampling.temperature))
        self._then(llama.llama_sampler_init_dist(seed % llama.LLAMA_DEFAULT_SEED))

    def _then(self, step: llama.llama_sampler_p) -> None:
        llama.llama_sampler_chain_add(self._chain, step)

    def draw(self, context: Context, index: int = -1) -> int:
        """A token after what was computed at ``index``."""
        return int(llama.llama_sampler_sample(self._chain, context.handle, index))

    def close(self) -> None:
        """Free it."""
        if self._chain:
            llama.llama_sampler_free(self._chain)
            self._chain = None
