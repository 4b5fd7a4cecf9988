"""A loaded model that answers: prompt in, text out piece by piece, steered or plain.

Goes in: a GGUF file, then `Prompt`s under a `Steering`. Comes out: an `Answer`, which is iterated for its text.

What was computed for a prompt is kept, and reused for the next one as far as the two begin alike, so that a long
conversation is not read again at every turn. A change of steering forgets it all, since it changes every hidden
state.

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
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.chat import Chat, Prompt
from engine.errors import EngineError
from engine.header import check_model_file
from engine.messages import Sampling
from engine.native import Adapter, Context, Logits, Weights
from engine.stopping import StopFlag
from engine.voice import PLAIN, FileVersion, Fit, Steering, Voices
from engine.writer import Writer

_FEWEST_TOGETHER = 2


class Model:
    """One model in memory, made by `load`. Used by one thread at a time.

    ``name``, ``architecture``, ``sha256`` (of the file), ``hidden_size`` and ``layer_count`` identify it;
    ``context_tokens`` is what a prompt and its answer may take together. ``chat`` makes prompts, ``voices``
    steerings that fit it.
    """

    def __init__(
        self, path: Path, weights: Weights, context: Context, context_tokens: int, sha256: str
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
        self._adapter: tuple[FileVersion, Adapter] | None = None  # the one loaded last, in force or not
        self._held: list[int] = []  # the tokens whose computation is in memory …
        self._together = 0  # … and how many of them, from the first on, were computed in groups

    @classmethod
    def load(cls, path: Path, context_tokens: int = 4096, threads: int = 0) -> Model:
        """Load ``path``, to work with ``threads`` threads (0: as many as there are processors for it).

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
        return cls(path, weights, context, context_tokens, hashing.result())

    def close(self) -> None:
        """Free its memory."""
        self._context.close()
        if self._adapter is not None:
            self._adapter[1].close()
        self.weights.close()

    def steer(self, steering: Steering) -> None:
        """Answer under ``steering`` from now on; under `PLAIN` neither vectors nor an adapter are in force.

        Raises EngineError when the adapter cannot be loaded; then nothing has changed.
        """
        if steering.key == self._steering.key:
            return
        adapter = self._loaded(steering.adapter) if steering.adapter is not None else None
        self._context.steer(steering.vectors)
        self._context.adapt(adapter, steering.strength)
        self._context.clear()
        self._held, self._together = [], 0
        self._steering = steering

    def _loaded(self, version: FileVersion) -> Adapter:
        """The adapter in ``version``; kept, so that another strength is no reload. The one before is freed."""
        if self._adapter is None or self._adapter[0] != version:
            adapter = Adapter(self.weights, Path(version.path))
            if self._adapter is not None:
                self._context.adapt(None)
                self._adapter[1].close()
            self._adapter = version, adapter
        return self._adapter[1]

    def answer(self, prompt: Prompt, sampling: Sampling, stop: StopFlag | None = None) -> Answer:
        """The answer to ``prompt``, written while it is iterated. Setting ``stop`` ends it at once."""
        return Answer(self, prompt, sampling, stop or StopFlag())

    def read(self, tokens: Sequence[int], stop: StopFlag | None = None, *, exact: bool = True) -> bool:
        """Compute ``tokens`` as far as that is not done already. False when ``stop`` was set before the end.

        ``exact`` reuses only what was computed in groups.
        """
        self._context.obey(stop)
        known = self._held[: self._together] if exact else self._held
        kept = min(_common_length(known, tokens), max(0, len(tokens) - _FEWEST_TOGETHER))
        if not self._context.forget(0, kept):  # some kinds of model cannot forget a part
            self._context.clear()
            kept = 0
        self._held = self._held[:kept]
        self._together = min(self._together, kept)
        return all(self._compute(group) for group in groups(tokens[kept:], self._context.room))

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

    def __init__(self, model: Model, prompt: Prompt, sampling: Sampling, stop: StopFlag) -> None:
        self.seed = secrets.randbelow(2**31) if sampling.seed is None else sampling.seed
        self.tokens = 0
        self.reason = "stopped"
        self._model, self._prompt, self._sampling, self._stop = model, prompt, sampling, stop

    def __iter__(self) -> Iterator[str]:
        model, tokens, stop = self._model, self._prompt.tokens, self._stop
        if not model.read(tokens, stop, exact=self._sampling.seed is not None):
            return
        most = min(self._sampling.max_tokens, model.context_tokens - len(tokens))
        writer = Writer(model.weights, self._sampling, self.seed, self._prompt.stops, most)
        try:
            while not (writer.reason or stop.is_set()):
                if text := model.draw(writer):
                    yield text
                self.tokens = writer.tokens
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


def _common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens the two begin with alike."""
    for length, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return length
    return min(len(one), len(other))


def groups(tokens: Sequence[int], most: int) -> list[Sequence[int]]:
    """``tokens`` cut into groups of ``most``, the last two evened out so that no token is left alone."""
    groups = [tokens[start : start + most] for start in range(0, len(tokens), most)]
    if len(groups) > 1 and len(groups[-1]) < _FEWEST_TOGETHER:
        last = [*groups[-2], *groups[-1]]
        groups[-2:] = [last[:-_FEWEST_TOGETHER], last[-_FEWEST_TOGETHER:]]
    return groups
