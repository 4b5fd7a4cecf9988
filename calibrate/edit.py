"""The edit: what is done to the hidden states of every block while the model writes.

With x the MLP output of block n and y the block's output (the residual stream):

    x ← x + B_n A_n x        low-rank, rank r; the form of CHAMELEON's projection edit (arXiv 2503.01048, rank 2)
    y ← y + v_n              additive, a control vector; for n ≥ 1, since llama.cpp cannot steer block 0

An edit scales linearly: strength s stands for s·B and s·v.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Edit:
    """``vectors`` v (layers, hidden); ``reads`` A (layers, rank, hidden); ``writes`` B (layers, hidden, rank).

    All float32. Rank 0 is a control vector alone. Row 0 of ``vectors`` is ignored.
    """

    vectors: Tensor
    reads: Tensor
    writes: Tensor

    @classmethod
    def nothing(cls, layers: int, hidden: int, rank: int = 0) -> Edit:
        """The edit that changes nothing."""
        return cls(
            torch.zeros(layers, hidden), torch.zeros(layers, rank, hidden), torch.zeros(layers, hidden, rank)
        )

    @classmethod
    def additive(cls, vectors: Tensor) -> Edit:
        """A control vector alone; ``vectors`` (layers, hidden)."""
        return replace(cls.nothing(*vectors.shape), vectors=vectors.float())

    @property
    def rank(self) -> int:
        """r, the same for every block."""
        return int(self.reads.shape[1])

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """What can be tuned: vectors, reads, writes."""
        return self.vectors, self.reads, self.writes

    def __mul__(self, strength: float) -> Edit:
        """The edit at ``strength``."""
        return Edit(self.vectors * strength, self.reads, self.writes * strength)

    def detached(self) -> Edit:
        """A copy that is not tuned further."""
        return Edit(*(tensor.detach().clone() for tensor in self.tensors))

    def is_nothing(self) -> bool:
        """Whether it changes nothing at all."""
        return not (bool(self.vectors[1:].any()) or bool(self.writes.any()))
