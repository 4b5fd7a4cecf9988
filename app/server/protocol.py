"""OpenAI's protocol for conversations and for texts to go on with: the body of a request in, what is asked of the
engine out; and what the engine answered in, the JSON objects of the reply out.

Fields that are not known are ignored, and so are those that only tune how words are drawn and that this engine has
no equal of (``presence_penalty``, ``frequency_penalty``). Fields that would change what the answer *is* are refused.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.workers.chat import system_turn
from engine.messages import ChatTurn, Finished, Sampling

_LARGEST_NUMBER = 2**31 - 1
_MOST_STOPS = 4
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
# Fields with the value that asks for nothing, and why anything else is refused.
_UNSUPPORTED: Mapping[str, tuple[Any, str]] = {
    "n": (1, "one answer is written for one request"),
    "tools": ([], "this model calls no tools"),
    "functions": ([], "this model calls no functions"),
    "logprobs": (False, "the likelihoods of tokens are not told"),
    "top_logprobs": (0, "the likelihoods of tokens are not told"),
    "logit_bias": ({}, "the likelihoods of tokens cannot be changed"),
    "modalities": (["text"], "the answer is plain text"),
    "audio": (None, "the answer is plain text"),
    "web_search_options": (None, "nothing is looked up on a network"),
    "best_of": (1, "one text is written for one request"),
    "echo": (False, "the text is not repeated"),
    "suffix": (None, "a text is gone on with, not filled in"),
}


class RefusedError(Exception):
    """A request that is not carried out: the HTTP status, the message for the person, and OpenAI's ``code`` and
    ``param`` (the field the error is about)."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param

    def json(self) -> dict[str, Any]:
        """The error as OpenAI shapes it."""
        kind = "invalid_request_error"
        if self.status == 429:
            kind = "rate_limit_error"
        elif self.status >= 500:
            kind = "server_error"
        return {"error": {"message": str(self), "type": kind, "code": self.code, "param": self.param}}


@dataclass(frozen=True)
class Wanted:
    """What a client wants: an answer to ``turns``, or the rest of ``opening``. ``model`` is the name as it was sent;
    ``usage``: whether a stream ends with the numbers of tokens."""

    model: str
    turns: tuple[ChatTurn, ...]
    sampling: Sampling
    stream: bool
    usage: bool
    opening: str = ""


def parse_chat(body: bytes) -> Wanted:
    """The request in ``body``. Raises RefusedError (400), naming the field, for what is malformed or not supported."""
    fields = _object(body)
    return _wanted(fields, turns=_turns(fields.get("messages")))


def parse_completion(body: bytes) -> Wanted:
    """The request in ``body`` for the rest of a text. Raises RefusedError as `parse_chat` does."""
    fields = _object(body)
    prompt = fields.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        (prompt,) = prompt
    if not isinstance(prompt, str) or not prompt:
        raise RefusedError(400, "'prompt' must be one text, and not be empty.", param="prompt")
    return _wanted(fields, opening=_sendable(prompt))


def _wanted(fields: Mapping[str, Any], *, turns: tuple[ChatTurn, ...] = (), opening: str = "") -> Wanted:
    for name, (harmless, reason) in _UNSUPPORTED.items():
        if fields.get(name) not in (None, harmless):
            raise RefusedError(
                400, f"'{name}' is not supported: {reason}.", code="unsupported_parameter", param=name
            )
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise RefusedError(400, "'model' is missing: give the name of a model.", param="model")
    options = fields.get("stream_options") or {}
    if not isinstance(options, dict):
        raise RefusedError(400, "'stream_options' must be an object.", param="stream_options")
    return Wanted(
        model=_sendable(model),
        turns=turns,
        opening=opening,
        sampling=_sampling(fields),
        stream=_flag(fields, "stream"),
        usage=_flag(options, "include_usage"),
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "The body of the request is not JSON.") from error
    if not isinstance(fields, dict):
        raise RefusedError(400, "The body of the request is not a JSON object.")
    return fields


def _sampling(fields: Mapping[str, Any]) -> Sampling:
    """How to draw tokens; what is not said is as everywhere in this program."""
    usual = Sampling()
    limit = "max_tokens" if fields.get("max_completion_tokens") is None else "max_completion_tokens"
    return Sampling(
        temperature=_number(fields, "temperature", 2, usual.temperature),
        top_p=_number(fields, "top_p", 1, usual.top_p),
        max_tokens=_whole(fields, limit, 1) or usual.max_tokens,
        seed=_whole(fields, "seed", 0),
        stop=_stops(fields.get("stop")),
        json_schema=_json_schema(fields.get("response_format")),
    )


def _number(fields: Mapping[str, Any], name: str, most: int, usual: float) -> float:
    value = fields.get(name)
    if value is None:
        return usual
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise RefusedError(400, f"'{name}' must be a number from 0 to {most}.", param=name)
    return float(value)


def _whole(fields: Mapping[str, Any], name: str, least: int) -> int | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _LARGEST_NUMBER:
        raise RefusedError(
            400, f"'{name}' must be a whole number from {least} to {_LARGEST_NUMBER}.", param=name
        )
    return value


def _flag(fields: Mapping[str, Any], name: str) -> bool:
    value = fields.get(name)
    if value not in (None, True, False):
        raise RefusedError(400, f"'{name}' must be true or false.", param=name)
    return bool(value)


