"""The whole run: select → insight → fabricate → read → align → refine → measure → export.

Goes in: a `Job`. Comes out: events (`Progress`, `PairMade`, …) as they happen, and `Learned` at the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from calibrate.align import align
from calibrate.batching import Sample
from calibrate.edit import Edit
from calibrate.export import VoiceFiles, export
from calibrate.fabricate import drafts, fabricate
from calibrate.full_model import FullModel
from calibrate.insight import personal_insight
from calibrate.measure import (
    TOLERANCE,
    WEIGHTS_TOLERANCE,
    Change,
    change,
    choose_scale,
    engine_change,
    likeness,
    weights_gap,
)
from calibrate.messages import InsightWritten, Job, JobPassage, Learned, Likeness, Notice, PairMade
from calibrate.plan import ENGINE_CHECKS, PLANS
from calibrate.progress import Clock
from calibrate.quantised import Quantised
from calibrate.queries import Queries, Query
from calibrate.read import read
from calibrate.references import reference_passages
from calibrate.refine import Interrupted, Tuned, Tuning, starting_edit, tune
from calibrate.select import Split, evenly, representative, split
from calibrate.text import Rarity
from engine.voicefile import Provenance

FEWEST_PASSAGES = 3
# Samples on which the two models are compared before any of the slow work.
_PROBES = 2


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
        chosen = representative(parts.train, plan.passages)
        self._clock = plan.clock(len(chosen))
        # The background that says which words carry content: nothing held out is in it.
        queries = Queries(Rarity(passage.text for passage in (*parts.train, *parts.validation)), seed)
        model = Quantised(Path(job.model_path))
        ends = {document.passages[-1].id for document in job.documents if document.passages}
        tuning = [self._sample(model, queries.of(each.text), ends=each.id in ends) for each in chosen]
        validation = [
            self._sample(model, queries.of(each.text)) for each in evenly(parts.validation, plan.validation)
        ]
        full = self._load_weights(model, tuning[:_PROBES])
        pairs = self._fabricate(model, chosen[: plan.pairs], queries)
        tuned = self._refine(model, full, pairs, tuning, validation)
        self._scored, self._to_score = 0, plan.to_score(len(validation))
        scale, by_scale = choose_scale(full, validation, tuned.edit, self._count_scored)
        edit = tuned.edit * scale
        own, others, words, without_vector = self._measure(model, full, queries, parts, edit)
        found = likeness(own, others, words)

        self._at("export", 0, 2)
        files = export(
            Path(job.output_dir), model.architecture, full, edit, self._provenance(model, found, len(pairs))
        )
        self._at("export", 1, 2)
        gap = self._check_engine(model, queries, parts, files, own)
        model.close()
        self._at("export", 2, 2)
        seconds = self._clock.finish()
        return Learned(
            pairs=len(pairs),
            seconds=round(seconds, 1),
            strength=1.0,
            likeness=found,
            files=files.by_kind,
            report={
                "seconds_by_stage": json.dumps(self._clock.seconds_by_stage),
                "validation_by_pass": json.dumps([round(value, 4) for value in tuned.curve]),
                "validation_by_scale": json.dumps(
                    {str(key): round(value, 4) for key, value in by_scale.items()}
                ),
                "scale": json.dumps(scale),
                "rank": json.dumps(edit.rank),
                "own_without_control_vector": json.dumps(round(without_vector, 4)),
                "engine_minus_full_precision": json.dumps(round(gap, 4)),
                "separation_by_layer": json.dumps(self._separation),
                "passages": json.dumps(
                    {
                        "tuned_on": len(chosen),
                        "train": len(parts.train),
                        "validation": len(parts.validation),
                        "held_out": len(parts.held_out),
                    }
                ),
                "whole_documents_held_out": json.dumps(parts.whole_documents),
            },
        )

    def _provenance(self, model: Quantised, found: Likeness, pairs: int) -> Provenance:
        return Provenance(
            voice=self._job.voice,
            model_name=model.name,
            model_sha256=model.sha256,
            method="refined control vectors and low-rank edit of the MLP output",
            settings=json.dumps(vars(self._job.settings)),
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            pairs=pairs,
            strength=1.0,
            own=found.own,
            others=found.others,
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

    def _load_weights(self, model: Quantised, probes: Sequence[Sample]) -> FullModel:
        """The full-precision model. Raises `DisagreementError` where it is another one than the engine's."""
        full = FullModel.load(Path(self._job.weights_path))
        same_shape = (full.hidden_size, full.layer_count) == (model.hidden_size, model.layer_count)
        if not same_shape or not weights_gap(full, model.path, probes, model.threads) <= WEIGHTS_TOLERANCE:
            raise DisagreementError(
                f"The weights in {self._job.weights_path} and the model in {self._job.model_path} answer the same "
                "text differently: they are not the same model. Give the two that belong together."
            )
        return full

    def _refine(
        self,
        model: Quantised,
        full: FullModel,
        pairs: Sequence[PairMade],
        tuning: Sequence[Sample],
        validation: Sequence[Sample],
    ) -> Tuned:
        shown = [pair for pair in pairs if pair.plain.strip()]
        readings = read(
            full,
            [model.sample(pair.query, pair.own) for pair in shown],
            [model.sample(pair.query, pair.plain) for pair in shown],
            lambda done, total: self._at("read", done, total),
            self._should_stop,
        )
        self._check()
        self._at("align", 0, 1)
        directions = align(readings.own.mlp, readings.plain.mlp, self._job.settings.seed)
        self._separation = [round(float(share), 2) for share in directions.separation]
        how = Tuning(passes=self._plan.passes, seed=self._job.settings.seed)
        tuned = tune(
            full,
            tuning,
            validation,
            starting_edit((directions.theta_p, directions.theta_n), how.rank, how.seed),
            how,
            lambda done, total: self._at("refine", done, total),
            self._should_stop,
        )
        for note in tuned.notes:
            self._send(Notice(note))
        return tuned

    def _measure(
        self, model: Quantised, full: FullModel, queries: Queries, parts: Split, edit: Edit
    ) -> tuple[Change, Change, int, float]:
        """The only place that reads the held-out share.

        Gives the change on own and on others' text, the words of the own one, and own's Δ without the
        control vector: what a program gets that can load the adapter only.
        """
        asked = [queries.of(each.text) for each in evenly(parts.held_out, self._plan.held_out)]
        writers = reference_passages()
        texts = [text for passages in writers.values() for text in passages]
        foreign = [queries.of(text) for text in evenly(texts, self._plan.others)]
        samples = [self._sample(model, query) for query in asked]
        own = change(full, samples, edit, self._count_scored)
        others = change(full, [self._sample(model, query) for query in foreign], edit, self._count_scored)
        lone = replace(edit, vectors=torch.zeros_like(edit.vectors))
        without_vector = change(full, samples, lone, self._count_scored, own.plain)
        return own, others, sum(len(query.answer.split()) for query in asked), without_vector.per_token

    def _check_engine(
        self, model: Quantised, queries: Queries, parts: Split, files: VoiceFiles, own: Change
    ) -> float:
        """Repeat a part of the measurement through the engine with the files as exported; how far the two
        are apart. Raises `DisagreementError` where that is too far."""
        held = evenly(parts.held_out, self._plan.held_out)
        places = evenly(range(len(held)), ENGINE_CHECKS)
        samples = [self._sample(model, queries.of(held[place].text)) for place in places]
        engine = engine_change(model.path, samples, files, model.threads, lambda count: self._check())
        full = Change(own.tokens[places], own.plain[places], own.steered[places])
        gap = engine.per_token - full.per_token
        if abs(gap) > TOLERANCE:
            raise DisagreementError(
                f"The voice changes the model that writes by {engine.per_token:+.2f} nats per token, but the "
                f"weights it was learnt on by {full.per_token:+.2f}. {self._job.weights_path} and "
                f"{self._job.model_path} are probably not the same model; give the two that belong together."
            )
        return gap

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
