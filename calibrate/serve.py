"""The calibrate process: one job in on stdin, events out on stdout, gone when stdin closes.

Run as ``python -m calibrate.serve``.
"""

from __future__ import annotations

import os
import signal
import threading
import traceback
from typing import Any, BinaryIO

from calibrate.messages import EVENTS, REQUESTS, Failed, Job, Stop
from engine.wire import WireError, sender, take_stdio


def main() -> None:
    """Serve one job; always leaves through os._exit, so that no native thread can hold the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop, over the pipe
    requests, events = take_stdio()
    send = sender(EVENTS, events)
    stop = threading.Event()
    try:
        job = REQUESTS.decode(requests.readline())
    except WireError as error:
        send(Failed(known=False, stopped=False, message=str(error)))
        os._exit(1)
    threading.Thread(target=_listen, args=(requests, stop), daemon=True).start()
    send(_outcome(job, send, stop))
    os._exit(0)


def _listen(requests: BinaryIO, stop: threading.Event) -> None:
    for line in requests:
        try:
            if isinstance(REQUESTS.decode(line), Stop):
                stop.set()
        except WireError:
            continue
    # Closed: whoever wanted the result is gone. Every pair made has been sent already.
    os._exit(1)


def _outcome(job: Job, send: Any, stop: threading.Event) -> Any:
    try:
        # Nothing may be asked of a network while learning: the weights are files on this computer.
        os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")
        # Beside any other busy program, threads that spin while they wait make learning several times slower.
        os.environ.setdefault("GOMP_SPINCOUNT", "500")
        from calibrate.pipeline import Run
    except ModuleNotFoundError as error:
        message = f"Learning needs the package {error.name}: pip install 'idiolect-desktop[calibrate]'"
        return Failed(known=True, stopped=False, message=message)

    from calibrate.full_model import WeightsError
    from calibrate.pipeline import DisagreementError, TooLittleError
    from calibrate.refine import Interrupted
    from engine.errors import EngineError

    try:
        return Run(job, send, stop.is_set).learn()
    except Interrupted:
        return Failed(known=True, stopped=True, message="Stopped. Every pair made so far is kept.")
    except (TooLittleError, DisagreementError, WeightsError, EngineError) as error:
        return Failed(known=True, stopped=False, message=str(error))
    except MemoryError:
        message = (
            "The computer ran out of memory, even in the smallest steps. Close other programs, or learn with a "
            "smaller model. Every pair made so far is kept."
        )
        return Failed(known=True, stopped=False, message=message)
    except Exception:
        return Failed(known=False, stopped=False, message=traceback.format_exc())


if __name__ == "__main__":
    main()
