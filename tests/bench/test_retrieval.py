from __future__ import annotations

import pytest

pytest.importorskip("sklearn", reason="the benchmark needs the bench extra")

from tests.bench.artefact import Artefact, plain
from tests.bench.retrieval import Retriever

PASSAGES = ("The boat was late again.", "My garden is full of roses.", "Roses and a boat in the garden.")


def test_the_passages_most_like_the_request_come_first() -> None:
    found = Retriever(PASSAGES).best("Write about the roses in the garden.", 2)
    assert found == [PASSAGES[2], PASSAGES[1]]


def test_there_are_no_more_than_there_are() -> None:
    assert Retriever(PASSAGES[:1]).best("anything at all", 2) == [PASSAGES[0]]


def test_the_prompt_holds_the_retrieved_passages_the_nearest_last() -> None:
    system, asked = Artefact(plain().system, PASSAGES).turns("Write about the roses in the garden.")
    assert system.content.startswith(plain().system)
    assert system.content.index(PASSAGES[1]) < system.content.index(PASSAGES[2])
    assert PASSAGES[0] not in system.content
    assert asked.content == "Write about the roses in the garden."


def test_without_passages_the_prompt_is_the_product_s() -> None:
    assert not plain().changes_prompt
    assert Artefact(plain().system, PASSAGES).changes_prompt
    assert [turn.role for turn in plain().turns("Hello")] == ["system", "user"]
    assert plain().size == 0
    assert Artefact(plain().system, PASSAGES).size == sum(map(len, PASSAGES))
