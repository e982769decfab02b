"""One answer of a web server, received over as many connections as it takes, within limits.

Time-outs of sockets bound neither name servers nor a server that sends a byte now and then. So whatever may
block runs in a thread, which is left behind when its time is over.
"""

import logging
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from nctransfer.errors import DownloadError
from nctransfer.runtime.download_settings import DownloadSettings

RETRIED = {408, 429, 500, 502, 503, 504}
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between two tries
REPORT_SECONDS = 30.0
T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What a server answered: its status, its headers, and its body as it arrives."""

    status: int
    headers: Mapping[str, str]  # names in any case
    chunks: Iterator[bytes]
    close: Callable[[], Any]
    url: str  # after redirects
    reason: str

    @property
    def length(self) -> int | None:
        """Bytes of the body; None where the server does not tell."""
        text = self.headers.get("content-length") or ""
        return int(text) if text.isdigit() else None

    def __str__(self) -> str:
        return " ".join(f"answered {self.status} {self.reason}".split())


@dataclass(frozen=True)
class Request:
    """What is asked of a server, as often as need be."""

    method: str
    url: str
    range: str | None  # its header of that name
    send: Callable[[dict[str, str]], Answer]  # with these further headers
    errors: tuple[type[BaseException], ...]  # what ``send`` and the chunks raise if the network fails


@dataclass
class Download:
    """All requests for one data set or one model."""

    limits: DownloadSettings
    failure: DownloadError | None = None  # the last one, until another request succeeds
    lost: dict[str, DownloadError] = field(default_factory=dict)  # first failure of each server
    began: float = field(default_factory=time.monotonic)

    def seconds_left(self) -> float:
        """Until the total limit."""
        return self.began + 3600 * self.limits.hours - time.monotonic()


class _TryError(Exception):
    """A try failed; another one may succeed, after a pause in seconds that the server may ask for."""

    def __init__(self, reason: object, pause: float = 0.0) -> None:
        super().__init__(str(reason))
        self.pause = pause


class Transfer:
    """An answer, whose ``chunks`` arrive whole or raise DownloadError within the limits.

    After a broken connection the body goes on where it broke off: the server is asked for the rest
    (``Range``), or what it sends again is skipped.
    """

    first: Answer
    _answer: Answer | None = None  # of the connection in use

    def __init__(self, request: Request, download: Download) -> None:
        """Send a request. DownloadError: the server gave no usable answer."""
        self._request, self._download, self._limits = request, download, download.limits
        self._host = urlsplit(request.url).hostname or request.url
        self._file = PurePosixPath(unquote(urlsplit(request.url).path)).name or request.url
        # libraries like to ask a server that failed for something else
        self._tries = 1 if self._host in download.lost else self._limits.tries
        # first and last byte that the request asks for; None if it asks for something else
        self._span = re.fullmatch(r"bytes=(\d+)-(\d*)", request.range or "bytes=0-")
        self._received = self._received_before = self._failures = 0
        self._reported = time.monotonic()
        self._thread = _Thread()
        self.chunks = self._within_limits()
        next(self.chunks)
        download.failure = None
        if self.first.status >= 400 or "infinite loop" in self.first.reason:  # urllib's word for redirects
            download.failure = DownloadError(f"{self._file}: {self._host} {self.first}")

    def _within_limits(self) -> Generator[bytes, None, None]:
        """Nothing when the first answer is there; then its body."""
        try:
            while True:
                try:
                    if not hasattr(self, "first"):
                        self.first, skipped = self._sent(), 0
                        yield b""
                    else:
                        skipped = self._resumed()
                    yield from self._body(skipped)
                    return
                except _TryError as failure:
                    self._try_again(failure)
        finally:
            self._thread.leave(self._answer)

    def _sent(self, **headers: str) -> Answer:
        self._answer = answer = self._in_time(lambda: self._request.send(headers))
        if answer.status in RETRIED:
            raise _TryError(answer, _pause(answer.headers))
        kind = answer.headers.get("content-type") or ""
        if answer.status == 200 and self._request.method == "GET" and kind.startswith("text/html"):
            raise self._given_up("sent a web page in place of the file")
        return answer

    def _resumed(self) -> int:
        """Ask for the bytes that are missing; returns how many known ones come before these."""
        begin = int(self._span[1]) + self._received if self._span else 0
        answer = self._sent(**({"Range": f"bytes={begin}-{self._span[2]}"} if self._span else {}))
        for name in ("etag", "last-modified"):
            if answer.headers.get(name) != self.first.headers.get(name):
                raise _TryError("changed the file meanwhile")
        if self._span and (answer.headers.get("content-range") or "").startswith(f"bytes {begin}-"):
            return 0
        if answer.status != self.first.status:
            raise _TryError(answer)
        return self._received

    def _body(self, skipped: int) -> Iterator[bytes]:
        answer, arrived, counted, waited = self._answer, 0, 0, 0.0
        if answer is None or self._request.method == "HEAD":
            return
        while True:
            began = time.monotonic()
            chunk = self._in_time(lambda: next(answer.chunks, b""))
            waited += time.monotonic() - began
            arrived, counted = arrived + len(chunk), counted + len(chunk)
            if not chunk:
                break
            if waited > self._limits.silent_seconds:
                if counted < 1000 * self._limits.least_kb_per_second * waited:
                    raise _TryError(f"sent {counted / waited / 1000:.2g} kB/s")
                waited, counted = 0.0, 0
            chunk, skipped = chunk[skipped:], max(0, skipped - len(chunk))
            self._received += len(chunk)
            self._report()
            if chunk:
                yield chunk
        if arrived < (answer.length or 0):
            raise _TryError(f"broke off after {arrived} of {answer.length} bytes")

    def _in_time(self, function: Callable[[], T]) -> T:
        seconds = min(self._limits.silent_seconds, self._download.seconds_left())
        try:
            return self._thread.call(function, max(0.0, seconds))
        except Empty:
            if self._download.seconds_left() <= 0:
                limit = f"{self._limits.hours:g} hours (operation.downloads.hours)"
                raise self._given_up(f"did not send everything within {limit}") from None
            raise _TryError(f"was silent for {self._limits.silent_seconds:g} s") from None
        except self._request.errors as error:
            cause = getattr(error, "reason", None) or error  # of urllib
            reason = " ".join(str(cause).split()) or type(cause).__name__
            raise _TryError(f"broke off the connection ({reason})") from error

    def _try_again(self, failure: _TryError) -> None:
        """Wait before another try; DownloadError if there is none left."""
        self._thread.leave(self._answer)
        self._thread, self._answer = _Thread(), None
        enough = max(1.0, 1000 * self._limits.least_kb_per_second * self._limits.silent_seconds)
        if self._received - self._received_before >= enough:
            self._failures = 0
        self._failures, self._received_before = self._failures + 1, self._received
        if self._failures >= self._tries:
            raise self._given_up(f"{failure}, given up at try {self._failures}")
        pause = max(failure.pause, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (self._failures - 1)))
        if pause > self._download.seconds_left():
            raise self._given_up(f"{failure}; another try in {pause:.0f} s would be too late")
        logger.info("%s: %s %s; trying again in %.3g s", self._file, self._host, failure, pause)
        time.sleep(pause)

    def _given_up(self, reason: str) -> DownloadError:
        error = DownloadError(f"{self._file}: {self._host} {reason}")
        self._download.failure = self._download.lost.setdefault(self._host, error)
        return self._download.failure

    def _report(self) -> None:
        if time.monotonic() - self._reported >= REPORT_SECONDS:
            self._reported = time.monotonic()
            total = "" if self.first.length is None else f" of {self.first.length / 1e6:.0f}"
            so_far = f"{self._received / 1e6:.0f}{total} MB from {self._host}"
            logger.info("%s: %s", self._file, so_far, extra={"terminal": "download"})


class _Thread:
    """Makes calls that may block, one after the other, until it is left behind."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._results: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        Thread(target=self._run, name="download", daemon=True).start()

    def call(self, function: Callable[[], T], seconds: float) -> T:
        """Result or error of a call; queue.Empty if it takes longer."""
        self._calls.put(function)
        result, error = self._results.get(timeout=seconds)
        if error is not None:
            raise error
        return result

    def leave(self, answer: Answer | None) -> None:
        """End after the call under way, and close an answer."""
        if answer is not None:
            self._calls.put(answer.close)
        self._calls.put(None)

    def _run(self) -> None:
        while (function := self._calls.get()) is not None:
            try:
                self._results.put((function(), None))
            except BaseException as error:
                self._results.put((None, error))


def _pause(headers: Mapping[str, str]) -> float:
    """Seconds that a server asks to wait; 0 where it does not."""
    after = headers.get("retry-after") or ""
    if after.isdigit():
        return float(after)
    limited = re.search(r"r=0;\s*t=(\d+)", headers.get("ratelimit") or "")  # of the Hugging Face hub
    return float(limited[1]) if limited else 0.0
