"""Stop signals: a training stops between two steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Whether a stop has been requested; ``name`` is the name of the signal, or None."""

    def __init__(self) -> None:
        self.name: str | None = None


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Catch the first SIGTERM and SIGINT (Ctrl-C) in this context, if it is in the main thread."""
    request = StopRequest()

    def record(number: int, frame: FrameType | None) -> None:
        request.name = signal.Signals(number).name
        signal.signal(number, before[signal.Signals(number)])  # a second signal ends the process at once

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, record) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
