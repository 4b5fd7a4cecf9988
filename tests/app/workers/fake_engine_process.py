"""A real child process that speaks the engine's protocol without a model; what it does depends on the text
of the last turn."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from engine.messages import (
    EVENTS,
    REQUESTS,
    Adjust,
    Cancel,
    Failed,
    Finished,
    Generate,
    Load,
    Reading,
    Ready,
    Token,
    Warm,
)
from engine.wire import sender, take_stdio

WORDS = ("one ", "two ", "three")


def main() -> None:
    requests, events = take_stdio()
    send = sender(EVENTS, events)
    stopped = threading.Event()
    for line in requests:
        message = REQUESTS.decode(line)
        match message:
            case Load(model_path=path):
                if path.endswith("refused.gguf"):
                    send(Failed(None, known=True, message="The model file is damaged."))
                    continue
                if path.endswith("crashing.gguf"):
                    os.abort()
                send(Ready("tiny", "llama", "00", 4, 2, 64, 0.0))
                sys.stderr.write("loaded a model\n")
            case Cancel():
                stopped.set()
            case Warm(turns=turns):
                sys.stderr.write(f"warmed with {turns[0].content}\n")
            case Adjust(id=number, strength=strength):
                send(Token(number, str(strength)))
                send(Finished(number, "end", 1, 5, 1, 0.01, 100.0))
            case Generate():
                stopped.clear()
                threading.Thread(target=answer, args=(message, send, stopped, events), daemon=True).start()
    if "--deaf" in sys.argv:
        time.sleep(600)


def answer(request: Generate, send: Any, stopped: threading.Event, events: Any) -> None:
    wanted = request.turns[-1].content
    if wanted == "open":
        send(Token(request.id, WORDS[0]))
        stopped.wait()
        send(done(request, "stopped"))
        return
    if wanted == "adjusted":
        send(Token(request.id, ""))
        return
    if wanted == "slow":
        for done_so_far in range(4):
            time.sleep(0.3)
            send(Reading(request.id, done_so_far, 4))
    if wanted == "wedged":
        send(Token(request.id, WORDS[0]))
        time.sleep(600)
    for word in WORDS:
        time.sleep(0.3 if wanted == "slow" else 0.0)
        send(Token(request.id, word))
        if wanted == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if wanted == "exits":
            os._exit(3)
        if wanted == "garbage":
            events.write(b"this is no message\n")
    send(done(request, "end"))


def done(request: Generate, reason: str) -> Finished:
    return Finished(request.id, reason, 1, 5, len(WORDS), 0.01, 100.0)


if __name__ == "__main__":
    if "--ignores-signals" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if pid_file := os.environ.get("TEST_PID_FILE"):
        Path(pid_file).write_text(str(os.getpid()))
    main()
