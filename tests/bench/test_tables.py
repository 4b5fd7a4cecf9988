from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.options import listed, without_nan
from tests.bench.plots import curve_plot, likeness_plot
from tests.bench.tables import LEGEND, change, likeness_table, markdown, size, strength_table

FOUND = {
    "own": -0.4321, "own_low": -0.5, "own_high": 0.25, "others": 0.1, "gap": -0.5321,
    "attributed": 0.925, "overlap": 0.5, "overlap_ratio": 1.25, "cosine": 0.44, "cosine_ratio": float("nan"),
    "finds": 0.8, "perplexity_ratio": 1.7, "repetition": 0.012, "prompt_tokens": 0.0, "seconds": 301.4,
    "peak_bytes": 1.5 * 2**30, "artefact_bytes": 1024.0,
}  # fmt: skip


def test_every_line_of_a_table_is_as_wide_as_the_others() -> None:
    text = markdown(["method", "a"], [["x | y", "1"], ["a longer name", "−0.25"]])
    lines = text.splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1] == "| ------------- | ----: |"
    assert r"x \| y" in lines[2]


def test_numbers_read_as_they_should() -> None:
    line = likeness_table([("ours", FOUND, "")]).splitlines()[-1]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == [
        "ours", "−0.432 [−0.50, +0.25]", "+0.100", "−0.532", "92%", "0.50 (1.25)", "0.44 (–)", "80%", "× 1.70", "1.2%",
        "+0", "301", "1.5 GB", "1.0 KB",
    ]  # fmt: skip


def test_a_row_without_numbers_has_dashes_and_its_reason_below() -> None:
    text = likeness_table([("ours", {}, "not enough:\nimport more")])
    assert text.count("–") == 13
    assert text.splitlines()[-1] == "- ours: not enough: import more"
    assert change({}, "own") == "–"
    assert size({"b": 0.0}, "b") == "–"
    assert size({"b": 512.0}, "b") == "512 B"


def test_the_legend_can_be_filled() -> None:
    assert "94% of real" in LEGEND.format(requests=40, seed=0, accuracy=0.94)
    assert strength_table([(0.25, FOUND)]).splitlines()[-1].startswith("| 0.25")


def test_what_is_no_number_becomes_null() -> None:
    assert (
        json.dumps(without_nan({"a": [float("nan"), 1.0], "b": (2,)}), allow_nan=False)
        == '{"a": [null, 1.0], "b": [2]}'
    )
    assert listed(" a, b,,") == ("a", "b")
    assert listed(None) == ()


def test_plots_are_drawn_of_whatever_there_is(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the benchmark needs the bench extra")
    likeness_plot(
        tmp_path / "a.png", {"plain": {}, "ours": FOUND, "theirs": FOUND | {"cosine_ratio": 0.9}}, []
    )
    curve_plot(tmp_path / "b.png", {"ours": [(1, {}), (4, FOUND)]}, {"fast": FOUND, "normal": {}})
    curve_plot(tmp_path / "c.png", {"ours": [(1, {}), (4, FOUND), (16, FOUND)], "theirs": [(4, FOUND)]}, {})
    for name in "abc":
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
