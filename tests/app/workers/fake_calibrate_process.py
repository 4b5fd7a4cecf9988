"""A real child process that speaks the calibrate protocol without a model.

Its first argument is what it does; ``--seen FILE`` makes it write the job it got there.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from calibrate.messages import (
    EVENTS,
    REQUESTS,
    Failed,
    InsightWritten,
    Job,
    Learned,
    Likeness,
    Notice,
    PairMade,
    Progress,
    Stop,
)
from engine.wire import sender, take_stdio

PAIRS = 3
LIKENESS = Likeness(own=-0.4, own_low=-0.5, own_high=-0.3, others=-0.1, words_heldout=900, passages_heldout=7)


def main() -> None:
    requests, events = take_stdio()
    send = sender(EVENTS, events)
    job = REQUESTS.decode(requests.readline())
    if "--seen" in sys.argv:
        seen = asdict(job) | {"hub": os.environ.get("HF_HUB_OFFLINE")}
        Path(sys.argv[sys.argv.index("--seen") + 1]).write_text(json.dumps(seen))
    what = sys.argv[1]
    send(Progress("select", 1, 1, 0.05, None))
    send(InsightWritten("Writes short and dry."))
    made = {pair.key for pair in job.made}
    for number in range(PAIRS):
        passage = job.documents[0].passages[0]
        key = f"pair {number}"
        if key not in made:
            send(PairMade(key, "history", passage.id, "letter", f"Query {number}", "own text", "plain text"))
        send(Progress("fabricate", number + 1, PAIRS, 0.1 + number / 10, 90.0))
        if what == "waits" and number == 1:
            waits_for_stop(requests, send)
            return
        if what == "interrupts" and number == 1:
            os.kill(os.getppid(), signal.SIGINT)
            waits_for_stop(requests, send)
            return
        if what == "deaf" and number == 1:
            time.sleep(600)
        if what == "killed" and number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "known" and number == 1:
            send(
                Failed(known=True, stopped=False, message="The model and its weights do not belong together.")
            )
            return
        if what == "bug" and number == 1:
            send(Failed(known=False, stopped=False, message="Traceback: ZeroDivisionError"))
            return
    learn(job, send)


def waits_for_stop(requests: Any, send: Any) -> None:
    assert isinstance(REQUESTS.decode(requests.readline()), Stop)
    send(Failed(known=True, stopped=True, message="stopped"))


def learn(job: Job, send: Any) -> None:
    file = Path(job.output_dir) / "control-vector.gguf"
    file.write_bytes(b"GGUF a voice")
    send(Notice("Measured on little text."))
    send(Progress("export", 1, 1, 1.0, 0.0))
    send(Learned(PAIRS, 12.5, 1.0, LIKENESS, {"control_vector": str(file)}, {"passes": "2"}))


if __name__ == "__main__":
    main()
