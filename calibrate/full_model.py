"""The full-precision model: read from a GGUF or a folder of safetensors, with an `Edit` on its blocks.

Goes in: token ids (from the engine's tokenizer, so that both see the same prompt). Comes out: hidden states
and negative log-likelihoods, differentiable with respect to the edit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from calibrate.batching import Batching, Sample
from calibrate.edit import Edit
from calibrate.rotary import follow_file

# Lengths are rounded up to this: the matrix library keeps a plan, and memory for it, for every shape it has met.
_LENGTH_STEP = 32


class WeightsError(ValueError):
    """The weights cannot be read; the message names the file and what to do."""


class FullModel:
    """A causal language model whose weights are frozen and whose blocks can be edited.

    ``layer_count`` blocks of width ``hidden_size``. While `steered` is in force, block n's MLP output gets
    ``writes[n] @ reads[n] @ x`` added, and its output ``vectors[n]``, exactly where llama.cpp adds them.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._blocks = model.model.layers
        self.layer_count = len(self._blocks)
        self.hidden_size = int(model.config.hidden_size)
        self.batching = Batching()
        self._edit: Edit | None = None
        self._kept: tuple[list[Tensor], list[Tensor]] | None = None
        for number, block in enumerate(self._blocks):
            block.mlp.register_forward_hook(self._mlp_hook(number))
            block.register_forward_hook(self._block_hook(number))

    @classmethod
    def load(cls, weights: Path) -> FullModel:
        """Read ``weights`` (a .gguf, dequantised, or a folder). Raises WeightsError naming the file."""
        from transformers import AutoModelForCausalLM, GgufConfig

        folder, where = weights, dict[str, Any]()
        if weights.is_file():
            folder = weights.parent
            # Said outright: with some optional packages installed the weights would stay packed.
            where = {"gguf_file": weights.name, "quantization_config": GgufConfig(dequantize=True)}
        try:
            model: Any = AutoModelForCausalLM.from_pretrained(
                str(folder),
                dtype=fastest_dtype(),
                local_files_only=True,
                **where,
            )
            # A folder may hold more than a language model (pictures, sound); such a one has its blocks elsewhere.
            if not hasattr(getattr(model, "model", None), "layers"):
                raise ValueError(f"{type(model).__name__} is not a model of language alone")
            if weights.is_file():
                follow_file(model, weights)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise WeightsError(f"The model's weights cannot be read from {weights}: {error}") from error
        model.eval().requires_grad_(False)
        return cls(model)

    @contextmanager
    def steered(self, edit: Edit | None) -> Iterator[None]:
        """Put ``edit`` in force inside the with statement."""
        before, self._edit = self._edit, edit
        try:
            yield
        finally:
            self._edit = before

    def mlp_matrix(self, layer: int) -> NDArray[np.float32]:
        """The matrix ``ffn_down`` of block ``layer``, whose product is the MLP output: (hidden, inner)."""
        found: NDArray[np.float32] = self._blocks[layer].mlp.down_proj.weight.detach().float().numpy()
        return found

    def answer_means(self, samples: Sequence[Sample]) -> tuple[Tensor, Tensor]:
        """(MLP output, residual output) of every block, averaged over each answer's tokens.

        Both (samples, layers, hidden), float32.
        """
        means = torch.zeros(2, len(samples), self.layer_count, self.hidden_size)

        def read(batch: list[int]) -> None:
            ids, answer = _padded([samples[index] for index in batch])
            weights = answer.float() / answer.sum(dim=1, keepdim=True)
            self._kept = ([], [])
            try:
                self._model.model(ids, use_cache=False)
                for place, kept in enumerate(self._kept):
                    stacked = torch.stack(kept, dim=1).float()  # (batch, layers, tokens, hidden)
                    means[place, batch] = torch.einsum("blth,bt->blh", stacked, weights)
            finally:
                self._kept = None

        with torch.no_grad():
            self.batching.each(samples, read, light=4)
        return means[0], means[1]

    def nll(self, samples: Sequence[Sample], head: int | None = None) -> Tensor:
        """Sum of the negative log-likelihood (nats) over each answer's tokens: (samples,).

        With ``head`` a second column holds the sum over the first ``head`` of them: (samples, 2). All samples
        go through in one forward pass; see `batches` for what fits.
        """
        ids, answer = _padded(samples)
        states = self._model.model(ids, use_cache=False).last_hidden_state
        # The state at position t predicts token t + 1; only those before an answer token need logits.
        predicts = answer[:, 1:]
        logits = self._logits(states[:, :-1][predicts])
        losses = functional.cross_entropy(logits, ids[:, 1:][predicts], reduction="none")
        rows = predicts.nonzero()[:, 0]
        sums = torch.zeros(len(samples)).index_add(0, rows, losses)
        if head is None:
            return sums
        early = torch.cat([torch.arange(len(sample.answer)) for sample in samples]) < head
        return torch.stack([sums, torch.zeros(len(samples)).index_add(0, rows[early], losses[early])], dim=1)

    def nlls(
        self,
        samples: Sequence[Sample],
        edit: Edit | None,
        on_samples: Callable[[int], None] = lambda count: None,
    ) -> NDArray[np.float64]:
        """`nll` of every sample under ``edit``, without gradient: (samples,). ``on_samples`` counts them."""
        found = np.zeros(len(samples))

        def score(batch: list[int]) -> None:
            found[batch] = self.nll([samples[index] for index in batch]).double().numpy()
            on_samples(len(batch))

        with torch.no_grad(), self.steered(edit):
            self.batching.each(samples, score)
        return found

    def _logits(self, states: Tensor) -> Tensor:
        """What the model makes of the last block's normed ``states``; its own pass would do it for the padding too."""
        logits: Tensor = self._model.lm_head(states).float()
        cap = getattr(self._model.config, "final_logit_softcapping", None)
        return logits if cap is None else torch.tanh(logits / cap) * cap

    def _mlp_hook(self, number: int) -> Any:
        def edit_output(_mlp: Any, _inputs: Any, output: Tensor) -> Tensor:
            edit = self._edit
            if edit is not None and edit.rank:
                reads, writes = edit.reads[number].to(output.dtype), edit.writes[number].to(output.dtype)
                output = output + output @ reads.T @ writes.T
            if self._kept is not None:
                self._kept[0].append(output)
            return output

        return edit_output

    def _block_hook(self, number: int) -> Any:
        def steer(_block: Any, _inputs: Any, output: Any) -> Any:
            states = output[0] if isinstance(output, tuple) else output
            if self._edit is not None and number > 0:
                states = states + self._edit.vectors[number].to(states.dtype)
            if self._kept is not None:
                self._kept[1].append(states)
            return (states, *output[1:]) if isinstance(output, tuple) else states

        return steer


