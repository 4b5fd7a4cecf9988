from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import KnownError
from app.history.store import Store
from app.models import Model
from app.places import Places
from app.workers import learning as learning_module
from app.workers.learning import Learning, LearningEvent, LearnResult, Stopped
from calibrate.messages import InsightWritten, Notice, PairMade, Progress, Settings
from tests.app.workers.histories import add_writing

SCRIPT = str(Path(__file__).with_name("fake_calibrate_process.py"))
MODEL = Model("tiny", "Tiny", Path("/nowhere/tiny.gguf"), Path("/nowhere/weights"))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    places = Places.under(tmp_path / "data")
    places.make()
    return places


@pytest.fixture
def store(places: Places) -> Iterator[Store]:
    with Store.open(places.database) as store:
        yield store


class School:
    """Learning with the process that does ``what``, and what it told."""

    def __init__(self, store: Store, places: Places, what: str, *more: str) -> None:
        self.learning = Learning(store, places, command=[sys.executable, SCRIPT, what, *more])
        self.events: list[LearningEvent] = []
        self.stop_at: type | None = None

    def hear(self, event: LearningEvent) -> None:
        self.events.append(event)
        if self.stop_at is not None and isinstance(event, self.stop_at):
            self.learning.stop()

    def run(self, name: str = "letters", sources: list[int] | None = None) -> LearnResult:
        return self.learning.run(
            name,
            model=MODEL,
            settings=Settings(budget="fast", seed=3),
            source_ids=sources,
            on_event=self.hear,
        )


def test_a_learnt_voice_is_stored_with_its_files_pairs_and_numbers(store: Store, places: Places) -> None:
    add_writing(store, 4000)
    school = School(store, places, "learns")
    result = school.run()
    voice = store.voice("letters")
    assert voice.likeness is not None
    assert (voice.likeness.own, voice.likeness.others, voice.likeness.words_heldout) == (-0.4, -0.1, 900)
    assert (voice.model_id, voice.strength, voice.insight) == ("tiny", 1.0, "Writes short and dry.")
    assert len(store.pairs("letters")) == 3
    file = result.files["control_vector"]
    assert file.read_bytes() == b"GGUF a voice"
    assert file == places.voices / voice.files["control_vector"]
    assert not Path(voice.files["control_vector"]).is_absolute(), "a moved data folder would lose it"
    assert (result.pairs, result.seconds, result.strength) == (3, 12.5, 1.0)
    assert result.notices == ("Measured on little text.",)
    assert {type(event) for event in school.events} == {Progress, InsightWritten, PairMade, Notice}
    assert not list(places.voices.glob(".learning-*"))


def test_the_process_gets_the_documents_in_order_and_no_network(
    store: Store, places: Places, tmp_path: Path
) -> None:
    add_writing(store, 900)
    School(store, places, "learns", "--seen", str(tmp_path / "job")).run()
    job = json.loads((tmp_path / "job").read_text())
    assert [each["written_at"] for each in job["documents"]] == [f"2020-01-{n:02d}" for n in range(1, 6)]
    assert job["documents"][0]["passages"][0]["text"].startswith("The ferry was late again")
    assert (job["model_path"], job["weights_path"]) == ("/nowhere/tiny.gguf", "/nowhere/weights")
    assert job["settings"] == {"budget": "fast", "seed": 3}
    assert job["hub"] == "1"


def test_only_the_chosen_sources_are_learnt_from(store: Store, places: Places, tmp_path: Path) -> None:
    add_writing(store, 900, "/home/anna/work.txt")
    letters = add_writing(store, 3600, "/home/anna/letters.txt")
    School(store, places, "learns", "--seen", str(tmp_path / "job")).run(sources=[letters])
    job = json.loads((tmp_path / "job").read_text())
    assert len(job["documents"]) == 20


def test_too_little_text_says_how_much_is_missing_and_starts_nothing(store: Store, places: Places) -> None:
    school = School(store, places, "learns")
    with pytest.raises(KnownError, match="idiolect import"):
        school.run()
    add_writing(store, 180)
    with pytest.raises(KnownError, match=r"only 180 words.*at least 120 words more"):
        school.run()
    assert store.voices() == []


