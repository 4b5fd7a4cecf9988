"""The quantised model the person will write with: writes the pairs, and says how requests become tokens.

Goes in: requests and answers as text. Comes out: answers as text, samples as token ids. Tokens come from the
engine's own chat format, so learning and writing see the very same prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from calibrate.batching import Sample
from engine.batch import answer_many
from engine.messages import ChatTurn, Sampling
from engine.model import Model, processors
from resources import read_text

# Long enough for any request with its answer; a passage is 200 words.
_CONTEXT_TOKENS = 4096


class Quantised:
    """The engine's model inside the calibrate process. ``system`` opens every request, as it does in use."""

    def __init__(self, path: Path) -> None:
        """Load ``path``. Raises EngineError naming the file."""
        self.path = path
        self.threads = processors()
        self._model = Model.load(path, _CONTEXT_TOKENS, self.threads)
        self.system = read_text("prompts", "system.txt")
        self.sha256 = self._model.sha256
        self.name = self._model.name
        self.architecture = self._model.architecture
        self.hidden_size = self._model.hidden_size
        self.layer_count = self._model.layer_count

    def close(self) -> None:
        """Free the model."""
        self._model.close()

    def sample(self, query: str, answer: str, *, ends: bool = False) -> Sample:
        """``query`` and ``answer`` as the model reads them; ``ends`` adds the token that ends an answer."""
        turns = (ChatTurn("system", self.system), ChatTurn("user", query))
        tokens = self._model.weights.tokenize(answer)
        end = self._model.weights.end
        if ends and end >= 0:
            tokens = [*tokens, end]
        prompt = self._model.chat.prompt(turns, _CONTEXT_TOKENS, len(tokens))
        return Sample(tuple(prompt.tokens), tuple(tokens))

    def answers(
        self,
        requests: Sequence[tuple[str, str]],
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        on_answer: Callable[[int, str], None] = lambda index, text: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> list[str]:
        """The model's answers to ``requests`` – (system prompt, request) each – many at a time.

        ``on_answer(index, text)`` gets each as it is complete. Answers not made when ``should_stop`` ended
        it are empty.
        """
        texts = [""] * len(requests)

        def on_done(index: int, text: str) -> None:
            texts[index] = text.strip()
            on_answer(index, texts[index])

        answer_many(
            self._model,
            [(ChatTurn("system", system), ChatTurn("user", request)) for system, request in requests],
            Sampling(temperature=temperature, max_tokens=max_tokens),
            seed,
            on_done,
            should_stop,
        )
        return texts
