"""The whole run: select → insight → fabricate → read → align → refine → measure → export.

Goes in: a `Job`. Comes out: events (`Progress`, `PairMade`, …) as they happen, and `Learned` at the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calibrate.align import align
from calibrate.export import export
from calibrate.fabricate import ANSWER_TOKENS, drafts, fabricate
from calibrate.full_model import FullModel, Sample
from calibrate.insight import personal_insight
from calibrate.measure import SCALES, TOLERANCE, Change, change, choose_scale, engine_change, likeness
from calibrate.messages import (
    InsightWritten,
    Job,
    JobPassage,
    Learned,
    Notice,
    PairMade,
)
from calibrate.progress import Clock
from calibrate.quantised import Quantised
from calibrate.queries import Queries, Query
from calibrate.read import read
from calibrate.references import reference_passages
from calibrate.refine import Interrupted, Tuned, Tuning, tune
from calibrate.select import Split, evenly, representative, split
from calibrate.text import Rarity
from engine.voicefile import Provenance, Vector


@dataclass(frozen=True)
class Plan:
    """What a budget buys: passages tuned on (each a history pair), insight pairs, pairs read for the
    directions, passes at most, and how many passages each measurement looks at."""

    pairs: int
    insight_pairs: int
    read: int
    passes: int
    validation: int
    held_out: int
    others: int

    def to_score(self, validation: int) -> int:
        """Passages scored in all while measuring."""
        return (1 + len(SCALES)) * validation + 2 * (self.held_out + self.others + ENGINE_CHECKS)


PLANS = {
    "fast": Plan(pairs=64, insight_pairs=4, read=24, passes=2, validation=12, held_out=24, others=16),
    "normal": Plan(pairs=160, insight_pairs=12, read=48, passes=4, validation=20, held_out=40, others=32),
    "thorough": Plan(pairs=480, insight_pairs=32, read=96, passes=8, validation=32, held_out=80, others=64),
}
FEWEST_PASSAGES = 3
ENGINE_CHECKS = 6


class DisagreementError(ValueError):
    """The engine's model does not do under the voice what the full-precision model did."""


class TooLittleError(ValueError):
    """The history is too small to learn from; the message says what is missing."""


