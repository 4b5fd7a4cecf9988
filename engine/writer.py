"""One answer as it is written: tokens are drawn one by one and become text, until something ends it.

Goes in: a context that has computed what comes before. Comes out: pieces of text, never half a character.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from llama_cpp.llama_grammar import json_schema_to_gbnf

from engine.errors import EngineError
from engine.messages import Sampling
from engine.native import Context, Sampler, Weights


class Writer:
    """Draws the tokens of one answer.

    ``last`` is the token drawn last, which is to be computed before the next can be drawn; ``tokens`` how many
    were drawn. ``reason`` is empty while the answer goes on, then ``end`` (the model ended it, or one of
    ``stops`` or of the stops asked for did) or ``length`` (``most`` tokens were drawn).
    """

    def __init__(
        self, weights: Weights, sampling: Sampling, seed: int, stops: Sequence[str], most: int
    ) -> None:
        """Raises EngineError for a JSON schema that is none."""
        self.last = -1
        self.tokens = 0
        self.reason = "" if most > 0 else "length"
        self._weights = weights
        self._sampler = Sampler(weights, sampling, seed, grammar_of(sampling.json_schema))
        self._text = TextStream([*stops, *(stop for stop in sampling.stop if stop)])
        self._most = most

    def draw(self, context: Context, index: int = -1) -> str:
        """Draw a token from what was computed at ``index``; the text it makes certain."""
        token = self._sampler.draw(context, index)
        if self._weights.ends(token):
            self.reason = "end"
            return self._text.rest()
        self.last = token
        self.tokens += 1
        text = self._text.feed(self._weights.piece(token))
        if self._text.ended:
            self.reason = "end"
        elif self.tokens == self._most:
            self.reason = "length"
            text += self._text.rest()
        return text

    def close(self) -> None:
        """Free the sampler."""
        self._sampler.close()


def grammar_of(json_schema: str) -> str:
    """The texts that fit ``json_schema``, as llama.cpp wants them described; "" for "".

    Raises EngineError, saying why, where it is no schema.
    """
    if not json_schema:
        return ""
    try:
        rules: str = json_schema_to_gbnf(json_schema)
    except Exception as error:  # the converter raises whatever it stumbles over
        raise EngineError(f"The JSON schema cannot be used: {error or type(error).__name__}.") from error
    return rules


class TextStream:
    """Fed with the bytes of one token after another, gives the text that is certain so far.

    A character whose bytes are spread over tokens is given with its last byte, or not at all; bytes that can
    be no character become U+FFFD. ``ended`` turns true when one of ``stops`` appears; neither it nor what
    follows is given, and what might be the beginning of one is held back until it is certain.
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self.ended = False
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stops = stops
        self._held = ""

    def feed(self, piece: bytes) -> str:
        """The text that ``piece`` makes certain."""
        self._held += self._decoder.decode(piece)
        found = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if found:
            self.ended = True
            certain, self._held = self._held[: min(found)], ""
            return certain
        certain_length = len(self._held) - self._beginning_of_stop()
        certain, self._held = self._held[:certain_length], self._held[certain_length:]
        return certain

    def rest(self) -> str:
        """What was held back, once nothing follows."""
        rest, self._held = self._held, ""
        return rest

    def _beginning_of_stop(self) -> int:
        """How many characters at the end of what is held may begin a stop."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stops):
                return length
        return 0
