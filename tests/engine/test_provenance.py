"""What a voice file says it was made for, when it says it wrongly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.adapterfile import read_low_rank_edit
from tests.engine.forging import forged_adapter, refusal

MADE = {
    "voice": "mine", "model_name": "Tiny", "model_sha256": "", "method": "", "settings": "", "made_at": "",
    "pairs": 3, "strength": 1.0, "own": None, "others": -0.5,
}  # fmt: skip


@pytest.mark.parametrize(
    "made",
    [
        "{",
        "[]",
        "7",
        "null",
        "[" * 50_000,
        json.dumps({"voice": "mine"}),
        json.dumps(MADE | {"pairs": "3"}),
        json.dumps(MADE | {"pairs": 3.5}),
        json.dumps(MADE | {"strength": None}),
        json.dumps(MADE | {"strength": 10**400}),
        json.dumps(MADE | {"model_sha256": ["0"]}),
        json.dumps(MADE | {"own": "much"}),
    ],
    ids=lambda made: made[:40],
)
def test_a_file_that_does_not_say_what_it_was_made_for_is_refused(tmp_path: Path, made: str) -> None:
    path = forged_adapter(
        tmp_path / "adapter.gguf", more=lambda writer: writer.add_string("idiolect.provenance", made)
    )
    assert "is damaged" in refusal(path)


def test_what_a_later_version_adds_to_the_provenance_is_left_out(tmp_path: Path) -> None:
    made = json.dumps(MADE | {"strength": 1, "mood": "cheerful"})
    path = forged_adapter(
        tmp_path / "adapter.gguf", more=lambda writer: writer.add_string("idiolect.provenance", made)
    )
    found = read_low_rank_edit(path).provenance
    assert found is not None
    assert vars(found) == MADE
