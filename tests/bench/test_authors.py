from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the benchmark needs the calibrate extra")

from app.errors import KnownError
from calibrate.messages import Job
from calibrate.plan import PLANS
from tests.bench.authors import chosen_authors, history_of, read_author, read_authors
from tests.bench.lesson import Lesson
from tests.bench.writers import DOCUMENTS, NAMES


def texts(folder: Path, **by_name: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in by_name.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


def test_documents_come_in_natural_order_the_most_recent_last(voices: Path) -> None:
    author = read_author(voices / "ada")
    assert [document.title for document in author.documents] == [f"letter {n + 1}" for n in range(DOCUMENTS)]
    held = {passage.id for passage in author.parts.held_out}
    assert held == {passage.id for document in author.documents[-2:] for passage in document.passages}


def test_a_passage_that_occurs_twice_comes_once(tmp_path: Path) -> None:
    letter = "I shall come on Friday, and bring the lamp with me, as I promised you last week. " * 3
    author = read_author(texts(tmp_path / "me", first=letter, second=letter))
    assert [len(document.passages) for document in author.documents] == [1]


def test_what_a_method_learns_from_holds_nothing_held_out(voices: Path) -> None:
    author = read_author(voices / "bert")
    lesson = Lesson(Job("bert", "", "", author.documents, ""), PLANS["fast"])
    held = {passage.text for passage in author.parts.held_out}
    assert held
    assert lesson.train == author.parts.train
    assert not held & {passage.text for passage in (*lesson.train, *lesson.validation)}


def test_a_small_history_is_taken_from_the_training_share(voices: Path) -> None:
    author = read_author(voices / "ada")
    train = {passage.id for passage in author.parts.train}
    for count in (1, 3):
        ids = [passage.id for document in history_of(author, count) for passage in document.passages]
        assert len(ids) == count
        assert set(ids) <= train


def test_the_others_are_needed(voices: Path, tmp_path: Path) -> None:
    texts(tmp_path / "alone" / "me", letter="I shall come on Friday and bring the lamp. " * 9)
    with pytest.raises(KnownError, match="two people or more"):
        read_authors(tmp_path / "alone")
    texts(tmp_path / "empty" / "me", letter="")
    with pytest.raises(KnownError, match=r"letter\.txt is empty"):
        read_authors(tmp_path / "empty")
    with pytest.raises(KnownError, match="no folder"):
        read_authors(tmp_path / "nowhere")
    with pytest.raises(KnownError, match="ada, bert"):
        chosen_authors(read_authors(voices), ["carl"])
    assert [author.name for author in chosen_authors(read_authors(voices), [])] == list(NAMES)
