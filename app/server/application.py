"""The endpoints: HTTP requests in, answers of the engine and errors in OpenAI's shape out. Nothing is stored."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from app.errors import KnownError
from app.logfile import LogFile
from app.server.access import Access
from app.server.answering import Answers, while_there
from app.server.naming import Listed, Names
from app.server.protocol import Completion, RefusedError, Wanted, parse_chat, parse_completion
from engine.messages import Finished, Token

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

LARGEST_BODY = 1024 * 1024


class Application:
    """The ASGI application. ``tell`` gets a line for the person whenever a bug has been logged."""

    def __init__(
        self, names: Names, answers: Answers, access: Access, log: LogFile, tell: Callable[[str], None]
    ) -> None:
        from starlette.applications import Starlette
        from starlette.exceptions import HTTPException
        from starlette.routing import Route

        self._names, self._answers, self._access = names, answers, access
        self._log, self._tell = log, tell
        self._endpoints = Starlette(
            routes=[
                Route("/v1/models", self._models),
                Route("/v1/models/{name:path}", self._model),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/v1/completions", self._completions, methods=["POST"]),
                Route("/v1/embeddings", self._embeddings, methods=["POST"]),
            ],
            exception_handlers=dict.fromkeys(
                (RefusedError, KnownError, HTTPException, Exception), self._failed
            ),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        try:
            self._access.check(scope["headers"])
        except RefusedError as refused:
            await _error(refused)(scope, receive, send)
        else:
            await self._endpoints(scope, receive, send)

    async def _models(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        found = await run_in_threadpool(self._names.listed)
        return _json({"object": "list", "data": [_model(each, each.name) for each in found]})

    async def _model(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        name = request.path_params["name"]
        return _json(_model(await run_in_threadpool(self._names.check, name), name))

    async def _embeddings(self, request: Request) -> Response:
        raise RefusedError(501, "The models of this server give no embeddings.", code="not_supported")

    async def _chat(self, request: Request) -> ASGIApp:
        return await self._written(parse_chat(await _body(request)))

    async def _completions(self, request: Request) -> ASGIApp:
        return await self._written(parse_completion(await _body(request)))

    async def _written(self, wanted: Wanted) -> ASGIApp:
        from starlette.concurrency import run_in_threadpool

        speaker = await run_in_threadpool(self._names.speaker, wanted.model)

        async def work(scope: Scope, receive: Receive, send: Send) -> None:
            async with self._answers.answer(speaker, wanted.turns, wanted.sampling, wanted.opening) as events:
                if wanted.stream:
                    await self._stream(wanted, events, send)
                else:
                    whole = await _whole(wanted, events)
                    await _json(whole)(scope, receive, send)

        async def response(scope: Scope, receive: Receive, send: Send) -> None:
            await while_there(receive, work(scope, receive, send))

        return response

    async def _stream(self, wanted: Wanted, events: AsyncIterator[Token | Finished], send: Send) -> None:
        from starlette.responses import StreamingResponse

        # What goes wrong before the first event is told by the status, which is not sent before it.
        first = await anext(events)
        lines = self._lines(Completion.to(wanted), first, events)
        streaming = StreamingResponse(
            lines, media_type="text/event-stream", headers={"Cache-Control": "no-cache"}
        )
        # Not the whole response: that would listen for the client's leaving a second time.
        await streaming.stream_response(send)

    async def _lines(
        self, completion: Completion, first: Token | Finished, events: AsyncIterator[Token | Finished]
    ) -> AsyncIterator[str]:
        """The answer as server-sent events."""
        for each in completion.opening():
            yield _line(each)
        event: Token | Finished | None = first
        try:
            while event is not None:
                if isinstance(event, Token):
                    yield _line(completion.piece(event.text))
                else:
                    for each in completion.closing(event):
                        yield _line(each)
                event = await anext(events, None)
        except Exception as error:
            yield _line(self._refusal(error).json())
        else:
            yield "data: [DONE]\n\n"

    async def _failed(self, request: Request, error: Exception) -> Response:
        return _error(self._refusal(error))

    def _refusal(self, error: Exception) -> RefusedError:
        """What the client is told of ``error``; a bug is logged and told to the person."""
        from starlette.exceptions import HTTPException
        from starlette.requests import ClientDisconnect

        match error:
            case RefusedError():
                return error
            case KnownError():
                return RefusedError(503, str(error), code="unavailable")
            case HTTPException():
                return RefusedError(
                    error.status_code,
                    f"{error.detail}: see /v1/models, /v1/chat/completions and /v1/completions.",
                )
            case ClientDisconnect():  # while it sent its request; nobody reads this
                return RefusedError(400, "The request is not complete.")
        self._log.bug(error)
        self._tell(f"An unexpected error ({type(error).__name__}). Details are in {self._log.path}")
        return RefusedError(500, "An unexpected error; the log file of Idiolect has its details.")


async def _body(request: Request) -> bytes:
    """The body of ``request``. Raises RefusedError (413) for one too large, before it is read to its end."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_BODY:
            raise RefusedError(413, f"The request is larger than {LARGEST_BODY:,} bytes.", code="too_large")
    return bytes(body)


async def _whole(wanted: Wanted, events: AsyncIterator[Token | Finished]) -> dict[str, Any]:
    """The answer as one object."""
    pieces: list[str] = []
    async for event in events:
        if isinstance(event, Token):
            pieces.append(event.text)
        else:
            finished = event
    return Completion.to(wanted).whole("".join(pieces), finished)


def _model(listed: Listed, name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": listed.created, "owned_by": "idiolect"}


def _line(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value)}\n\n"


def _json(value: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    from starlette.responses import Response

    # Not JSONResponse: ASCII carries everything a client may have sent and gets back.
    return Response(json.dumps(value), status, headers, "application/json")


def _error(refused: RefusedError) -> Response:
    challenge = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else None
    return _json(refused.json(), refused.status, challenge)
