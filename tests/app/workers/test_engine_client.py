from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.errors import KnownError
from app.models import Model
from app.places import Places
from app.settings import EngineSettings
from app.workers import engine_client
from app.workers.engine_client import AnswerEvent, Died, Engine, Engines, engine_of
from engine.messages import ChatTurn, Failed, Finished, Sampling, Token
from tests.fakes import FakeEngine

SCRIPT = str(Path(__file__).with_name("fake_engine_process.py"))
WAIT = 20.0

EngineFor = Callable[..., Engine]


@pytest.fixture
def engine_for(tmp_path: Path) -> Iterator[EngineFor]:
    made: list[Engine] = []

    def make(model: str = "good.gguf", **settings: float) -> Engine:
        wanted = EngineSettings(**settings)  # type: ignore[arg-type]
        made.append(Engine(tmp_path / model, tmp_path, command=[sys.executable, SCRIPT], settings=wanted))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


class Heard:
    """Collects the events of one request."""

    def __init__(self, engine: Engine, text: str) -> None:
        self._events: queue.Queue[AnswerEvent] = queue.Queue()
        self.number = engine.generate([ChatTurn("user", text)], None, Sampling(), self._events.put)

    def next(self) -> AnswerEvent:
        return self._events.get(timeout=WAIT)

    def all(self) -> list[AnswerEvent]:
        events = [self.next()]
        while isinstance(events[-1], Token):
            events.append(self.next())
        return events

    @property
    def silent(self) -> bool:
        return self._events.empty()


def text_of(events: list[AnswerEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token))


def test_an_answer_comes_piece_by_piece_and_ends_once(engine_for: EngineFor) -> None:
    engine = engine_for("good.gguf")
    heard = Heard(engine, "hello")
    events = heard.all()
    assert text_of(events) == "one two three"
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "end"
    assert engine.ready is not None
    assert engine.ready.model_name == "tiny"
    assert heard.silent


def test_a_killed_engine_is_reported_in_words_and_the_next_request_starts_it_again(
    engine_for: EngineFor,
) -> None:
    engine = engine_for("good.gguf")
    events = Heard(engine, "killed").all()
    assert text_of(events) == "one "
    assert isinstance(events[-1], Died)
    assert events[-1].reason.startswith("was killed")
    assert "signal 9" in events[-1].reason
    assert text_of(Heard(engine, "hello").all()) == "one two three"


def test_an_engine_killed_from_outside_before_its_first_word_is_reported(
    engine_for: EngineFor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_PID_FILE", str(tmp_path / "pid"))
    engine = engine_for("good.gguf")
    heard = Heard(engine, "open")
    assert isinstance(heard.next(), Token)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGSEGV)
    died = heard.next()
    assert isinstance(died, Died)
    assert "crashed" in died.reason
    assert engine.ready is None


def test_an_exit_code_is_named(engine_for: EngineFor) -> None:
    assert Heard(engine_for("good.gguf"), "exits").all()[-1] == Died("ended with exit code 3")


def test_an_engine_that_breaks_the_protocol_is_ended_and_its_answer_with_it(engine_for: EngineFor) -> None:
    engine = engine_for("good.gguf")
    died = Heard(engine, "garbage").all()[-1]
    assert died == Died("sent something that is no message")
    assert isinstance(Heard(engine, "hello").all()[-1], Finished)


def test_a_model_that_cannot_be_loaded_fails_the_request_and_is_tried_again(engine_for: EngineFor) -> None:
    engine = engine_for("refused.gguf")
    for _ in range(2):
        events = Heard(engine, "hello").all()
        assert events == [Failed(None, known=True, message="The model file is damaged.")]


def test_an_engine_that_crashes_while_loading_fails_each_request_once(engine_for: EngineFor) -> None:
    engine = engine_for("crashing.gguf")
    first, second = Heard(engine, "a"), Heard(engine, "b")
    for heard in (first, second):
        (died,) = heard.all()
        assert isinstance(died, Died)
        assert "crashed" in died.reason
        assert heard.silent


def test_a_second_request_waits_for_the_first(engine_for: EngineFor) -> None:
    engine = engine_for("good.gguf")
    first, second = Heard(engine, "open"), Heard(engine, "hello")
    assert isinstance(first.next(), Token)
    assert second.silent
    engine.cancel(first.number)
    stopped = first.next()
    assert isinstance(stopped, Finished)
    assert stopped.reason == "stopped"
    assert text_of(second.all()) == "one two three"


def test_a_waiting_request_can_be_cancelled_without_reaching_the_engine(engine_for: EngineFor) -> None:
    engine = engine_for("good.gguf")
    first, second = Heard(engine, "open"), Heard(engine, "hello")
    engine.cancel(second.number)
    ended = second.next()
    assert isinstance(ended, Finished)
    assert (ended.reason, ended.tokens) == ("stopped", 0)
    engine.cancel(first.number)
    assert isinstance(first.all()[-1], Finished)


def test_an_engine_that_does_not_stop_when_asked_is_ended_and_the_request_counts_as_stopped(
    engine_for: EngineFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_client, "_CANCEL_PATIENCE_SECONDS", 0.1)
    engine = engine_for("good.gguf")
    heard = Heard(engine, "wedged")
    assert isinstance(heard.next(), Token)
    engine.cancel(heard.number)
    ended = heard.next()
    assert isinstance(ended, Finished)
    assert ended.reason == "stopped"
    assert text_of(Heard(engine, "hello").all()) == "one two three"
    assert heard.silent


def test_requests_after_a_death_are_still_answered(engine_for: EngineFor) -> None:
    engine = engine_for("good.gguf")
    first, second = Heard(engine, "killed"), Heard(engine, "hello")
    assert isinstance(first.all()[-1], Died)
    assert text_of(second.all()) == "one two three"


