from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the benchmark needs the calibrate extra")

from tests.bench.artefact import Artefact
from tests.bench.keeping import Keeper, Learnt
from tests.bench.learning import Cost
from tests.bench.rows import Likelihood, Row, Span, Writing

SPAN = Span(-0.25, -0.5, 0.0)
ROW = Row(
    "ada",
    "default",
    "this program",
    likelihood=Likelihood(SPAN, SPAN, SPAN),
    writing=Writing(SPAN, 0.5, 0.5, 1.0, 2.0, 0.0, 60.0),
    notes={"scale": "1.0"},
    answers=("Dear friend,", "No."),
)


def test_a_benchmark_that_is_gone_on_with_finds_its_rows(tmp_path: Path) -> None:
    Keeper(tmp_path, ["model", 1], resume=False).keep("ada.default", ROW)
    assert Keeper(tmp_path, ["model", 1], resume=True).row("ada.default") == ROW


def test_rows_of_another_setting_or_not_asked_for_are_not_taken(tmp_path: Path) -> None:
    Keeper(tmp_path, ["model", 1], resume=False).keep("ada.default", ROW)
    assert Keeper(tmp_path, ["model", 2], resume=True).row("ada.default") is None
    assert Keeper(tmp_path, ["model", 1], resume=False).row("ada.default") is None


def test_a_voice_whose_files_are_gone_is_learnt_again(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, "setting", resume=False)
    file = keeper.workshop("ada", "default") / "control-vector.gguf"
    file.touch()
    learnt = Learnt(Artefact("system", control_vector=str(file), notes={"pairs": "3"}), Cost(1.5, 2**30))
    keeper.keep("ada.default.learnt", learnt)
    assert Keeper(tmp_path, "setting", resume=True).learnt("ada.default.learnt") == learnt
    file.unlink()
    assert Keeper(tmp_path, "setting", resume=True).learnt("ada.default.learnt") is None
