"""Learning in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the benchmark needs the calibrate extra")
pytest.importorskip("psutil", reason="the benchmark needs psutil")

from calibrate.messages import Job, Settings
from calibrate.plan import PLANS
from tests.bench.artefact import Artefact
from tests.bench.authors import read_author
from tests.bench.learning import MESSAGES, Assignment, Failed, learn_apart
from tests.house.checkout import ROOT


def assignment(method: str, voices: Path, model: str, folder: Path) -> Assignment:
    documents = read_author(voices / "ada").documents
    return Assignment(
        method, PLANS["fast"], Job("ada", model, model, documents, str(folder), Settings("fast"))
    )


def test_what_is_learnt_comes_with_what_it_cost(voices: Path, tmp_path: Path) -> None:
    outcome, cost = learn_apart(assignment("retrieved", voices, "", tmp_path))
    assert isinstance(outcome, Artefact)
    assert outcome.passages == tuple(passage.text for passage in read_author(voices / "ada").parts.train)
    assert 0 < cost.seconds < 120
    assert 20 * 2**20 < cost.peak_bytes < 2**31


def test_a_process_that_breaks_is_no_result_and_no_end(voices: Path, tmp_path: Path) -> None:
    outcome, _ = learn_apart(assignment("insight", voices, str(tmp_path / "no-model.gguf"), tmp_path))
    assert isinstance(outcome, Failed)
    assert not outcome.known


def test_the_process_ends_with_its_pipe(voices: Path, tiny: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.learning"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        cwd=ROOT,
    )
    try:
        process.communicate(
            MESSAGES.encode(assignment("chameleon", voices, str(tiny), tmp_path)), timeout=120
        )
        assert process.returncode == 1
    finally:
        process.kill()
