"""A real server on a free port of loopback, over a fake engine, and clients of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from app.logfile import LogFile
from app.models import Model
from app.places import Places
from app.server.access import Access
from app.server.answering import Answers
from app.server.application import Application
from app.server.naming import Names
from app.server.run import listen, serving
from app.shell import writing
from app.workers.engine_client import AnswerSource, Engines
from tests.app.workers.histories import learnt_voice
from tests.fakes import MODEL, FakeEngine

TOKEN = "a-token-for-tests-only"
HELLO: dict[str, Any] = {"model": "smollm2", "messages": [{"role": "user", "content": "Hello"}]}
WAIT = 10.0


class Served:
    """A server that runs; ``engine`` answers unless ``make_engine`` was given."""

    def __init__(self, folder: Path) -> None:
        self.places = Places.under(folder / "data")
        self.places.make()
        self.engine = FakeEngine()
        self.make_engine: Callable[[Path, Places], AnswerSource] = lambda path, places: self.engine
        self.find_model: Callable[[str | None], Model] = lambda name: MODEL
        self.told: list[str] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Serve while the body runs."""
        engines = Engines(self.places, lambda path, places: self.make_engine(path, places))
        with contextlib.closing(engines), listen("127.0.0.1", 0) as listening:
            self.answers = Answers(engines)
            application = Application(
                Names(self.places, lambda name: self.find_model(name)),
                self.answers,
                Access(TOKEN, "127.0.0.1"),
                LogFile(self.places.logs / "idiolect.log"),
                self.told.append,
            )
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            with serving(application, listening), contextlib.closing(self.answers):
                yield

    def learn(self, voice: str) -> None:
        """Have a voice that was learnt on the model "tiny"."""
        with writing(self.places) as store:
            learnt_voice(store, self.places, voice)

    def client(self, token: str = TOKEN) -> Any:
        """OpenAI's own client, which asks once and does not try again."""
        import openai

        return openai.OpenAI(
            base_url=f"{self.url}/v1",
            api_key=token,
            max_retries=0,
            timeout=WAIT,
            http_client=openai.DefaultHttpxClient(trust_env=False),
        )

    def ask(self, **more: Any) -> Any:
        """The completion of one request by OpenAI's client."""
        return self.client().chat.completions.create(**{**HELLO, **more})

    def http(self, **more: Any) -> Any:
        """A plain client, which sends the token and what else it is told."""
        import httpx

        more = {"timeout": WAIT} | more
        headers = {"Authorization": f"Bearer {TOKEN}"} | more.pop("headers", {})
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, **more)


def eventually(true: Callable[[], bool]) -> bool:
    """Whether ``true`` becomes so soon."""
    end = time.monotonic() + WAIT
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