def _stops(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    stops = [value] if isinstance(value, str) else value
    if not (
        isinstance(stops, list)
        and len(stops) <= _MOST_STOPS
        and all(isinstance(each, str) and each for each in stops)
    ):
        raise RefusedError(
            400, f"'stop' must be a text, or a list of up to {_MOST_STOPS} texts.", param="stop"
        )
    return tuple(_sendable(each) for each in stops)


def _json_schema(wanted: Any) -> str:
    """The JSON Schema that the answer shall fit, as text; "" where it may be anything."""
    match wanted:
        case None | {"type": "text"}:
            return ""
        case {"type": "json_object"}:
            return '{"type": "object"}'
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            return json.dumps(schema)
    raise RefusedError(
        400,
        "'response_format' must be of the type text, json_object, or json_schema with its schema.",
        code="unsupported_value",
        param="response_format",
    )


def _turns(messages: Any) -> tuple[ChatTurn, ...]:
    """The conversation: the product's own system turn first unless the client sends one, empty turns left out, and
    neighbours of one role joined, since templates want the roles to take turns."""
    if not isinstance(messages, list) or not messages:
        raise RefusedError(400, "'messages' must be a list of at least one message.", param="messages")
    turns: list[ChatTurn] = []
    for number, message in enumerate(messages):
        turn = _turn(message, f"messages[{number}]")
        if turn.role != "system" and not turn.content.strip():
            continue
        if turns and turns[-1].role == turn.role:
            turn = ChatTurn(turn.role, f"{turns.pop().content}\n\n{turn.content}")
        turns.append(turn)
    if not turns or turns[-1].role != "user":
        raise RefusedError(
            400,
            "The last of 'messages' must be the user's, and not be empty: it is answered.",
            param="messages",
        )
    if not any(turn.role == "system" for turn in turns):
        turns.insert(0, system_turn())
    return tuple(turns)


def _turn(message: Any, place: str) -> ChatTurn:
    if not isinstance(message, dict):
        raise RefusedError(400, f"'{place}' must be an object.", param=place)
    role = _ROLES.get(str(message.get("role")))
    if role is None:
        raise RefusedError(400, f"'{place}.role' must be one of {', '.join(_ROLES)}.", param=f"{place}.role")
    if message.get("tool_calls"):
        raise RefusedError(
            400,
            f"'{place}.tool_calls' is not supported: this model calls no tools.",
            code="unsupported_parameter",
            param=f"{place}.tool_calls",
        )
    return ChatTurn(role, _content(message.get("content"), f"{place}.content"))


def _content(content: Any, place: str) -> str:
    """The text of a message; the parts of a list each begin a line."""
    if isinstance(content, str):
        return _sendable(content)
    if not isinstance(content, list):
        raise RefusedError(400, f"'{place}' must be a text or a list of parts.", param=place)
    texts = []
    for part in content:
        text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
        if not isinstance(text, str):
            raise RefusedError(
                400,
                f"'{place}' holds something else than text, which this model cannot read.",
                code="unsupported_value",
                param=place,
            )
        texts.append(_sendable(text))
    return "\n".join(texts)


def _sendable(text: str) -> str:
    """``text`` without lone halves of surrogate pairs, which JSON can spell and no pipe can carry."""
    return text.encode("utf-8", "replace").decode()


@dataclass(frozen=True)
class Completion:
    """The objects that reply to one request; all of them have its id, time and model. ``usage``: see `Wanted`."""

    model: str
    usage: bool
    id: str
    created: int

    @classmethod
    def to(cls, request: Wanted) -> Completion:
        """A reply to ``request``."""
        kind, name = (TextCompletion, "cmpl") if request.opening else (Completion, "chatcmpl")
        return kind(request.model, request.usage, f"{name}-{secrets.token_hex(12)}", int(time.time()))

    def whole(self, text: str, finished: Finished) -> dict[str, Any]:
        """The reply that is not streamed."""
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": None,
            "finish_reason": _finish_reason(finished),
        }
        return self._object("chat.completion", [choice]) | {"usage": _usage(finished)}

    def opening(self) -> list[dict[str, Any]]:
        """The first objects of a stream."""
        return [self._chunk({"role": "assistant", "content": ""})]

    def piece(self, text: str) -> dict[str, Any]:
        """A piece of text."""
        return self._chunk({"content": text})

    def closing(self, finished: Finished) -> list[dict[str, Any]]:
        """The last objects of a stream: why it ended, and the numbers of tokens if they were asked for."""
        last = [self._chunk({}, _finish_reason(finished))]
        if self.usage:
            last.append(self._numbers(finished))
        return last

    def _numbers(self, finished: Finished) -> dict[str, Any]:
        return self._object("chat.completion.chunk", []) | {"usage": _usage(finished)}

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        none_yet = {"usage": None} if self.usage else {}
        return self._object("chat.completion.chunk", [choice]) | none_yet

    def _object(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }


class TextCompletion(Completion):
    """The same for a text that was gone on with."""

    def whole(self, text: str, finished: Finished) -> dict[str, Any]:
        """The reply that is not streamed."""
        return self._text(text, _finish_reason(finished)) | {"usage": _usage(finished)}

    def opening(self) -> list[dict[str, Any]]:
        """Nothing comes before the text."""
        return []

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        none_yet = {"usage": None} if self.usage else {}
        return self._text(delta.get("content", ""), finish_reason) | none_yet

    def _numbers(self, finished: Finished) -> dict[str, Any]:
        return self._object("text_completion", []) | {"usage": _usage(finished)}

    def _text(self, text: str, finish_reason: str | None) -> dict[str, Any]:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}
        return self._object("text_completion", [choice])


def _finish_reason(finished: Finished) -> str:
    return "length" if finished.reason == "length" else "stop"


def _usage(finished: Finished) -> dict[str, int]:
    return {
        "prompt_tokens": finished.prompt_tokens,
        "completion_tokens": finished.tokens,
        "total_tokens": finished.prompt_tokens + finished.tokens,
    }
