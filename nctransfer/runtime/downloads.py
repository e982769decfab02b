"""Downloads by the loaders of torchvision, torch.hub, timm, open_clip and the Hugging Face libraries.

The loaders decide what to fetch, from where and to which file, and most of them verify it. They have no
limits, or each its own; here they send their requests through :mod:`nctransfer.runtime.transfer`.
"""

import hashlib
import re
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.client import HTTPException
from io import RawIOBase
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.response import addinfourl

from nctransfer.errors import DownloadError
from nctransfer.runtime.download_settings import DownloadSettings
from nctransfer.runtime.transfer import Answer, Download, Request, Transfer

limits = DownloadSettings()  # of this process; a job sets those of the configuration
_CHUNK = 1 << 20  # bytes
_urlopen = urllib.request.urlopen


@contextmanager
def downloading() -> Iterator[None]:
    """Hold downloads to the limits, in one thread at a time; DownloadError says file, server and reason."""
    download = Download(limits)
    with ExitStack() as stack:
        for module in (urllib.request, sys.modules.get("torch.hub")):
            if module is not None:
                stack.enter_context(replaced(module, "urlopen", partial(_open_url, download)))
        stack.enter_context(_hub(download))
        try:
            yield
        except Exception as error:
            # A library may have tried something else since, or told its own story.
            if download.failure is not None:
                raise download.failure from error
            raise


@contextmanager
def replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    """Let a name of a module mean something else meanwhile."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


class _Body(RawIOBase):
    """The body of an answer, as ``urlopen`` returns it."""

    def __init__(self, transfer: Transfer) -> None:
        self._chunks, self._left = transfer.chunks, b""
        self.length = transfer.first.length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._left = self._left or next(self._chunks, b"")
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size

    def close(self) -> None:
        self._chunks.close()
        super().close()


def _open_url(download: Download, url: Any, *arguments: Any, **options: Any) -> Any:
    """``urllib.request.urlopen`` within the limits."""
    asked = url if isinstance(url, urllib.request.Request) else urllib.request.Request(url)
    if asked.type not in ("http", "https") or arguments or options:
        return _urlopen(url, *arguments, **options)
    method = asked.get_method()

    def send(headers: dict[str, str]) -> Answer:
        headers = {**asked.headers, **headers}
        request = urllib.request.Request(asked.full_url, asked.data, headers, method=method)
        try:
            # the thread's limit comes first
            response = _urlopen(request, timeout=2 * download.limits.silent_seconds)
        except HTTPError as error:
            response = error
        chunks = iter(lambda: response.read1(_CHUNK), b"")
        about = response.url, response.reason
        return Answer(response.status, response.headers, chunks, response.close, *about)

    errors = (OSError, HTTPException)
    transfer = Transfer(Request(method, asked.full_url, asked.get_header("Range"), send, errors), download)
    first, body = transfer.first, _Body(transfer)
    headers: Any = first.headers
    if first.status >= 300:
        raise HTTPError(first.url, first.status, first.reason, headers, body)  # type: ignore[arg-type]
    return addinfourl(body, headers, first.url, first.status)  # type: ignore[arg-type]


@contextmanager
def _hub(download: Download) -> Iterator[None]:
    """Let huggingface_hub use a client within the limits, plain HTTP (not Xet), and verify checksums."""
    from huggingface_hub import constants, file_download, set_client_factory
    from huggingface_hub.errors import OfflineModeIsEnabled
    from huggingface_hub.utils import _http, httpx

    factory = _http._GLOBAL_CLIENT_FACTORY
    client = factory()  # with the user's proxies, certificates and wish to stay offline
    timeout = httpx.Timeout(2 * download.limits.silent_seconds).as_dict()

    def handle(request: Any) -> Any:
        method, url = request.method, request.url

        def send(headers: dict[str, str]) -> Answer:
            again = httpx.Request(
                method, url, content=request.content, extensions={"timeout": timeout},
                headers=httpx.Headers(request.headers) | headers,
            )  # fmt: skip
            response = client.send(again, stream=True, follow_redirects=False)
            about = str(url), response.reason_phrase
            return Answer(response.status_code, response.headers, response.iter_raw(), response.close, *about)

        errors = (httpx.TransportError,)
        asked = Request(method, str(url), request.headers.get("range"), send, errors)
        try:
            transfer = Transfer(asked, download)
        except DownloadError as error:
            # lets the library look into its cache, and not try again
            raise OfflineModeIsEnabled(str(error)) from error
        return httpx.Response(transfer.first.status, headers=transfer.first.headers, content=transfer.chunks)

    transport = httpx.MockTransport(handle)  # one that is a function
    set_client_factory(lambda: httpx.Client(transport=transport, follow_redirects=True, timeout=None))
    verified = partial(_get_verified, download, file_download.http_get)
    try:
        plain = replaced(constants, "HF_HUB_DISABLE_XET", True)
        with client, plain, replaced(file_download, "http_get", verified):
            yield
    finally:
        set_client_factory(factory)


def _get_verified(download: Download, get: Any, url: str, file: Any, **options: Any) -> None:
    """huggingface_hub's ``http_get``, and the SHA-256 by which the hub names a large file."""
    get(url, file, **options)
    file.flush()
    checksum = Path(file.name).name.partition(".")[0]
    if re.fullmatch("[0-9a-f]{64}", checksum):
        with Path(file.name).open("rb") as written:
            found = hashlib.file_digest(written, "sha256").hexdigest()
        if found != checksum:
            words = f"sent another file than it announced (SHA-256 {found} instead of {checksum})"
            download.failure = DownloadError(f"{url.partition('?')[0]}: the server {words}")
            raise download.failure