def test_closing_ends_answers_under_way_and_leaves_no_process(
    engine_for: EngineFor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_PID_FILE", str(tmp_path / "pid"))
    engine = engine_for("good.gguf")
    running, waiting = Heard(engine, "open"), Heard(engine, "hello")
    assert isinstance(running.next(), Token)
    engine.close()
    assert running.next() == Died("was closed")
    assert waiting.next() == Died("was closed")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_warming_loads_the_model_before_anything_is_asked(engine_for: EngineFor, tmp_path: Path) -> None:
    engine = engine_for("good.gguf")
    engine.warm([ChatTurn("system", "Be kind.")])
    wait_until(lambda: engine.ready is not None)
    Heard(engine, "hello").all()
    engine.close()
    log = (tmp_path / "engine.log").read_text()
    assert log.count("loaded a model") == 1
    assert log.count("warmed with Be kind.") == 1


def test_a_program_that_cannot_be_started_fails_the_request_with_its_name(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "good.gguf", tmp_path, command=[str(tmp_path / "no-such-program")])
    (failed,) = Heard(engine, "hello").all()
    assert isinstance(failed, Failed)
    assert failed.known
    assert "no-such-program" in failed.message


def test_only_one_model_is_kept_in_memory(tmp_path: Path) -> None:
    made: list[FakeEngine] = []

    def make(path: Path, places: Places) -> FakeEngine:
        made.append(FakeEngine())
        return made[-1]

    first, second = (Model(name, name, tmp_path / name, tmp_path / name) for name in ("a", "b"))
    engines = Engines(Places.under(tmp_path), make)
    assert engines.for_model(first) is engines.for_model(first)
    assert not made[0].closed
    engines.for_model(second)
    assert [engine.closed for engine in made] == [True, False]
    engines.close()
    assert made[1].closed


def test_an_engine_that_falls_silent_is_ended_and_what_came_of_the_answer_is_kept(
    engine_for: EngineFor,
) -> None:
    engine = engine_for("good.gguf", silence_seconds=0.4)
    events = Heard(engine, "wedged").all()
    assert text_of(events) == "one "
    assert events[-1] == Died("did not react for 0 seconds and was ended")
    assert text_of(Heard(engine, "hello").all()) == "one two three"


def test_an_engine_that_speaks_now_and_then_is_left_alone(engine_for: EngineFor) -> None:
    engine = engine_for("good.gguf", silence_seconds=2.0)
    events = Heard(engine, "slow").all()  # it takes longer than that, but says something every 0.3 seconds
    assert text_of(events) == "one two three"
    assert isinstance(events[-1], Finished)


def test_an_engine_nobody_asks_gives_its_memory_back_and_starts_again_when_asked(
    engine_for: EngineFor, tmp_path: Path
) -> None:
    engine = engine_for("good.gguf", idle_minutes=0.005)
    Heard(engine, "hello").all()
    wait_until(lambda: engine.ready is None)
    assert text_of(Heard(engine, "hello").all()) == "one two three"
    assert (tmp_path / "engine.log").read_text().count("loaded a model") == 2


def test_an_engine_that_is_asked_meanwhile_stays(engine_for: EngineFor, tmp_path: Path) -> None:
    engine = engine_for("good.gguf", idle_minutes=0.5 / 60)
    for _ in range(4):
        Heard(engine, "hello").all()
        time.sleep(0.3)
    assert (tmp_path / "engine.log").read_text().count("loaded a model") == 1


def test_many_answers_leave_one_timer_and_a_closed_engine_none(engine_for: EngineFor) -> None:
    def timers() -> int:
        return sum(isinstance(thread, threading.Timer) for thread in threading.enumerate())

    before, engine = timers(), engine_for("good.gguf")
    for _ in range(6):
        Heard(engine, "hello").all()
    wait_until(lambda: timers() <= before + 1)
    engine.close()
    wait_until(lambda: timers() <= before)


def test_an_engine_warmed_for_nobody_gives_its_memory_back(engine_for: EngineFor) -> None:
    engine = engine_for("good.gguf", idle_minutes=1 / 60)
    engine.warm()
    wait_until(lambda: engine.ready is not None)
    wait_until(lambda: engine.ready is None)


def test_the_strength_of_the_answer_under_way_is_passed_on_and_of_no_other(engine_for: EngineFor) -> None:
    engine = engine_for("good.gguf")
    heard = Heard(engine, "adjusted")
    assert isinstance(heard.next(), Token)
    engine.adjust(heard.number + 1, 0.25)
    engine.adjust(heard.number, 1.5)
    assert text_of(heard.all()) == "1.5"
    engine.adjust(heard.number, 0.5)  # it has ended


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_engine_is_started_as_the_settings_say(tmp_path: Path) -> None:
    places = Places.under(tmp_path)
    places.make()
    (places.config / "settings.toml").write_text("[engine]\ncontext_tokens = 1024\nkept_megabytes = 64\n")
    engine = engine_of(tmp_path / "good.gguf", places)
    assert isinstance(engine, Engine)
    assert engine._settings == EngineSettings(context_tokens=1024, kept_megabytes=64)


def test_settings_that_make_no_sense_are_told_when_an_engine_is_wanted(tmp_path: Path) -> None:
    places = Places.under(tmp_path)
    places.make()
    (places.config / "settings.toml").write_text("[engine]\nthreads = 'all'\n")
    with pytest.raises(KnownError, match="threads"):
        Engines(places).for_model(Model("a", "a", tmp_path / "a", tmp_path / "a"))
