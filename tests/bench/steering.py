"""Methods that steer the model along directions found in pairs of answers, used as they are found.

- mean difference: mean(own) - mean(plain) of the residual stream, added to the middle third of the blocks
  (StyleVector, arXiv 2503.05213), on history pairs; the scale is the best on validation.
- PCA of differences: the first principal component of own - plain instead (repeng, github.com/vgel/repeng).
- CHAMELEON (arXiv 2503.01048): on the MLP output, θp by uncentred SVD is added and θn by CCS removed, in the blocks of
  lowest CCS loss, on insight pairs, which the model made both sides of. The paper edits at full strength; how many
  blocks it edits depends on the model, here five. The chosen variant takes both from validation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from calibrate.align import Array, align, mean_difference, principal_difference
from calibrate.batching import Sample
from calibrate.edit import Edit
from calibrate.export import export
from calibrate.fabricate import drafts, fabricate
from calibrate.full_model import FullModel
from calibrate.insight import personal_insight
from calibrate.measure import change
from calibrate.messages import PairMade
from calibrate.projection import projection_edit
from calibrate.quantised import Quantised
from calibrate.read import Readings, read
from calibrate.select import evenly, representative
from engine.container import Provenance
from tests.bench.artefact import Artefact, plain
from tests.bench.lesson import Lesson, NotEnoughError

SCALES = (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
LAYERS = 5
LAYER_COUNTS = (1, 2, 5, 10)
ALPHAS = (0.1, 0.2, 0.3, 0.5, 1.0)
Candidates = Iterator[tuple[str, Edit]]


@dataclass(frozen=True)
class Additive:
    """``direction`` of (own, plain) residual outputs, each (pairs, layers, hidden), gives (layers, hidden)."""

    name: str
    title: str
    direction: Callable[[Array, Array], Array]

    def learn(self, lesson: Lesson) -> Artefact:
        """The control vector at the scale that is best on validation."""
        with _Workshop(lesson) as shop:
            readings = shop.readings("history")
            vectors = torch.from_numpy(self.direction(readings.own.residual, readings.plain.residual).copy())
            count = shop.full.layer_count
            vectors[: count // 3] = 0
            vectors[2 * count // 3 :] = 0
            best = shop.best((f"scale {scale}", Edit.additive(vectors * scale)) for scale in SCALES)
            return shop.exported(*best, self.title)


@dataclass(frozen=True)
class Chameleon:
    """The projection edit from pairs of ``source``; as the paper has it, or with its settings ``chosen``."""

    name: str
    title: str
    source: str = "insight"
    chosen: bool = False

    def learn(self, lesson: Lesson) -> Artefact:
        """The edit of the MLP output."""
        with _Workshop(lesson) as shop:
            readings = shop.readings(self.source)
            directions = align(readings.own.mlp, readings.plain.mlp, lesson.seed)
            order = [int(layer) for layer in directions.ranking]

            def edits(counts: tuple[int, ...], alphas: tuple[float, ...]) -> Candidates:
                for count in counts:
                    for alpha in alphas:
                        reads, writes = projection_edit(directions, order[:count], alpha)
                        zero = torch.zeros(directions.theta_p.shape)
                        edit = Edit(zero, torch.from_numpy(reads), torch.from_numpy(writes))
                        yield f"layers {order[:count]}, alpha {alpha}", edit

            if self.chosen:
                return shop.exported(*shop.best(edits(LAYER_COUNTS, ALPHAS)), self.title)
            return shop.exported(*next(edits((LAYERS,), (1.0,))), self.title)


class _Workshop:
    """Both models, and the steps these methods share. Closes the engine's model at the end."""

    def __init__(self, lesson: Lesson) -> None:
        self._lesson = lesson
        self._model = Quantised(Path(lesson.job.model_path))
        self.full = FullModel.load(Path(lesson.job.weights_path))
        self._pairs = 0
        self._tried: dict[str, float] = {}

    def __enter__(self) -> _Workshop:
        return self

    def __exit__(self, *_error: object) -> None:
        self._model.close()

    def readings(self, source: str) -> Readings:
        """Fabricate the pairs of ``source`` and read what the blocks hold over their answers."""
        pairs = [pair for pair in self._fabricated(source) if pair.own.strip() and pair.plain.strip()]
        if not pairs:
            raise NotEnoughError("the model wrote nothing to compare with")
        self._pairs = len(pairs)
        own, other = (
            [self._model.sample(pair.query, text) for pair, text in zip(pairs, side, strict=True)]
            for side in ([pair.own for pair in pairs], [pair.plain for pair in pairs])
        )
        return read(self.full, own, other, lambda done, total: None, lambda: False)

    def best(self, candidates: Candidates) -> tuple[str, Edit]:
        """The candidate of lowest negative log-likelihood on validation, its name first."""
        samples = self._validation()
        if not samples:
            raise NotEnoughError("there is no passage to choose its settings by")
        unedited = self.full.nlls(samples, None)
        best, lowest = None, np.inf
        for name, edit in candidates:
            found = change(self.full, samples, edit, lambda count: None, unedited).per_token
            self._tried[name] = round(found, 4)
            if best is None or found < lowest:
                best, lowest = (name, edit), found
        assert best is not None  # the candidates are a fixed list
        return best

    def exported(self, name: str, edit: Edit, title: str) -> Artefact:
        """``edit`` as the files the engine loads."""
        provenance = Provenance(
            voice=self._lesson.job.voice,
            model_name=self._model.name,
            model_sha256=self._model.sha256,
            method=title,
            settings=name,
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            pairs=self._pairs,
            strength=1.0,
            own=None,
            others=None,
        )
        files = export(self._lesson.folder, self._model.architecture, self.full, edit, provenance).by_kind
        notes = {"pairs": str(self._pairs), "settings": name}
        if self._tried:
            notes["validation"] = json.dumps(self._tried)
        return Artefact(
            plain().system,
            control_vector=files.get("control_vector", ""),
            adapter=files.get("adapter", ""),
            notes=notes,
        )

    def _fabricated(self, source: str) -> list[PairMade]:
        lesson = self._lesson
        chosen = representative(lesson.train, lesson.plan.passages)[: lesson.plan.pairs]
        insight = ""
        if source == "insight":
            insight = personal_insight(self._model, [passage.text for passage in chosen], lesson.seed)
        wanted = drafts(chosen, lesson.queries.of, self._model, insight, len(chosen), lesson.seed)
        wanted = [draft for draft in wanted if draft.source == source]
        return fabricate(self._model, wanted, {}, lesson.seed, lambda pair: None, lambda: False)

    def _validation(self) -> list[Sample]:
        queries = map(
            self._lesson.queries.of,
            (each.text for each in evenly(self._lesson.validation, self._lesson.plan.validation)),
        )
        return [self._model.sample(query.text, query.answer) for query in queries]


MEAN_DIFFERENCE = Additive("mean-difference", "mean difference (StyleVector)", mean_difference)
PRINCIPAL = Additive("pca", "PCA of differences (repeng)", principal_difference)
CHAMELEON = Chameleon("chameleon", "CHAMELEON, full strength")
CHAMELEON_CHOSEN = Chameleon("chameleon-chosen", "CHAMELEON, settings by validation", chosen=True)
CHAMELEON_HISTORY = Chameleon(
    "chameleon-history", "CHAMELEON on history pairs, settings by validation", "history", chosen=True
)