def fastest_dtype() -> torch.dtype:
    """float32, or bfloat16 where this processor multiplies it clearly faster (it has the instructions).

    The tuned vectors stay float32; the difference in held-out likelihood is below the third decimal.
    """
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        left, right = torch.ones(256, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
        best = float("inf")
        for _ in range(4):
            start = time.perf_counter()
            for _ in range(4):
                left @ right
            best = min(best, time.perf_counter() - start)
        seconds[dtype] = best
    return torch.bfloat16 if seconds[torch.bfloat16] * 1.3 < seconds[torch.float32] else torch.float32


def _padded(samples: Sequence[Sample]) -> tuple[Tensor, Tensor]:
    """(ids, is-answer mask), each (samples, longest), padded on the right to a multiple of `_LENGTH_STEP`.

    No attention mask is needed: a token sees only those before it, and the padding comes after all of them.
    """
    longest = -(-max(sample.length for sample in samples) // _LENGTH_STEP) * _LENGTH_STEP
    ids = torch.zeros(len(samples), longest, dtype=torch.long)
    answer = torch.zeros(len(samples), longest, dtype=torch.bool)
    for row, sample in enumerate(samples):
        ids[row, : sample.length] = torch.tensor(sample.prompt + sample.answer)
        answer[row, len(sample.prompt) : sample.length] = True
    return ids, answer
