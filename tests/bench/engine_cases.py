"""The measurements of `tests.bench.engine`: the engine as the program uses it, beside llama-cpp-python by itself.

Goes in: a model file. Comes out: numbers by name.
"""

from __future__ import annotations

import queue
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import gguf
import numpy as np
import psutil  # type: ignore[import-untyped]
from llama_cpp import Llama

from app.workers.chat import system_turn
from app.workers.engine_client import AnswerEvent, Died, Engine
from engine.adapterfile import LowRankEdit, write_low_rank_edit
from engine.messages import ChatTurn, Failed, Finished, Sampling, Token, VoiceUse
from engine.model import processors
from engine.voicefile import ControlVector, write_control_vector

_CONTEXT = 4096
_STORY = ChatTurn("user", "Write a very long story with many chapters about a journey through the mountains.")
_FILLER = "The road went up between the walls and down again to the river, and nobody was on it. "
_STOPS = 60
# A voice that changes next to nothing: what is written stays of the usual length.
_SMALL = 1e-4

# What a program holds that does nothing but answer once; the process prints its own size.
_BARE = """
import sys
from llama_cpp import Llama
model = Llama(sys.argv[1], n_ctx=4096, n_threads=int(sys.argv[2]), n_threads_batch=int(sys.argv[2]), verbose=False)
for _ in model("Once upon a time", max_tokens=16, stream=True):
    pass
print("ready", flush=True)
sys.stdin.readline()
"""


@dataclass(frozen=True)
class Timed:
    """One answer, in seconds as the one who asked saw them."""

    first: float
    whole: float
    tokens: int
    text: str

    @property
    def speed(self) -> float:
        """Tokens per second after the first."""
        return (self.tokens - 1) / (self.whole - self.first)


class Asker:
    """The engine as the program uses it."""

    def __init__(self, path: Path, logs: Path) -> None:
        self.engine = Engine(path, logs)

    def answer(
        self,
        turns: Sequence[ChatTurn],
        tokens: int,
        voice: VoiceUse | None = None,
        stop_after: float | None = None,
    ) -> Timed:
        """Ask and wait; ``stop_after`` seconds the answer is stopped, and ``whole`` counts from there."""
        heard: queue.SimpleQueue[tuple[float, AnswerEvent]] = queue.SimpleQueue()
        sampling = Sampling(max_tokens=tokens)
        began = time.perf_counter()
        number = self.engine.generate(
            turns, voice, sampling, lambda event: heard.put((time.perf_counter(), event))
        )
        if stop_after is not None:
            time.sleep(stop_after)
            began = time.perf_counter()
            self.engine.cancel(number)
        first, text = 0.0, ""
        while True:
            at, event = heard.get()
            match event:
                case Token():
                    first = first or at - began
                    text += event.text
                case Finished():
                    return Timed(first, at - began, event.tokens, text)
                case Failed() | Died():
                    raise RuntimeError(str(event))

    @property
    def memory(self) -> int:
        """Bytes of the engine process that are its own or of the model."""
        (child,) = [
            each for each in psutil.Process().children() if "engine.serve" in " ".join(each.cmdline())
        ]
        return int(child.memory_info().rss)


def measure(
    path: Path, folder: Path, repeats: int, tokens: int, tell: Callable[[str], None]
) -> dict[str, float]:
    """All of it."""
    asker = Asker(path, folder)
    try:
        tell("memory")
        asker.answer([system_turn(), _STORY], 16)
        found = {"memory_over_bare_mb": (asker.memory - _bare_memory(path)) / 2**20}
        tell("speed, beside bare llama-cpp-python")
        found |= _against_bare(asker, path, repeats, tokens)
        tell("voices on and off")
        found |= _voices(asker, path, folder, repeats, tokens)
        tell("a conversation of twenty turns")
        found["ttft_turn20_vs_turn2"] = median(_twenty_turns(asker, run) for run in range(repeats))
        tell("switching voices")
        found["voice_switch_vs_prefill"] = median(_switch(asker, path, folder, run) for run in range(repeats))
        tell("stopping")
        found["stop_p99_ms"] = _stops(asker)
        return found
    finally:
        asker.engine.close()


