"""One answer at a time, whoever asks, leaves or dies meanwhile."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.models import Model
from app.server.answering import MOST_WAITING
from app.workers.engine_client import Died, Engine
from engine.messages import Failed, Token
from tests.app.server.served import HELLO, Served, eventually
from tests.fakes import FakeEngine, finished

openai = pytest.importorskip("openai", reason="openai is not installed (extra test)")
httpx = pytest.importorskip("httpx", reason="httpx is not installed (extra test)")

ENGINE_PROCESS = str(Path(__file__).parents[1] / "workers" / "fake_engine_process.py")


def test_who_leaves_a_stream_has_the_answer_stopped(served: Served) -> None:
    served.engine.enqueue([Token(0, "Dear")], "next")
    stream = served.ask(stream=True)
    next(iter(stream))
    assert served.engine.cancelled == []
    stream.close()
    assert eventually(lambda: served.engine.cancelled == [1])
    assert served.ask().choices[0].message.content == "next"


def test_who_leaves_while_waiting_for_a_whole_answer_has_it_stopped(served: Served) -> None:
    served.engine.enqueue([Token(0, "Dear")], "next")
    with pytest.raises(httpx.ReadTimeout):
        served.http(timeout=0.5).post("/v1/chat/completions", json=HELLO)
    assert eventually(lambda: served.engine.cancelled == [1])
    assert served.ask().choices[0].message.content == "next"


def test_who_leaves_the_queue_is_never_answered(served: Served) -> None:
    served.engine.enqueue([Token(0, "Dear")], "next")
    stream = served.ask(stream=True)
    with pytest.raises(httpx.ReadTimeout):
        served.http(timeout=0.5).post("/v1/chat/completions", json=HELLO)
    assert eventually(lambda: served.answers.waiting == 0)
    stream.close()
    assert served.ask(seed=5).choices[0].message.content == "next"
    assert [asked.sampling.seed for asked in served.engine.asked] == [None, 5]


def test_answers_are_given_one_at_a_time_and_too_many_are_refused(served: Served) -> None:
    served.engine.enqueue([Token(0, "first")], *(f"{number}" for number in range(MOST_WAITING)))
    with ThreadPoolExecutor(MOST_WAITING + 1) as pool:
        asking = [pool.submit(served.ask) for _ in range(MOST_WAITING + 1)]
        assert eventually(lambda: served.answers.waiting == MOST_WAITING)
        assert len(served.engine.asked) == 1
        with pytest.raises(openai.RateLimitError, match="Try again later"):
            served.ask()
        served.engine.finish(1, finished())
        texts = {future.result().choices[0].message.content for future in asking}
    assert texts == {"first", *map(str, range(MOST_WAITING))}
    assert served.answers.waiting == 0


def test_a_request_for_another_model_waits_for_the_end_of_the_answer(served: Served) -> None:
    served.learn("my-voice")
    engines = {"smollm2": FakeEngine(), "tiny": FakeEngine()}
    served.find_model = lambda name: Model(name or "smollm2", "", Path(f"/{name or 'smollm2'}"), Path("/"))
    served.make_engine = lambda path, places: engines[path.name]
    engines["smollm2"].enqueue([Token(0, "Dear")])
    engines["tiny"].enqueue("mine")
    stream = iter(served.ask(stream=True))
    next(stream)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(served.ask, model="tiny:my-voice")
        assert eventually(lambda: served.answers.waiting == 1)
        assert not engines["smollm2"].closed
        engines["smollm2"].finish(1, finished())
        assert list(stream)[-1].choices[0].finish_reason == "stop"
        assert other.result().choices[0].message.content == "mine"
    assert engines["smollm2"].closed


def test_the_end_of_the_server_ends_the_answer_and_those_that_wait(served: Served) -> None:
    served.engine.enqueue([Token(0, "Dear")])
    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(served.ask), pool.submit(served.ask)]
        assert eventually(lambda: served.answers.waiting == 1 and len(served.engine.asked) == 1)
        served.answers.close()
        errors = [future.exception() for future in asking]
    assert all(isinstance(error, openai.InternalServerError) for error in errors), errors
    assert sorted("server is ending" in str(error) for error in errors) == [False, True]
    assert len(served.engine.asked) == 1


def test_an_engine_that_died_is_told_and_started_again(served: Served) -> None:
    served.make_engine = lambda path, places: Engine(
        path, places.logs, command=[sys.executable, ENGINE_PROCESS]
    )
    with pytest.raises(openai.InternalServerError, match=r"The engine ended.*Try again") as caught:
        served.ask(messages=[{"role": "user", "content": "exits"}])
    assert (caught.value.status_code, caught.value.code) == (503, "engine_unavailable")
    assert served.ask().choices[0].message.content == "one two three"


def test_a_model_that_cannot_be_loaded_is_told(served: Served) -> None:
    damaged = Path("/nowhere/refused.gguf")
    served.find_model = lambda name: Model("damaged", "Damaged", damaged, damaged)
    served.make_engine = lambda path, places: Engine(
        path, places.logs, command=[sys.executable, ENGINE_PROCESS]
    )
    with pytest.raises(openai.InternalServerError, match="The model file is damaged") as caught:
        served.ask()
    assert caught.value.status_code == 503


def test_what_goes_wrong_before_the_first_word_is_told_by_the_status(served: Served) -> None:
    served.engine.enqueue(
        [Died("was killed (signal 9)")],
        [Failed(0, known=True, message="The message is too long.")],
    )
    for kind, message in (
        (openai.InternalServerError, "killed"),
        (openai.BadRequestError, "too long"),
    ):
        with pytest.raises(kind, match=message):
            served.ask(stream=True)


def test_what_goes_wrong_in_a_stream_ends_it_with_the_error(served: Served) -> None:
    served.engine.enqueue([Token(0, "Dear"), Died("was killed (signal 9)")])
    chunks = []
    with pytest.raises(openai.APIError, match="The engine was killed"):
        chunks.extend(served.ask(stream=True))
    served.engine.enqueue([Token(0, "Dear"), Died("was killed (signal 9)")])
    sent = served.http().post("/v1/chat/completions", json=HELLO | {"stream": True}).text
    assert '"Dear"' in sent
    assert "[DONE]" not in sent


def test_a_bug_is_logged_and_told_without_its_details(served: Served) -> None:
    served.engine.enqueue(
        [Failed(0, known=False, message="Traceback: KeyError")],
        [Token(0, "Dear"), Failed(0, known=False, message="Traceback: TypeError")],
    )
    with pytest.raises(openai.InternalServerError, match="log file") as caught:
        served.ask()
    assert (caught.value.status_code, "KeyError" in str(caught.value)) == (500, False)
    with pytest.raises(openai.APIError, match="log file"):
        list(served.ask(stream=True))
    logged = (served.places.logs / "idiolect.log").read_text()
    assert "KeyError" in logged
    assert "TypeError" in logged
    assert len(served.told) == 2
    assert "idiolect.log" in served.told[0]
