"""Step 1, select: hold out the most recent documents, then choose the passages that represent the person.

Goes in: documents with passages, in order of time. Comes out: a `Split` of passages – train, validation, held
out – and from the training share the ``count`` most representative ones.

Representative selection follows CHAMELEON (arXiv 2503.01048, section 3.1): principal components of the
passage embeddings, and the passages nearest to the leading components. Embeddings here are hashed character
trigrams (they carry manner as well as matter, and need no model).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from calibrate.messages import JobDocument, JobPassage

HELD_OUT_SHARE = 0.20
VALIDATION_SHARE = 0.12
_BUCKETS = 2048
Item = TypeVar("Item")


@dataclass(frozen=True)
class Split:
    """Passages by use. No step before measure may see ``held_out``; refine and strength use ``validation``."""

    train: tuple[JobPassage, ...]
    validation: tuple[JobPassage, ...]
    held_out: tuple[JobPassage, ...]
    whole_documents: bool


def split(documents: Sequence[JobDocument]) -> Split:
    """Hold out the latest 20 % (by words) as whole documents, and 12 % spread over the rest for validation.

    A history of fewer than five documents is split by passages instead (``whole_documents`` False).
    """
    groups = [document.passages for document in documents if document.passages]
    whole = len(groups) >= 5
    if not whole:
        groups = [(passage,) for group in groups for passage in group]
    total = sum(_words(group) for group in groups)
    held: list[tuple[JobPassage, ...]] = []
    rest = list(groups)
    while len(rest) > 2 and sum(map(_words, held)) < HELD_OUT_SHARE * total:
        held.insert(0, rest.pop())
    validation: list[tuple[JobPassage, ...]] = []
    train: list[tuple[JobPassage, ...]] = []
    taken = seen = 0
    for group in rest:
        size = _words(group)
        seen += size
        # A document goes to validation whenever the share so far has fallen behind: spread over time.
        if taken + size / 2 < VALIDATION_SHARE * seen and train:
            validation.append(group)
            taken += size
        else:
            train.append(group)
    if not validation and len(train) > 1:
        validation.append(train.pop())
    return Split(_flat(train), _flat(validation), _flat(held), whole)


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Hashed character trigrams of ``texts``: (texts, 2048) float32, square-root counts, unit rows."""
    matrix = np.zeros((len(texts), _BUCKETS), dtype=np.float32)
    for row, text in enumerate(texts):
        flat = f" {' '.join(text.lower().split())} ".encode()
        for start in range(len(flat) - 2):
            matrix[row, zlib.crc32(flat[start : start + 3]) % _BUCKETS] += 1
    matrix = np.sqrt(matrix)
    unit: NDArray[np.float32] = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-9)
    return unit


def representative(passages: Sequence[JobPassage], count: int, components: int = 8) -> list[JobPassage]:
    """The ``count`` passages nearest to the leading principal components, those first that are nearest.

    The components take turns, so that no single side of the person's writing fills the selection. A single
    passage is its own representative.
    """
    if len(passages) <= 1:
        return list(passages)
    embedded = embed([passage.text for passage in passages])
    centred = embedded - embedded.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[: min(components, int((sizes > 1e-6).sum()) or 1)]
    lengths = np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    nearness = np.abs(centred / lengths @ axes.T)  # (passages, components)
    queues = [list(np.argsort(-nearness[:, axis], kind="stable")) for axis in range(nearness.shape[1])]
    chosen: dict[int, None] = {}
    while len(chosen) < min(count, len(passages)):
        for queue in queues:
            while queue and queue[0] in chosen:
                queue.pop(0)
            if queue:
                chosen[int(queue.pop(0))] = None
    return [passages[index] for index in list(chosen)[:count]]


def evenly(items: Sequence[Item], count: int) -> list[Item]:
    """``count`` of ``items``, evenly spaced (all of them where there are fewer)."""
    if len(items) <= count:
        return list(items)
    return [items[int(position)] for position in np.linspace(0, len(items) - 1, count)]


def _words(group: Sequence[JobPassage]) -> int:
    return sum(len(passage.text.split()) for passage in group)


def _flat(groups: Sequence[Sequence[JobPassage]]) -> tuple[JobPassage, ...]:
    return tuple(passage for group in groups for passage in group)