def _bare_memory(path: Path) -> int:
    command = [sys.executable, "-c", _BARE, str(path), str(processors())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = int(psutil.Process(child.pid).memory_info().rss)
        child.kill()
    return found


def _against_bare(asker: Asker, path: Path, repeats: int, tokens: int) -> dict[str, float]:
    threads = processors()
    bare: Any = Llama(str(path), n_ctx=_CONTEXT, n_threads=threads, n_threads_batch=threads, verbose=False)
    sampling = Sampling()

    def asked(run: int) -> list[ChatTurn]:
        """Nothing of it is known from the run before."""
        return [ChatTurn("system", f"{run}. {system_turn().content}"), _STORY]

    def alone(run: int) -> Timed:
        messages = [{"role": turn.role, "content": turn.content} for turn in asked(run)]
        bare.reset()
        began, first, count = time.perf_counter(), 0.0, 0
        for chunk in bare.create_chat_completion(
            messages,
            stream=True,
            max_tokens=tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            repeat_penalty=sampling.repeat_penalty,
        ):
            if chunk["choices"][0]["delta"].get("content"):
                first = first or time.perf_counter() - began
                count += 1
        return Timed(first, time.perf_counter() - began, count, "")

    pairs = [(asker.answer(asked(run), tokens), alone(run)) for run in range(repeats)]
    return {
        "tokens_per_second": median(ours.speed for ours, _ in pairs),
        "decode_vs_bare": median(ours.speed for ours, _ in pairs)
        / median(theirs.speed for _, theirs in pairs),
        "first_token_over_bare_ms": 1000
        * (median(ours.first for ours, _ in pairs) - median(theirs.first for _, theirs in pairs)),
    }


def _voices(asker: Asker, path: Path, folder: Path, repeats: int, tokens: int) -> dict[str, float]:
    uses = {
        "voice_on_vs_off": voice_file(path, folder / "v", vector=True),
        "adapter_on_vs_off": voice_file(path, folder / "a", rank=2),
        "voice_and_adapter_on_vs_off": voice_file(path, folder / "b", vector=True, rank=4),
    }
    turns = [system_turn(), _STORY]
    speeds: dict[str, list[float]] = {name: [] for name in ("", *uses)}
    for _ in range(repeats):
        for name, use in {"": None, **uses}.items():
            speeds[name].append(asker.answer(turns, tokens, use).speed)
    return {name: median(speeds[name]) / median(speeds[""]) for name in uses}


def _twenty_turns(asker: Asker, run: int) -> float:
    """Time to first token of the last turn against the second, with as much new text."""
    turns = [ChatTurn("system", f"{run}. {system_turn().content}")]
    firsts = []
    for turn in range(20):
        turns.append(ChatTurn("user", f"Go on. {_FILLER}{turn % 10}"))
        answer = asker.answer(turns, 24)
        firsts.append(answer.first)
        turns.append(ChatTurn("assistant", answer.text))
    return firsts[19] / firsts[1]


def _switch(asker: Asker, path: Path, folder: Path, run: int) -> float:
    """Going back to the plain model in a conversation of 2,000 tokens, against reading it."""
    use = voice_file(path, folder / "s", vector=True, rank=4)
    turns = [ChatTurn("system", f"{run}."), ChatTurn("user", _FILLER * 95)]
    reading = asker.answer(turns, 4).first
    asker.answer(turns, 4, use)
    return asker.answer(turns, 4).first / reading


def _stops(asker: Asker) -> float:
    """Milliseconds, the 99th percentile of stops in the middle of reading and of writing."""
    chance, found = random.Random(0), []
    for run in range(_STOPS):
        turns = [ChatTurn("system", f"{run}."), ChatTurn("user", _FILLER * (90 if run % 2 else 1))]
        found.append(asker.answer(turns, 400, stop_after=chance.uniform(0.02, 0.6)).whole * 1000)
    return quantiles(found, n=100)[98]


def voice_file(path: Path, name: Path, *, vector: bool = False, rank: int = 0) -> VoiceUse:
    """A voice for the model in ``path`` that changes next to nothing."""
    reader = gguf.GGUFReader(path)
    architecture = str(reader.fields["general.architecture"].contents())
    hidden, layers, inner = (
        int(reader.fields[f"{architecture}.{key}"].contents())
        for key in ("embedding_length", "block_count", "feed_forward_length")
    )
    noise = np.random.default_rng(0)

    def small(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return noise.normal(0, _SMALL, shape).astype(np.float32)

    use = VoiceUse()
    if vector:
        file = ControlVector(architecture, {layer: small(hidden) for layer in range(1, layers)}, None)
        write_control_vector(name.with_suffix(".vector.gguf"), file)
        use = VoiceUse(str(name.with_suffix(".vector.gguf")))
    if rank:
        edit = {layer: (small(rank, inner), small(hidden, rank)) for layer in range(layers)}
        write_low_rank_edit(name.with_suffix(".adapter.gguf"), LowRankEdit(architecture, edit, None))
        use = VoiceUse(use.control_vector, adapter=str(name.with_suffix(".adapter.gguf")))
    return use
