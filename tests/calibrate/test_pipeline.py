"""The whole run on a tiny model: what comes out, and that what was held out stays out."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="learning needs the calibrate extra")

from calibrate import pipeline, plan, quantised  # noqa: E402
from calibrate.messages import (  # noqa: E402
    InsightWritten,
    Job,
    JobDocument,
    JobPassage,
    Notice,
    PairMade,
    Progress,
    Settings,
)
from calibrate.pipeline import Run, TooLittleError  # noqa: E402
from calibrate.plan import Plan  # noqa: E402
from calibrate.refine import Interrupted  # noqa: E402
from calibrate.select import split  # noqa: E402
from engine.adapterfile import read_low_rank_edit  # noqa: E402
from engine.voicefile import read_control_vector  # noqa: E402

SMALL = Plan(passages=10, pairs=4, insight_pairs=2, passes=2, validation=2, held_out=3, others=2)
SENTENCE = "the ferry was late and my friend the captain spoke of rum while rain fell on the grey harbour"


def documents(count: int) -> tuple[JobDocument, ...]:
    choose = random.Random(4)

    def passage(number: int) -> JobPassage:
        return JobPassage(
            number, f"Letter {number}. " + " ".join(choose.choices(SENTENCE.split(), k=60)) + "."
        )

    return tuple(
        JobDocument(n, f"letter {n}", f"2001-01-{n + 1:02}", (passage(2 * n), passage(2 * n + 1)))
        for n in range(count)
    )


@pytest.fixture
def job(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setitem(plan.PLANS, "fast", SMALL)
    monkeypatch.setattr(
        pipeline, "TOLERANCE", 10.0
    )  # random weights amplify rounding; parity has its own test
    return Job("letters", str(tiny), str(tiny), documents(10), str(tmp_path), Settings("fast", 3))


def events_of(job: Job, stop_when: Any = lambda events: False) -> tuple[list[Any], Any]:
    events: list[Any] = []
    try:
        return events, Run(job, events.append, lambda: stop_when(events)).learn()
    except Interrupted as interrupted:
        return events, interrupted


def test_a_run_ends_with_files_that_say_what_they_are(job: Job) -> None:
    events, learned = events_of(job)
    vector = read_control_vector(Path(learned.files["control_vector"]))
    adapter = read_low_rank_edit(Path(learned.files["adapter"]))
    for made in (vector.provenance, adapter.provenance):
        assert made is not None
        assert (made.voice, made.pairs) == ("letters", learned.pairs)
        assert (made.own, made.others) == (learned.likeness.own, learned.likeness.others)
    assert learned.likeness.own < 0, "ten passages of seventeen words are easily learnt"
    assert learned.likeness.own_low <= learned.likeness.own <= learned.likeness.own_high
    assert learned.likeness.passages_heldout == SMALL.held_out
    assert sum(isinstance(event, InsightWritten) for event in events) == 1
    assert sum(isinstance(event, PairMade) for event in events) == learned.pairs == 6
    assert {event.source for event in events if isinstance(event, PairMade)} == {"history", "insight"}


def test_progress_goes_forward_through_all_stages_to_the_end(job: Job) -> None:
    events, _ = events_of(job)
    progress = [event for event in events if isinstance(event, Progress)]
    fractions = [event.fraction for event in progress]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    stages = list(dict.fromkeys(event.stage for event in progress))
    assert stages == ["select", "insight", "fabricate", "read", "align", "refine", "measure", "export"]


def test_nothing_held_out_is_seen_before_measure(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    held_out = {passage.text for passage in split(job.documents).held_out}
    seen: list[tuple[str, str]] = []
    stage = "select"
    original = quantised.Quantised.sample

    def watched(self: Any, query: str, answer: str, **options: Any) -> Any:
        seen.append((stage, answer))
        return original(self, query, answer, **options)

    monkeypatch.setattr(quantised.Quantised, "sample", watched)

    def on_event(event: Any) -> None:
        nonlocal stage
        stage = event.stage if isinstance(event, Progress) else stage
        assert not isinstance(event, PairMade) or event.own not in held_out

    Run(job, on_event, lambda: False).learn()
    assert not [stage for stage, text in seen if stage not in ("measure", "export") and text in held_out]
    assert [stage for stage, text in seen if stage == "measure" and text in held_out]


def test_a_stopped_run_keeps_its_pairs_and_the_next_one_makes_only_the_rest(job: Job) -> None:
    def two_pairs(events: list[Any]) -> bool:
        return sum(isinstance(event, PairMade) for event in events) >= 2

    events, ended = events_of(job, two_pairs)
    assert isinstance(ended, Interrupted)
    made = tuple(event for event in events if isinstance(event, PairMade))
    assert 2 <= len(made) < 6
    again = Job(**(vars(job) | {"made": made}))
    events, learned = events_of(again)
    assert sum(isinstance(event, PairMade) for event in events) == 6 - len(made)
    assert learned.pairs == 6


def test_the_same_seed_learns_the_same(job: Job) -> None:
    first, second = (events_of(job)[1] for _ in range(2))
    assert first.likeness == second.likeness
    for name in ("validation_by_pass", "scale"):
        assert json.loads(first.report[name]) == json.loads(second.report[name])


def test_too_few_passages_are_refused_with_what_is_missing(job: Job) -> None:
    few = Job(**(vars(job) | {"documents": documents(1)}))
    with pytest.raises(TooLittleError, match="needs at least 3"):
        events_of(few)


def test_few_documents_are_measured_on_passages_and_that_is_said(job: Job) -> None:
    few = Job(**(vars(job) | {"documents": documents(4)}))
    events, learned = events_of(few)
    assert json.loads(learned.report["whole_documents_held_out"]) is False
    assert any("fewer than five documents" in event.text for event in events if isinstance(event, Notice))


def test_weights_of_another_model_than_the_engine_s_are_refused(job: Job, tmp_path: Path) -> None:
    from tests.tiny_models import write_tiny_llama

    other = write_tiny_llama(tmp_path / "other.gguf", seed=99)
    wrong = Job(**(vars(job) | {"weights_path": str(other)}))
    with pytest.raises(pipeline.DisagreementError, match=r"other\.gguf"):
        events_of(wrong)
