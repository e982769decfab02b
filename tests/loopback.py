"""A server on the loopback address that misbehaves in every way: nothing leaves the machine."""

import hashlib
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


class Server:
    """Serves ``data`` under any path; ``behave`` answers in its place, told how many requests came before."""

    def __init__(self) -> None:
        self.data = bytes(range(256)) * 400
        self.behave: Callable[[Any, int], object] = whole
        self.ranges: list[str | None] = []  # of the GET requests
        self.hidden: str | None = None  # requests of paths with this in them are not found
        self.stopped = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                if owner.hidden and owner.hidden in self.path:
                    return self.send_error(404)
                return head(self)

            def do_GET(self) -> None:
                if owner.hidden and owner.hidden in self.path:
                    return self.send_error(404)
                owner.ranges.append(self.headers["Range"])
                with suppress(OSError):  # the client has left
                    owner.behave(self, len(owner.ranges) - 1)
                return None

            def log_message(self, *_: object) -> None:
                pass

            source = owner

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.stopped.set()
        self._http.shutdown()
        self._http.server_close()


def head(handler: Any, status: int = 200, begin: int = 0, **headers: str) -> bytes:
    """Send the headers of an answer, and return its body."""
    data = handler.source.data
    handler.send_response(status)
    described = {"Content-Length": str(len(data) - begin), "ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
    if status == 206:
        described["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
    described |= {"X-Repo-Commit": "0" * 40}
    for name, value in (described | {name.replace("_", "-"): text for name, text in headers.items()}).items():
        handler.send_header(name, value)
    handler.end_headers()
    return data[begin:]


def whole(handler: Any, _: int) -> None:
    handler.wfile.write(head(handler))