class Run:
    """One run over one `Job`. ``send`` gets every event; ``should_stop`` is asked between steps."""

    def __init__(self, job: Job, send: Callable[[Any], None], should_stop: Callable[[], bool]) -> None:
        self._job = job
        self._send = send
        self._should_stop = should_stop
        self._plan = PLANS[job.settings.budget]
        self._clock = Clock({})

    def learn(self) -> Learned:
        """Do it all. Raises `TooLittleError`, `refine.Interrupted` (stopped on request), and what loading raises."""
        job, plan, seed = self._job, self._plan, self._job.settings.seed
        self._at("select", 0, 1)
        parts = self._select()
        chosen = representative(parts.train, plan.pairs)
        self._clock = _clock_for(plan, len(chosen))
        # The background that says which words carry content: nothing held out is in it.
        queries = Queries(Rarity(passage.text for passage in (*parts.train, *parts.validation)), seed)
        model = Quantised(Path(job.model_path))
        pairs = self._fabricate(model, chosen, queries)

        ends = {document.passages[-1].id for document in job.documents if document.passages}
        tuning = [self._sample(model, queries.of(each.text), ends=each.id in ends) for each in chosen]
        validation = [
            self._sample(model, queries.of(each.text)) for each in evenly(parts.validation, plan.validation)
        ]
        full = self._load_weights()
        tuned = self._refine(model, full, pairs, tuning, validation)
        self._scored, self._to_score = 0, plan.to_score(len(validation))
        scale, by_scale = choose_scale(full, validation, tuned.edit, self._count_scored)
        edit: Vector = (tuned.edit * scale).numpy().astype(np.float32)
        own, others, words = self._measure(model, full, queries, parts, torch.from_numpy(edit))
        found = likeness(own, others, words)
        self._check_engine(model, queries, parts, edit, own)

        self._at("export", 0, 1)
        provenance = Provenance(
            voice=job.voice,
            model_name=model.name,
            model_sha256=model.sha256,
            method="refined control vectors",
            settings=json.dumps(vars(job.settings)),
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            pairs=len(pairs),
            strength=1.0,
            own=found.own,
            others=found.others,
        )
        path = export(Path(job.output_dir), model.architecture, edit, provenance)
        model.close()
        self._at("export", 1, 1)
        seconds = self._clock.finish()
        return Learned(
            pairs=len(pairs),
            seconds=round(seconds, 1),
            strength=1.0,
            likeness=found,
            files={"control_vector": str(path)},
            report={
                "seconds_by_stage": json.dumps(self._clock.seconds_by_stage),
                "validation_by_pass": json.dumps([round(value, 4) for value in tuned.curve]),
                "validation_by_scale": json.dumps(
                    {str(key): round(value, 4) for key, value in by_scale.items()}
                ),
                "scale": json.dumps(scale),
                "engine_minus_full_precision": json.dumps(round(self._engine_gap, 4)),
                "separation_by_layer": json.dumps(self._separation),
                "passages": json.dumps(
                    {
                        "train": len(parts.train),
                        "validation": len(parts.validation),
                        "held_out": len(parts.held_out),
                    }
                ),
                "whole_documents_held_out": json.dumps(parts.whole_documents),
            },
        )

    def _select(self) -> Split:
        parts = split(self._job.documents)
        if min(len(parts.train), len(parts.validation), len(parts.held_out)) < 1:
            found = sum(len(document.passages) for document in self._job.documents)
            raise TooLittleError(
                f"There are only {found} passages of 25 words or more; learning needs at least "
                f"{FEWEST_PASSAGES}, one of them to measure on. Import more of your writing and learn again."
            )
        if not parts.whole_documents:
            self._send(
                Notice(
                    "There are fewer than five documents, so the likeness is measured on passages of the same "
                    "documents that were learnt from. It may be a little flattering."
                )
            )
        return parts

    def _fabricate(self, model: Quantised, chosen: Sequence[JobPassage], queries: Queries) -> list[PairMade]:
        seed = self._job.settings.seed
        self._at("insight", 0, 1)
        insight = personal_insight(model, [passage.text for passage in chosen], seed)
        self._send(InsightWritten(insight))
        self._check()
        wanted = drafts(chosen, queries.of, model, insight, self._plan.insight_pairs, seed)
        made = {pair.key: pair for pair in self._job.made}
        done = sum(draft.key in made for draft in wanted)
        self._at("fabricate", done, len(wanted))

        def on_pair(pair: PairMade) -> None:
            nonlocal done
            done += 1
            self._send(pair)
            self._at("fabricate", done, len(wanted))

        pairs = fabricate(model, wanted, made, seed, on_pair, self._should_stop)
        self._check()
        return pairs

    def _load_weights(self) -> FullModel:
        self._at("read", 0, 1)
        return FullModel.load(Path(self._job.weights_path))

    def _refine(
        self,
        model: Quantised,
        full: FullModel,
        pairs: Sequence[PairMade],
        tuning: Sequence[Sample],
        validation: Sequence[Sample],
    ) -> Tuned:
        shown = [pair for pair in pairs if pair.plain.strip()][: self._plan.read]
        own, plain = read(
            full,
            [model.sample(pair.query, pair.own) for pair in shown],
            [model.sample(pair.query, pair.plain) for pair in shown],
            lambda done, total: self._at("read", done, total),
            self._should_stop,
        )
        self._check()
        self._at("align", 0, 1)
        directions = align(own, plain)
        self._separation = [round(float(share), 2) for share in directions.separation]
        start = torch.from_numpy(directions.start)
        start[0] = 0
        tuned = tune(
            full,
            tuning,
            validation,
            start,
            Tuning(passes=self._plan.passes, seed=self._job.settings.seed),
            lambda done, total: self._at("refine", done, total),
            self._should_stop,
        )
        for note in tuned.notes:
            self._send(Notice(note))
        return tuned

    def _measure(
        self, model: Quantised, full: FullModel, queries: Queries, parts: Split, edit: Tensor
    ) -> tuple[Change, Change, int]:
        """The only place that reads the held-out share."""
        asked = [queries.of(each.text) for each in evenly(parts.held_out, self._plan.held_out)]
        writers = reference_passages()
        texts = [text for passages in writers.values() for text in passages]
        foreign = [queries.of(text) for text in evenly(texts, self._plan.others)]
        own = change(full, [self._sample(model, query) for query in asked], edit, self._count_scored)
        others = change(full, [self._sample(model, query) for query in foreign], edit, self._count_scored)
        return own, others, sum(len(query.answer.split()) for query in asked)

    def _check_engine(
        self, model: Quantised, queries: Queries, parts: Split, edit: Vector, own: Change
    ) -> None:
        """Repeat a part of the measurement through the engine; raises `DisagreementError` where the two differ."""
        held = evenly(parts.held_out, self._plan.held_out)
        places = evenly(range(len(held)), ENGINE_CHECKS)
        samples = [self._sample(model, queries.of(held[place].text)) for place in places]
        engine = engine_change(model.path, samples, edit, model.threads, self._count_scored)
        full = Change(own.tokens[places], own.plain[places], own.steered[places])
        self._engine_gap = engine.per_token - full.per_token
        if abs(self._engine_gap) > TOLERANCE:
            raise DisagreementError(
                f"The voice changes the model that writes by {engine.per_token:+.2f} nats per token, but the "
                f"weights it was learnt on by {full.per_token:+.2f}. {self._job.weights_path} and "
                f"{self._job.model_path} are probably not the same model; give the two that belong together."
            )

    def _count_scored(self, count: int) -> None:
        self._check()
        self._scored += count
        self._at("measure", min(self._scored, self._to_score), self._to_score)

    def _sample(self, model: Quantised, query: Query, *, ends: bool = False) -> Sample:
        return model.sample(query.text, query.answer, ends=ends)

    def _at(self, stage: str, done: int, total: int) -> None:
        self._send(self._clock.at(stage, done, total))

    def _check(self) -> None:
        if self._should_stop():
            raise Interrupted


def _clock_for(plan: Plan, pairs: int) -> Clock:
    """Expected seconds by stage on two slow cores; only their proportion matters."""
    read = min(plan.read, pairs)
    return Clock(
        {
            "select": 1.0,
            "insight": 4.0,
            "fabricate": (pairs + 2 * plan.insight_pairs) * ANSWER_TOKENS / 250,
            "read": 6.0 + 0.3 * read,
            "align": 1.0,
            "refine": plan.passes * (0.6 * pairs + 0.2 * plan.validation),
            "measure": 0.2 * plan.to_score(plan.validation) + 1.5 * ENGINE_CHECKS,
            "export": 0.2,
        }
    )