def test_little_text_is_learnt_from_with_a_warning(store: Store, places: Places) -> None:
    add_writing(store, 900)
    school = School(store, places, "learns")
    assert "900 words" in school.run().notices[0]
    assert isinstance(school.events[0], Notice)


def test_a_stopped_run_keeps_its_pairs_and_the_next_one_uses_them(
    store: Store, places: Places, tmp_path: Path
) -> None:
    add_writing(store, 4000)
    school = School(store, places, "waits")
    school.stop_at = PairMade
    with pytest.raises(Stopped):
        school.run()
    assert [pair.key for pair in store.pairs("letters")] == ["pair 0", "pair 1"]
    assert store.voices() == []
    again = School(store, places, "learns", "--seen", str(tmp_path / "job"))
    again.run()
    made = json.loads((tmp_path / "job").read_text())["made"]
    assert [(pair["key"], pair["own"]) for pair in made] == [("pair 0", "own text"), ("pair 1", "own text")]
    assert [event.key for event in again.events if isinstance(event, PairMade)] == ["pair 2"]


def test_stop_works_from_another_thread(store: Store, places: Places) -> None:
    add_writing(store, 4000)
    school = School(store, places, "waits")
    timer = threading.Timer(0.3, school.learning.stop)
    timer.start()
    with pytest.raises(Stopped):
        school.run()


def test_a_process_that_does_not_stop_is_ended(
    store: Store, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning_module, "_PATIENCE_SECONDS", 0.2)
    add_writing(store, 4000)
    school = School(store, places, "deaf")
    school.stop_at = PairMade
    with pytest.raises(Stopped):
        school.run()


def test_a_killed_process_is_told_in_words_and_leaves_no_half_voice(store: Store, places: Places) -> None:
    add_writing(store, 4000)
    with pytest.raises(KnownError, match=r"was killed.*pairs made so far"):
        School(store, places, "killed").run()
    assert len(store.pairs("letters")) == 2
    assert store.voices() == []
    assert list(places.voices.iterdir()) == []


def test_a_known_failure_is_told_and_a_bug_is_raised(store: Store, places: Places) -> None:
    add_writing(store, 4000)
    with pytest.raises(KnownError, match="do not belong together"):
        School(store, places, "known").run()
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        School(store, places, "bug").run()


def test_a_failed_run_leaves_the_learnt_voice_as_it_was(store: Store, places: Places) -> None:
    add_writing(store, 4000)
    first = School(store, places, "learns").run()
    with pytest.raises(KnownError):
        School(store, places, "killed").run()
    voice = store.voice("letters")
    assert places.voices / voice.files["control_vector"] == first.files["control_vector"]
    assert first.files["control_vector"].exists()


def test_an_error_of_the_listener_ends_the_process_and_the_run(store: Store, places: Places) -> None:
    add_writing(store, 4000)
    school = School(store, places, "deaf")

    def fail(event: LearningEvent) -> None:
        raise ZeroDivisionError("a bug of the listener")

    with pytest.raises(ZeroDivisionError):
        school.learning.run("letters", model=MODEL, settings=Settings(), on_event=fail)


def test_without_the_packages_the_one_command_is_named(
    store: Store, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_writing(store, 4000)
    monkeypatch.setattr(learning_module, "NEEDED_PACKAGES", ("no_such_package",))
    with pytest.raises(KnownError, match=r"pip install 'idiolect-desktop\[calibrate\]'"):
        Learning(store, places).run("letters", model=MODEL, settings=Settings(), on_event=lambda event: None)


@pytest.mark.parametrize("name", ["none", "None", "", "  ", "a\nb", "x" * 61])
def test_names_that_no_voice_can_have_are_refused(store: Store, places: Places, name: str) -> None:
    add_writing(store, 4000)
    with pytest.raises(KnownError, match="voice"):
        School(store, places, "learns").run(name)
