"""What the engine process is asked and what it answers: frozen dataclasses, JSON lines on the pipe.

One engine process serves one model. Requests go in on stdin, events come out on stdout; the process ends
when stdin closes, so it cannot outlive the program that started it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.wire import Vocabulary, WireError

__all__ = [
    "EVENTS", "REQUESTS", "Adjust", "Cancel", "ChatTurn", "Failed", "Finished", "Generate", "Load", "Reading", "Ready",
    "Sampling", "Token", "VoiceUse", "Warm", "WireError",
]  # fmt: skip


@dataclass(frozen=True)
class ChatTurn:
    """One turn of a conversation; ``role`` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True)
class VoiceUse:
    """Which voice steers an answer: the paths of its files, and how strongly (0 = not at all).

    A voice has a control vector, an adapter (see `engine.adapterfile`) or both; "" for the one it has not.
    """

    control_vector: str = ""
    strength: float = 1.0
    adapter: str = ""


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn, and what ends them.

    ``seed`` None lets the engine draw one; it reports it in `Finished`. The answer ends before the first of ``stop``
    to come up. ``json_schema``: a JSON Schema as text; the answer will be JSON that fits it.
    """

    temperature: float = 0.7
    top_p: float = 0.9
    top_k: int = 40
    min_p: float = 0.05
    repeat_penalty: float = 1.1
    max_tokens: int = 400
    seed: int | None = None
    stop: tuple[str, ...] = ()
    json_schema: str = ""


@dataclass(frozen=True)
class Load:
    """Load the model; always the first request. ``threads`` 0 = as many as the computer has cores.

    ``kept_megabytes``: what may be taken to keep what was computed for other voices and conversations.
    """

    model_path: str
    context_tokens: int = 4096
    threads: int = 0
    kept_megabytes: int = 512


@dataclass(frozen=True)
class Generate:
    """Answer the last turn of ``turns``. Answered by `Reading`s, `Token`s and one `Finished`, or by `Failed`.

    ``blend``: further voices that steer beside ``voice``, each as strongly as it says; their effects add up.
    ``opening``: a text to go on writing, just as it stands, in place of ``turns``.
    """

    id: int
    turns: tuple[ChatTurn, ...]
    voice: VoiceUse | None = None
    sampling: Sampling = field(default_factory=Sampling)
    blend: tuple[VoiceUse, ...] = ()
    opening: str = ""


@dataclass(frozen=True)
class Warm:
    """Read ``turns`` under ``voice`` ahead of an answer that will begin with them. Not answered; a failure is left
    for the answer to tell, and any request that comes meanwhile ends it."""

    turns: tuple[ChatTurn, ...]
    voice: VoiceUse | None = None


@dataclass(frozen=True)
class Adjust:
    """From its next token on, write the answer ``id`` with its voice at ``strength``; those of its blend stay.

    What is written already stays too. Without effect on an answer that has ended, or was asked for without a voice.
    """

    id: int
    strength: float


@dataclass(frozen=True)
class Cancel:
    """Stop the generation ``id`` at once, in the middle of a prefill too; it ends with reason ``stopped``."""

    id: int


@dataclass(frozen=True)
class Ready:
    """The model is loaded. ``sha256`` identifies the weights file (what voice files are bound to)."""

    model_name: str
    architecture: str
    sha256: str
    hidden_size: int
    layer_count: int
    context_tokens: int
    seconds: float


@dataclass(frozen=True)
class Reading:
    """A long prompt of the answer ``id`` is being read: ``done`` of ``total`` tokens, those known before included."""

    id: int
    done: int
    total: int


@dataclass(frozen=True)
class Token:
    """A piece of the answer ``id``; never half a character."""

    id: int
    text: str


@dataclass(frozen=True)
class Finished:
    """The answer ``id`` is complete.

    ``reason``: ``end`` (the model ended it), ``length`` (max_tokens or the context was reached) or
    ``stopped`` (cancelled). ``turns_dropped``: how many of the oldest turns did not fit the context.
    """

    id: int
    reason: str
    seed: int
    prompt_tokens: int
    tokens: int
    seconds_to_first_token: float
    tokens_per_second: float
    turns_dropped: int = 0


@dataclass(frozen=True)
class Failed:
    """A request failed. ``id`` None: the model could not be loaded.

    ``known`` tells an error the person can act on (a missing file, a voice made for another model) from a
    bug, whose ``message`` carries the traceback.
    """

    id: int | None
    known: bool
    message: str


REQUESTS = Vocabulary([Load, Generate, Warm, Adjust, Cancel])
EVENTS = Vocabulary([Ready, Reading, Token, Finished, Failed])
