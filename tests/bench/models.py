"""Both forms of the model, as the measuring process uses them: the engine's writes, the full-precision one scores.

Goes in: `Artefact`s. Comes out: answers as text, samples as token ids, negative log-likelihoods in nats.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from calibrate.batching import Sample
from calibrate.edit import Edit
from calibrate.full_model import FullModel
from engine.adapterfile import read_low_rank_edit
from engine.batch import answer_many
from engine.messages import ChatTurn, Sampling, VoiceUse
from engine.model import Model
from engine.voicefile import read_control_vector
from tests.bench.artefact import Artefact

_CONTEXT_TOKENS = 4096
# How far the edit read from a file may be from the one that was written, as a share of its size. The matrix it is
# read through may have been rounded to bfloat16 on one side (a share of 0.004).
_ROUNDING = 0.02
# Eigenvalues of W Wᵀ below this share of the largest are zero but for rounding.
_RANK = 1e-9


class Models:
    """The GGUF at ``path``, and the full-precision weights at ``weights``."""

    def __init__(self, path: Path, weights: Path) -> None:
        """Load both. Raises EngineError or `calibrate.full_model.WeightsError` naming the file."""
        self.engine = Model.load(path, _CONTEXT_TOKENS)
        self.full = FullModel.load(weights)

    def close(self) -> None:
        """Free the engine's model."""
        self.engine.close()

    def prompt(self, turns: Sequence[ChatTurn], answer_tokens: int = 0) -> tuple[int, ...]:
        """The tokens that ask for an answer to ``turns``."""
        return tuple(self.engine.chat.prompt(turns, _CONTEXT_TOKENS, answer_tokens).tokens)

    def sample(self, turns: Sequence[ChatTurn], answer: str) -> Sample:
        """``answer`` after ``turns``, to be scored; the same tokens as in learning."""
        tokens = tuple(self.engine.weights.tokenize(answer))
        return Sample(self.prompt(turns, len(tokens)), tokens)

    def answers(
        self, asked: Sequence[Sequence[ChatTurn]], voice: VoiceUse | None, max_tokens: int, seed: int
    ) -> list[str]:
        """What the quantised model writes, in ``voice``, at temperature 0.7 and the engine's other defaults."""
        texts = [""] * len(asked)
        answer_many(
            self.engine,
            asked,
            Sampling(temperature=0.7, max_tokens=max_tokens),
            seed,
            lambda number, text: texts.__setitem__(number, text.strip()),
            lambda: False,
            steering=self.engine.voices.steering(voice),
        )
        return texts

    def edit(self, artefact: Artefact) -> Edit | None:
        """The edit in the artefact's files at the strength recommended; None where it has none."""
        if artefact.voice() is None:
            return None
        edit = edit_in_files(artefact.control_vector, artefact.adapter, self.full)
        return edit * artefact.strength


def edit_in_files(control_vector: str, adapter: str, full: FullModel) -> Edit:
    """What `calibrate.export` wrote, as an edit of ``full``; "" for a file that there is not.

    The adapter holds A′ = A W, W (hidden, inner) the block's ffn_down, and A is what the edit reads with: A′ W⁺, with
    W⁺ = Wᵀ (W Wᵀ)⁺, which does to every MLP output W h what A does. Raises ValueError where A′ is no A W.
    """
    layers, hidden = full.layer_count, full.hidden_size
    vectors = torch.zeros(layers, hidden)
    if control_vector:
        for layer, row in read_control_vector(Path(control_vector)).directions.items():
            vectors[layer] = torch.from_numpy(row.copy())
    if not adapter:
        return Edit.additive(vectors)
    found = read_low_rank_edit(Path(adapter))
    edit = Edit.nothing(layers, hidden, found.rank)
    for layer, (reads, writes) in found.layers.items():
        edit.reads[layer] = torch.from_numpy(_unfolded(reads, full.mlp_matrix(layer)))
        edit.writes[layer] = torch.from_numpy(writes.copy())
    return Edit(vectors, edit.reads, edit.writes)


def _unfolded(folded: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """A (rank, hidden) from A′ (rank, inner) and W (hidden, inner)."""
    exact = matrix.astype(np.float64)
    found = folded @ exact.T @ np.linalg.pinv(exact @ exact.T, rcond=_RANK, hermitian=True)
    if np.linalg.norm(found @ exact - folded) > _ROUNDING * np.linalg.norm(folded):
        raise ValueError("the adapter was not made through this model's ffn_down")
    return found.astype(np.float32)
