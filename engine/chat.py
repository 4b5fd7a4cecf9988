"""A conversation as the tokens a model was trained to read, and which part of it is kept when it gets too long.

Goes in: turns. Comes out: a `Prompt`. The words around the turns are the model's own chat template (Jinja, in a
sandbox). A model without one, or whose template fails, gets `FALLBACK`: a plain dialogue, which a model that
never saw a chat format understands best.

Text cannot pose as the template: where a turn spells the name of a control token ("<|im_end|>"), it reaches the
model as these letters and not as the token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from engine.errors import EngineError
from engine.messages import ChatTurn
from engine.native import Weights
from engine.remembered import common_length

FALLBACK = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] + '\n\n' }}"
    "{% elif message['role'] == 'user' %}{{ 'User: ' + message['content'] + '\n\n' }}"
    "{% else %}{{ 'Assistant: ' + message['content'] + '\n\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
_FALLBACK_STOPS = ("\nUser:", "\nAssistant:")

# Put into the names of control tokens found in a turn, and cut out again behind the template. A noncharacter of
# Unicode: no text holds it.
_BREAK = "\ufdd0"
# A text too long loses turns until it fills this share of the room, so that the cut stays where it is for a while
# and the turns behind it need not be read anew at each answer.
_FILLED_AFTER_CUT = 0.75
# The answer is given this share of the context at most when turns have to leave for it …
_ANSWER_SHARE = 0.25
# … and this many tokens at least; a message that leaves less room is too long.
_LEAST_ANSWER = 32
# Texts of turns found harmless, or made so; a conversation of this many is long.
_TURNS_KNOWN = 512


@dataclass(frozen=True)
class Prompt:
    """The tokens to answer, how many of the oldest turns are not in them, and texts that end the answer."""

    tokens: list[int]
    turns_dropped: int
    stops: tuple[str, ...]


class Chat:
    """The chat format of one model."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        template = weights.metadata("tokenizer.chat_template")
        self._format = _formatter(template, weights) if template else None
        self._fallback = Jinja2ChatFormatter(FALLBACK, eos_token="", bos_token="")
        # Each turn comes again with every answer that follows it.
        self._harmless = lru_cache(_TURNS_KNOWN)(self._broken)
        # What the template adds to a turn, in tokens; only used to choose where to cut.
        self._frame = self._measured_frame()

    def prompt(self, turns: Sequence[ChatTurn], context_tokens: int, max_tokens: int) -> Prompt:
        """The tokens that ask for an answer to the last of ``turns`` and leave room for it.

        The oldest exchanges (a user turn and what answered it) leave whole when there is not enough room; the
        system prompt and the last exchange stay. Raises EngineError, with the numbers, when these do not fit.
        """
        room = context_tokens - min(max_tokens, int(context_tokens * _ANSWER_SHARE))
        tokens, stops = self._tokens(turns)
        if len(tokens) <= room:
            return Prompt(tokens, 0, stops)
        system, exchanges = _exchanges(turns)
        first = self._cut(system, exchanges, room)
        while True:
            kept = [*system, *(turn for exchange in exchanges[first:] for turn in exchange)]
            tokens, stops = self._tokens(kept)
            if len(tokens) <= room or first == len(exchanges) - 1:
                break
            first += 1
        if len(tokens) + min(max_tokens, _LEAST_ANSWER) > context_tokens:
            raise EngineError(
                f"The message is too long for this model: with its instructions it takes {len(tokens):,} tokens, "
                f"and the model reads at most {context_tokens:,}, answer included. Shorten it, or send it in parts."
            )
        return Prompt(tokens, len(turns) - len(kept), stops)

    def plain(self, text: str, context_tokens: int) -> Prompt:
        """The tokens of ``text`` itself, to be gone on with. Raises EngineError, with the numbers, for one too long."""
        weights = self._weights
        tokens = weights.tokenize(text)
        if weights.begins_texts and weights.begin >= 0:
            tokens.insert(0, weights.begin)
        if len(tokens) + _LEAST_ANSWER > context_tokens:
            raise EngineError(
                f"The text is too long for this model: it takes {len(tokens):,} tokens, and the model reads at most "
                f"{context_tokens:,}, what follows included. Shorten it."
            )
        return Prompt(tokens, 0, ())

    def opening(self, turns: Sequence[ChatTurn]) -> list[int]:
        """The tokens that every prompt begins with which begins with ``turns``, whatever the person says next."""
        one, other = (self._tokens([*turns, ChatTurn("user", word)])[0] for word in ("A", "9"))
        return one[: common_length(one, other)]

    def _tokens(self, turns: Sequence[ChatTurn]) -> tuple[list[int], tuple[str, ...]]:
        text, stops = self._render([ChatTurn(turn.role, self._harmless(turn.content)) for turn in turns])
        weights = self._weights
        tokens = [token for part in text.split(_BREAK) for token in weights.tokenize(part, special=True)]
        # Most templates write the token texts begin with themselves.
        if weights.begins_texts and weights.begin >= 0 and tokens[:1] != [weights.begin]:
            tokens.insert(0, weights.begin)
        return tokens, stops

    def _render(self, turns: Sequence[ChatTurn]) -> tuple[str, tuple[str, ...]]:
        """The conversation as text. Some templates know no system role: its words then open the first turn."""
        if self._format is not None:
            for attempt in (turns, _without_system(turns)):
                try:
                    text = self._format(messages=_messages(attempt)).prompt
                except Exception:  # a template is a program out of the model file: anything may fail
                    continue
                if text:
                    return text, ()
        return self._fallback(messages=_messages(turns)).prompt, _FALLBACK_STOPS

    def _broken(self, text: str) -> str:
        """``text`` with the names of control tokens broken in two."""
        text = text.replace(_BREAK, "\ufffd")
        while True:
            found = {
                token for part in text.split(_BREAK) for token in self._weights.tokenize(part, special=True)
            }
            broken = text
            for name in [self._weights.name_of(token) for token in found if self._weights.is_special(token)]:
                if len(name) > 1:
                    broken = broken.replace(name, name[0] + _BREAK + name[1:])
            if broken == text:
                return text
            text = broken

    def _measured_frame(self) -> int:
        one = ChatTurn("user", "a")
        three = [one, ChatTurn("assistant", "a"), one]
        both = len(self._tokens(three)[0]) - len(self._tokens([one])[0])
        return max(0, -(-both // 2) - len(self._weights.tokenize("a")))

    def _cut(self, system: Sequence[ChatTurn], exchanges: Sequence[Sequence[ChatTurn]], room: int) -> int:
        """The first exchange to keep.

        Found by going through the conversation as it happened, so that it is the same for many answers in a
        row: whenever a new question outgrew ``room``, the oldest exchanges left.
        """
        filled, first = self._size(system), 0
        for number, exchange in enumerate(exchanges):
            filled += self._size(exchange[:1])
            if filled > room:
                while filled > room * _FILLED_AFTER_CUT and first < number:
                    filled -= self._size(exchanges[first])
                    first += 1
            filled += self._size(exchange[1:])
        return first

    def _size(self, turns: Sequence[ChatTurn]) -> int:
        return sum(len(self._weights.tokenize(turn.content)) + self._frame for turn in turns)


def _formatter(template: str, weights: Weights) -> Jinja2ChatFormatter | None:
    """The template ready for use; None when it is no Jinja."""
    try:
        return Jinja2ChatFormatter(
            template, eos_token=weights.name_of(weights.end), bos_token=weights.name_of(weights.begin)
        )
    except Exception:  # the sandbox' parser raises whatever a broken template makes it raise
        return None


def _messages(turns: Sequence[ChatTurn]) -> list[Any]:
    """``turns`` as a template knows them."""
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def _without_system(turns: Sequence[ChatTurn]) -> list[ChatTurn]:
    words = [turn.content for turn in turns if turn.role == "system"]
    rest = [turn for turn in turns if turn.role != "system"]
    if words and rest:
        rest[0] = ChatTurn(rest[0].role, "\n\n".join([*words, rest[0].content]))
    return rest


def _exchanges(turns: Sequence[ChatTurn]) -> tuple[list[ChatTurn], list[list[ChatTurn]]]:
    """The system turns, and the others in groups that each begin with a user turn."""
    exchanges: list[list[ChatTurn]] = []
    for turn in turns:
        if turn.role == "system":
            continue
        if turn.role == "user" or not exchanges:
            exchanges.append([])
        exchanges[-1].append(turn)
    return [turn for turn in turns if turn.role == "system"], exchanges
