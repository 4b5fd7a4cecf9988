"""A loaded model that answers: prompt in, text out piece by piece, steered or plain.

Goes in: a GGUF file, then `Prompt`s under a `Steering`. Comes out: an `Answer`, which is iterated for its text.

What was computed for a prompt is kept, and reused for the next one as far as the two begin alike, so that a long
conversation is not read again at every turn. Another steering changes every hidden state: what was computed under
the former one is put away, and taken up again when that one comes back (`engine.remembered`); the same for another
conversation.

The same prompt, steering, sampling and seed give the same text, whatever was computed before. That takes care: a
token computed alone differs in the last bits from the same token computed together with others, and thirty blocks
make another word of that. So prompts are always computed in groups of two tokens and more, and where a seed is
asked for, what an earlier answer computed token by token is computed again in groups.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from engine.chat import Chat, Prompt
from engine.errors import EngineError
from engine.header import check_model_file
from engine.messages import Sampling
from engine.native import Adapter, Context, Logits, Weights
from engine.remembered import FEWEST_TOKENS, Entry, Remembered, common_length
from engine.stopping import StopFlag
from engine.voice import PLAIN, FileVersion, Fit, Steering, Voices
from engine.writer import Writer

_FEWEST_TOGETHER = 2
# Adapters in memory, in force or not; one takes about a megabyte.
_MOST_ADAPTERS = 8

OnRead = Callable[[int, int], None]


class Model:
    """One model in memory, made by `load`. Used by one thread at a time.

    ``name``, ``architecture``, ``sha256`` (of the file), ``hidden_size`` and ``layer_count`` identify it;
    ``context_tokens`` is what a prompt and its answer may take together. ``chat`` makes prompts, ``voices``
    steerings that fit it.
    """

    def __init__(
        self,
        path: Path,
        weights: Weights,
        context: Context,
        context_tokens: int,
        sha256: str,
        remembered_bytes: int = 0,
    ) -> None:
        self.path = path
        self.sha256 = sha256
        self.name = weights.metadata("general.name") or path.stem
        self.architecture = weights.metadata("general.architecture") or ""
        self.hidden_size = weights.hidden_size
        self.layer_count = weights.layer_count
        self.context_tokens = context_tokens
        self.weights = weights
        self.chat = Chat(weights)
        inner = weights.metadata(f"{self.architecture}.feed_forward_length") or ""
        self.voices = Voices(
            Fit(
                self.name,
                sha256,
                self.architecture,
                self.hidden_size,
                self.layer_count,
                int(inner) if inner.isdecimal() else 0,  # some models list one for every block
            )
        )
        self._context = context
        self._steering = PLAIN
        self._adapters: dict[FileVersion, Adapter] = {}  # those used last at the end
        self._remembered = Remembered(remembered_bytes)
        self._held: list[int] = []  # the tokens whose computation is in memory …
        self._together = 0  # … and how many of them, from the first on, were computed in groups
        self._mixed = False  # some of them under another steering than the others

    @classmethod
    def load(
        cls,
        path: Path,
        context_tokens: int = 4096,
        threads: int = 0,
        remembered_bytes: int = 0,
    ) -> Model:
        """Load ``path``, to work with ``threads`` threads (0: as many as there are processors for it), and to remember
        what was computed for other voices and conversations in ``remembered_bytes`` at most.

        Raises EngineError, naming the file, when it is missing, unreadable, damaged or no model.
        """
        check_model_file(path)
        hashing = _Hashing(path)
        weights = Weights(path)
        try:
            context_tokens = min(context_tokens, weights.trained_context or context_tokens)
            context = Context(weights, context_tokens, threads=threads or processors())
        except EngineError:
            weights.close()
            raise
        return cls(path, weights, context, context_tokens, hashing.result(), remembered_bytes)

    def close(self) -> None:
        """Free its memory."""
        self._context.close()
        for adapter in self._adapters.values():
            adapter.close()
        self.weights.close()

    def steer(self, steering: Steering) -> None:
        """Answer under ``steering`` from now on; under `PLAIN` neither vectors nor an adapter are in force.

        Raises EngineError when an adapter cannot be loaded; then nothing has changed.
        """
        if steering.key == self._steering.key and not self._mixed:
            return
        adapters = self._loaded(steering)
        self._put_away()
        self._force(steering, adapters)
        self._context.clear()
        self._held, self._together, self._mixed = [], 0, False

    def steer_on(self, steering: Steering) -> None:
        """Go on under ``steering`` from the next token, keeping what was computed under another one.

        What is held is then of no steering, and is forgotten before the next answer.
        """
        self._force(steering, self._loaded(steering))
        self._mixed = True

    def _force(self, steering: Steering, adapters: Sequence[tuple[Adapter, float]]) -> None:
        self._context.steer(steering.vectors)
        self._context.adapt(adapters)
        self._steering = steering

    def _loaded(self, steering: Steering) -> list[tuple[Adapter, float]]:
        """The adapters of ``steering``. They are kept, so that another strength is no reload."""
        scales: dict[FileVersion, float] = {}
        for version, scale in steering.adapters:
            scales[version] = scales.get(version, 0.0) + scale
        loaded = []
        for version, scale in scales.items():
            adapter = self._adapters.pop(version, None) or Adapter(self.weights, Path(version.path))
            self._adapters[version] = adapter
            loaded.append((adapter, scale))
        surplus = list(self._adapters)[: max(0, len(self._adapters) - max(_MOST_ADAPTERS, len(loaded)))]
        if surplus:
            self._context.adapt()  # one of them may be in force
            for version in surplus:
                self._adapters.pop(version).close()
        return loaded

    def answer(
        self,
        prompt: Prompt,
        sampling: Sampling,
        stop: StopFlag | None = None,
        *,
        on_read: OnRead | None = None,
        steered_anew: Callable[[], Steering | None] | None = None,
    ) -> Answer:
        """The answer to ``prompt``, written while it is iterated. Setting ``stop`` ends it at once.

        ``on_read(done, total)`` counts the tokens of the prompt while they are computed. ``steered_anew`` is asked
        before every token whether it shall be written under another steering. Raises EngineError for a JSON schema
        that is none.
        """
        return Answer(self, prompt, sampling, stop or StopFlag(), on_read, steered_anew)

    def read(
        self,
        tokens: Sequence[int],
        stop: StopFlag | None = None,
        *,
        exact: bool = True,
        on_read: OnRead | None = None,
    ) -> bool:
        """Compute ``tokens`` as far as that is not done already. False when ``stop`` was set before the end.

        ``exact`` reuses only what was computed in groups. ``on_read(done, total)`` is told after every group.
        """
        self._context.obey(stop)
        kept = min(self._known(tokens, exact), max(0, len(tokens) - _FEWEST_TOGETHER))
        if not self._context.forget(0, kept):  # some kinds of model cannot forget a part
            self._context.clear()
            kept = 0
        self._held = self._held[:kept]
        self._together = min(self._together, kept)
        for group in groups(tokens[kept:], self._context.room):
            if not self._compute(group):
                return False
            if on_read is not None:
                on_read(len(self._held), len(tokens))
        return True

    def _known(self, tokens: Sequence[int], exact: bool) -> int:
        """How many of ``tokens`` are computed already, in memory or after taking up what was put away."""
        kept = common_length(self._held[: self._together] if exact else self._held, tokens)
        entry, length = self._remembered.take(
            self._steering.key, tokens, exact=exact, beyond=kept + FEWEST_TOKENS
        )
        if entry is not None:
            self._put_away()
            restored = self._context.restore(entry.state)
            self._held = list(entry.tokens) if restored else []
            self._together = entry.together if restored else 0
            return length if restored else 0
        if kept < len(self._held) // 2:  # another conversation; less is the same one with its end changed
            self._put_away()
        return kept

    def _put_away(self) -> None:
        """Keep a copy of what is held, for when the same steering comes back to the same conversation."""
        if self._mixed or len(self._held) < FEWEST_TOKENS:
            return
        if self._remembered.has_room_for(self._context.state_size()):
            held = Entry(self._steering.key, tuple(self._held), self._together, self._context.state())
            self._remembered.put(held)

    def write(self, token: int) -> bool:
        """Compute one more token, after what `read` computed. False when the flag given there was set."""
        return self._compute([token])

    def logits(self) -> Logits:
        """What is expected after the last token computed: (vocabulary,)."""
        return self._context.logits()

    def draw(self, writer: Writer) -> str:
        """Have ``writer`` draw the token that follows the last one computed; its text."""
        return writer.draw(self._context)

    def _compute(self, group: Sequence[int]) -> bool:
        self._context.add(group, len(self._held))
        if not self._context.run():
            return False
        if self._together == len(self._held) and len(group) >= _FEWEST_TOGETHER:
            self._together += len(group)
        self._held += group
        return True


class Answer:
    """Text as it is written, never half a character. Iterate it once; the numbers are final after that.

    ``seed``: the one asked for, or drawn. ``tokens``: how many were written. ``reason``: ``end`` (the model
    ended it), ``length`` (max_tokens or the context was reached) or ``stopped``.
    """

    def __init__(
        self,
        model: Model,
        prompt: Prompt,
        sampling: Sampling,
        stop: StopFlag,
        on_read: OnRead | None,
        steered_anew: Callable[[], Steering | None] | None,
    ) -> None:
        self.seed = secrets.randbelow(2**31) if sampling.seed is None else sampling.seed
        self.tokens = 0
        self.reason = "stopped"
        self._model, self._prompt, self._stop, self._on_read = model, prompt, stop, on_read
        self._steered_anew = steered_anew or (lambda: None)
        self._exact = sampling.seed is not None
        most = min(sampling.max_tokens, model.context_tokens - len(prompt.tokens))
        self._writer = Writer(model.weights, sampling, self.seed, prompt.stops, most)

    def __iter__(self) -> Iterator[str]:
        model, writer, stop = self._model, self._writer, self._stop
        try:
            if not model.read(self._prompt.tokens, stop, exact=self._exact, on_read=self._on_read):
                return
            while not (writer.reason or stop.is_set()):
                if text := model.draw(writer):
                    yield text
                self.tokens = writer.tokens
                if (steering := self._steered_anew()) is not None:
                    model.steer_on(steering)
                if not (writer.reason or model.write(writer.last)):
                    break
            self.reason = writer.reason or "stopped"
        finally:
            writer.close()


class _Hashing:
    """The SHA-256 of a file, computed beside the loading of it: both wait for the same disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sha256 = ""
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._hash, name="hashing", daemon=True)
        self._thread.start()

    def _hash(self) -> None:
        try:
            self._sha256 = file_sha256(self._path)
        except OSError as error:
            self._error = error

    def result(self) -> str:
        """The digest. Raises EngineError when the file could not be read to its end."""
        self._thread.join()
        if self._error is not None:
            reason = self._error.strerror or self._error
            raise EngineError(f"The model file {self._path} cannot be read: {reason}. Get it again.")
        return self._sha256


_known_hashes: dict[tuple[str, int, int], str] = {}


def file_sha256(path: Path) -> str:
    """The SHA-256 of ``path``; computed once in this process, unless the file changes."""
    status = path.stat()
    version = (str(path.resolve()), status.st_size, status.st_mtime_ns)
    if version not in _known_hashes:
        with path.open("rb") as file:
            _known_hashes[version] = hashlib.file_digest(file, "sha256").hexdigest()
    return _known_hashes[version]


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def groups(tokens: Sequence[int], most: int) -> list[Sequence[int]]:
    """``tokens`` cut into groups of ``most``, the last two evened out so that no token is left alone."""
    groups = [tokens[start : start + most] for start in range(0, len(tokens), most)]
    if len(groups) > 1 and len(groups[-1]) < _FEWEST_TOGETHER:
        last = [*groups[-2], *groups[-1]]
        groups[-2:] = [last[:-_FEWEST_TOGETHER], last[-_FEWEST_TOGETHER:]]
    return groups
