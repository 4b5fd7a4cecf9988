"""Answers for many clients, one at a time: requests in, the engine's events out.

The one place where the engine's threads meet the server's event loop.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from app.server.naming import Speaker
from app.server.protocol import RefusedError
from app.workers.engine_client import AnswerEvent, Died, Engines
from engine.messages import ChatTurn, Failed, Finished, Sampling, Token

if TYPE_CHECKING:
    import asyncio

    from starlette.types import Receive

MOST_WAITING = 8


class Answers:
    """The queue before the engine. Used on one event loop, `close` excepted.

    It is a queue of its own, rather than the engine's, because a request for another model closes the engine of the
    former one, which must not happen in the middle of an answer.
    """

    def __init__(self, engines: Engines) -> None:
        import asyncio

        self._engines = engines
        self._turn = asyncio.Lock()
        self._closed = False
        self.waiting = 0

    @contextlib.asynccontextmanager
    async def answer(
        self, speaker: Speaker, turns: Sequence[ChatTurn], sampling: Sampling, opening: str = ""
    ) -> AsyncIterator[AsyncIterator[Token | Finished]]:
        """An answer to the last of ``turns``, or the rest of ``opening``: `Token`s and one `Finished`. Leaving the body
        stops it.

        Raises RefusedError: 429 when too many wait already, 503 when the engine died or the model cannot be loaded, 400
        when the engine cannot answer this request; RuntimeError with its traceback when the engine has a bug.
        """
        import asyncio

        from starlette.concurrency import run_in_threadpool

        loop = asyncio.get_running_loop()
        heard: asyncio.Queue[AnswerEvent] = asyncio.Queue()

        def on_event(event: AnswerEvent) -> None:
            # Once the server has ended, nobody listens.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(heard.put_nowait, event)

        async with self._my_turn():
            # It may have to end the process of another model first, which takes a moment.
            engine = await run_in_threadpool(self._engines.for_model, speaker.model)
            number = engine.generate(turns, speaker.use, sampling, on_event, opening=opening)
            try:
                yield _events(heard)
            finally:
                engine.cancel(number)

    def close(self) -> None:
        """Stop the answer under way, refuse those that wait, and end the engine. From any thread."""
        self._closed = True
        self._engines.close()

    @contextlib.asynccontextmanager
    async def _my_turn(self) -> AsyncIterator[None]:
        if self.waiting >= MOST_WAITING:
            raise RefusedError(
                429,
                f"{MOST_WAITING} requests wait for their answer already. Try again later.",
                code="rate_limit_exceeded",
            )
        self.waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self.waiting -= 1
        try:
            if self._closed:
                raise RefusedError(503, "The server is ending.", code="engine_unavailable")
            yield
        finally:
            self._turn.release()


async def _events(heard: asyncio.Queue[AnswerEvent]) -> AsyncIterator[Token | Finished]:
    while True:
        match await heard.get():
            case Token() as token:
                yield token
            case Finished() as finished:
                yield finished
                return
            case Failed(id=None, known=True, message=message):
                raise RefusedError(503, message, code="engine_unavailable")
            case Failed(known=True, message=message):
                raise RefusedError(400, message, code="engine_refused")
            case Failed(message=message):
                raise RuntimeError(f"the engine failed:\n{message}")
            case Died(reason=reason):
                raise RefusedError(
                    503, f"The engine {reason} while it was answering. Try again.", code="engine_unavailable"
                )


async def while_there(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Do ``work``, and break it off the moment the client leaves.

    ``receive`` is that of a request whose body has been read. Raises what ``work`` raises.
    """
    import asyncio

    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        for each in (working, leaving):
            each.cancel()
        # By the time this returns, the answer of work that was broken off has been stopped.
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
