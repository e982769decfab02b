"""Downloads end within their limits, with the file or one message, whatever the server does.

Nothing leaves the machine: a server on the loopback address misbehaves in every way.
"""

import gzip
import hashlib
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import open_clip
import pytest
import timm
import torch
import torchvision
from loopback import PROXIES, Server, head, whole
from open_clip.factory import _MODEL_CONFIGS
from safetensors.torch import save
from torchvision import datasets

from nctransfer.data.sources.huggingface.read import open_split
from nctransfer.data.sources.huggingface.settings import HuggingFaceSettings
from nctransfer.data.torchvision_downloads import Archive, downloaded
from nctransfer.errors import DataError, DownloadError, ModelError, NCTransferError
from nctransfer.models.settings import ModelJobSettings
from nctransfer.models.sources import open_clip as open_clip_source
from nctransfer.models.sources import timm as timm_source
from nctransfer.models.sources import torchvision as torchvision_source
from nctransfer.runtime import downloads, job, transfer
from nctransfer.runtime.download_settings import DownloadSettings

SECONDS = 6  # of one download
SLACK = 20


def silent(handler: Any, _: int) -> None:
    handler.source.stopped.wait()


def half_then_silent(handler: Any, _: int) -> None:
    body = head(handler)
    handler.wfile.write(body[: len(body) // 2])
    handler.source.stopped.wait()


def drip(handler: Any, _: int) -> None:
    for byte in head(handler):
        handler.wfile.write(bytes([byte]))
        if handler.source.stopped.wait(0.02):
            break


def drip_of_headers(handler: Any, _: int) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not handler.source.stopped.wait(0.02):
        handler.wfile.write(b"x")


def half(handler: Any, _: int) -> None:
    body = head(handler)
    handler.wfile.write(body[: len(body) // 2])


def half_then_rest(handler: Any, before: int) -> None:
    if asked := re.fullmatch(r"bytes=(\d+)-", handler.headers["Range"] or ""):
        handler.wfile.write(head(handler, 206, int(asked[1])))
    else:
        half(handler, before)


def halves_then_whole(handler: Any, before: int) -> None:
    """Begins at the start each time."""
    (half if before < 2 else whole)(handler, before)


def half_then_another(handler: Any, before: int) -> None:
    if before:
        handler.source.data = b"another file of the same length!" * 3200
    half_then_rest(handler, before)


def page(handler: Any, _: int) -> None:
    handler.wfile.write(head(handler, Content_Type="text/html; charset=utf-8"))


def busy(handler: Any, before: int) -> None:
    if before == 0:
        head(handler, 429, Content_Length="0", Retry_After="1")
    else:
        whole(handler, before)


def busy_for_an_hour(handler: Any, _: int) -> None:
    head(handler, 429, Content_Length="0", Retry_After="3600")


def down_thrice(handler: Any, before: int) -> None:
    if before < 3:
        handler.send_error(503)
    else:
        whole(handler, before)


def down(handler: Any, _: int) -> None:
    handler.send_error(503)


def elsewhere(handler: Any, before: int) -> None:
    if before == 0:
        head(handler, 302, Content_Length="0", Location="/elsewhere/file.bin")
    else:
        whole(handler, before)


def in_circles(handler: Any, _: int) -> None:
    head(handler, 302, Content_Length="0", Location=handler.path)


def missing(handler: Any, _: int) -> None:
    handler.send_error(404)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HOME", str(tmp_path))
    running = Server()
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", running.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", running.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    yield running
    running.stop()


def fetched(server: Server) -> bytes:
    with downloads.downloading(), urllib.request.urlopen(f"{server.url}/file.bin") as response:
        content: bytes = b"".join(iter(lambda: response.read(10_000), b""))
        return content


LIMITS = DownloadSettings(silent_seconds=0.2, least_kb_per_second=1, tries=4, hours=SECONDS / 3600)


def failure(
    download: Callable[[], object],
    kind: type[NCTransferError] = DownloadError,
    limits: DownloadSettings = LIMITS,
) -> str:
    """Message of a download that ends within its limits."""
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(kind) as error:
        patch.setattr(downloads, "limits", limits)
        download()
    assert time.monotonic() - began < SECONDS + SLACK
    return str(error.value)


# --- one file ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behave", "requests"),
    [
        (whole, 1), (half_then_rest, 2), (halves_then_whole, 3), (busy, 2), (down_thrice, 4), (elsewhere, 2),
    ],
)  # fmt: skip
def test_a_file_arrives_whole(server: Server, behave: Any, requests: int) -> None:
    server.behave = behave
    assert fetched(server) == server.data
    assert len(server.ranges) == requests


@pytest.mark.parametrize(
    ("behave", "words", "requests"),
    [
        (silent, "was silent for 0.2 s, given up at try 4", 4),
        (half_then_silent, "was silent for 0.2 s, given up at try 4", 4),
        (drip, "kB/s, given up at try 4", 4),
        (drip_of_headers, "was silent for 0.2 s, given up at try 4", 4),
        (half, "broke off after 51200 of 102400 bytes, given up at try 4", 4),
        (half_then_another, "changed the file meanwhile, given up at try 4", 4),
        (page, "sent a web page in place of the file", 1),
        (busy_for_an_hour, "answered 429 Too Many Requests; another try in 3600 s would be too late", 1),
        (down, "answered 503 Service Unavailable, given up at try 4", 4),
        (in_circles, "answered 302 .*infinite loop", 11),
        (missing, "answered 404 Not Found", 1),
    ],
)
def test_a_failure_has_one_message(server: Server, behave: Any, words: str, requests: int) -> None:
    server.behave = behave
    assert re.fullmatch(rf"file\.bin: 127\.0\.0\.1 .*{words}.*", failure(lambda: fetched(server)))
    assert len(server.ranges) <= requests


def test_only_the_missing_part_is_asked_for(server: Server) -> None:
    server.behave = half_then_rest
    fetched(server)
    assert server.ranges == [None, f"bytes={len(server.data) // 2}-"]

    def half_then_rest_of_it(handler: Any, before: int) -> None:
        part = head(handler, 206, int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-")))
        handler.wfile.write(part if before > 2 else part[:400])

    server.behave = half_then_rest_of_it
    request = urllib.request.Request(f"{server.url}/file.bin", headers={"Range": "bytes=1000-"})
    with downloads.downloading(), urllib.request.urlopen(request) as response:
        assert b"".join(iter(lambda: response.read(10_000), b"")) == server.data[1000:]
    assert server.ranges[2:] == ["bytes=1000-", "bytes=1400-"]


def test_compressed_answers_of_the_hub_are_read(server: Server) -> None:
    text, server.data = server.data, gzip.compress(server.data)
    server.behave = lambda handler, _: handler.wfile.write(head(handler, Content_Encoding="gzip"))
    with downloads.downloading():
        assert huggingface_hub.get_session().get(f"{server.url}/file.json").content == text


def test_the_total_limit_ends_what_goes_on_and_a_dead_server_is_named(server: Server) -> None:
    limits = DownloadSettings(silent_seconds=60, least_kb_per_second=0, hours=0.5 / 3600)
    server.behave = drip
    message = failure(lambda: fetched(server), limits=limits)
    assert "did not send everything within 0.000138889 hours" in message
    server.stop()
    message = failure(lambda: fetched(server))
    assert "127.0.0.1 broke off the connection ([Errno 111] Connection refused)" in message


def test_progress_is_told_in_the_log_and_in_the_terminal(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(transfer, "REPORT_SECONDS", 0.0)
    package = logging.getLogger("nctransfer")
    handlers, propagate, level = package.handlers, package.propagate, package.level
    try:
        job._log_to(tmp_path / "log", "model")
        fetched(server)
        package.info("something else")
        package.warning("something to know")
    finally:
        package.handlers, package.propagate = handlers, propagate
        package.setLevel(level)
    shown = capfd.readouterr().err
    assert f"download in rule model ({tmp_path / 'log'}): file.bin: 0 of 0 MB from 127.0.0.1" in shown
    assert "warning in rule model" in shown
    assert "something else" not in shown
    assert "file.bin: 0 of 0 MB from 127.0.0.1" in (tmp_path / "log").read_text()


JOB = """
import urllib.request
from types import SimpleNamespace
from nctransfer.runtime.job import job
from nctransfer.runtime.downloads import downloading
from nctransfer.stamp import UNSTAMPED

limits = {{"silent_seconds": 0.2, "tries": 1}}
snakemake = SimpleNamespace(
    config={{
        "study": None, "resources": {{"threads": 1}}, "paths": {{"downloads": "."}},
        "operation": {{"downloads": limits}}, "package": {{"folder": {root!r} + "/nctransfer"}},
        "reruns": {{"identity": "contents"}},
    }},
    rule="model", log=["log.txt"], input={{}}, output=[], resources={{}},
    params=SimpleNamespace(job={{"settings": {{}}, "stamp": UNSTAMPED.to_json()}}),
)
with job(snakemake), downloading():
    urllib.request.urlopen("{url}/file.bin")
"""


def test_a_job_has_the_limits_of_the_configuration_and_ends_with_one_message(
    server: Server, tmp_path: Path
) -> None:
    server.behave = silent
    root = str(Path(downloads.__file__).parents[2])
    ended = subprocess.run(
        [sys.executable, "-c", JOB.format(root=root, url=server.url)],
        cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": root},
    )  # fmt: skip
    message = "file.bin: 127.0.0.1 was silent for 0.2 s, given up at try 1"
    assert ended.stderr == f"error in rule model (log.txt):\n{message}\n"
    assert ended.returncode == 1


# --- the libraries -------------------------------------------------------------------------


def data_set(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    archive = Archive("file.bin", f"{server.url}/file.bin", hashlib.md5(server.data).hexdigest(), True)
    fetch = lambda root: datasets.utils.download_url(archive.url, root, archive.path, archive.md5)  # noqa: E731
    return lambda: downloaded("Tiny", [archive], fetch, folder / "downloads")


def torchvision_weights(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], object]:
    torch.save(torchvision.models.squeezenet1_1().state_dict(), folder / "weights.pth")
    server.data = (folder / "weights.pth").read_bytes()
    url = f"{server.url}/squeezenet1_1-{hashlib.sha256(server.data).hexdigest()[:8]}.pth"
    entry = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1
    monkeypatch.setattr(entry, "_value_", replace(entry.value, url=url))
    settings = ModelJobSettings(
        source="torchvision", name="squeezenet1_1", weights=entry.name, unit_layout="squeezenet"
    )
    return lambda: torchvision_source.fetch(settings, None)


TIMM = ModelJobSettings(source="timm", name="test_resnet.r160_in1k", unit_layout="stages")


def timm_hub(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    server.data = save(timm.create_model(TIMM.name).state_dict())
    return lambda: timm_source.fetch(TIMM, None)


def timm_url(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    torch.save(timm.create_model(TIMM.name).state_dict(), folder / "weights.pth")
    server.data = (folder / "weights.pth").read_bytes()
    url = f"{server.url}/resnet-{hashlib.sha256(server.data).hexdigest()[:8]}.pth"
    monkeypatch.setattr("timm.models._builder._resolve_pretrained_source", lambda _: ("url", url))
    return lambda: timm_source.fetch(TIMM, None)


CLIP = {
    "embed_dim": 12,
    "vision_cfg": {"layers": 1, "width": 32, "head_width": 16, "patch_size": 8, "image_size": 16},
    "text_cfg": {"width": 16, "heads": 2, "layers": 1},
}  # fmt: skip


def open_clip_hub(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    monkeypatch.setitem(_MODEL_CONFIGS, "tiny", CLIP)
    entry = {"hf_hub": "some/tiny/", "mean": (0.5,) * 3, "std": (0.5,) * 3}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny", {"some": entry})
    server.data = save(open_clip.create_model("tiny").state_dict())
    return lambda: open_clip_source.download("tiny", "some")


def open_clip_url(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    download = open_clip_hub(server, folder, monkeypatch)
    entry = open_clip.pretrained._PRETRAINED["tiny"]["some"]
    entry["hf_hub"], entry["url"] = "", f"{server.url}/tiny.safetensors"
    return download


def hub_data_set(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    monkeypatch.setattr("datasets.config.HF_ENDPOINT", server.url)
    settings = HuggingFaceSettings(source="huggingface", name="some/set")
    return lambda: open_split(settings, "train", folder)


LIBRARIES = [data_set, torchvision_weights, timm_hub, timm_url, open_clip_hub, open_clip_url]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("behave", [whole, down_thrice, half_then_rest, halves_then_whole])
def test_libraries_get_what_arrives(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: Any, behave: Any
) -> None:
    download = library(server, tmp_path, monkeypatch)
    server.behave = behave
    download()
    asked = len(server.ranges)
    download()  # from the library's cache
    assert len(server.ranges) == asked


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("behave", "words"),
    [
        (silent, "127.0.0.1 was silent for 0.2 s, given up at try 4"),
        (half_then_silent, "127.0.0.1 was silent for 0.2 s, given up at try 4"),
        (drip, "kB/s, given up at try 4"),
        (down, "127.0.0.1 answered 503 Service Unavailable, given up at try 4"),
        (page, "127.0.0.1 sent a web page in place of the file"),
        (missing, "404"),
    ],
)
def test_libraries_tell_what_fails_and_keep_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: Any, behave: Any, words: str
) -> None:
    download = library(server, tmp_path, monkeypatch)
    server.behave = behave
    message = failure(download, DataError if library is data_set else ModelError)
    assert words in message
    assert "could not be downloaded" in message
    assert re.search("by hand|source: local", message)
    server.behave = whole
    download()  # nothing half-written is taken for the file


@pytest.mark.parametrize(
    ("behave", "words"), [(silent, "127.0.0.1 was silent"), (down, "127.0.0.1 answered 503")]
)
def test_a_data_set_of_the_hub_tells_what_fails(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behave: Any, words: str
) -> None:
    download = hub_data_set(server, tmp_path, monkeypatch)
    server.behave = behave
    assert re.search(
        rf"some/set: could not be downloaded .*{words}.*set `path`", failure(download, DataError)
    )


@pytest.mark.parametrize("library", LIBRARIES[:-1])  # open_clip knows no checksum of this address
def test_libraries_refuse_another_file(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: Any
) -> None:
    download = library(server, tmp_path, monkeypatch)
    other = server.data[:-1] + bytes([server.data[-1] ^ 1])
    server.behave = lambda handler, _: head(handler) and handler.wfile.write(other)
    message = failure(download, DataError if library is data_set else ModelError)
    assert re.search("MD5|hash value|SHA-256", message)
    server.behave = whole
    download()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_stop_signal_ends_a_download_and_leaves_no_half_file(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: Any
) -> None:
    download = library(server, tmp_path, monkeypatch)
    before = signal.signal(signal.SIGUSR1, lambda *_: sys.exit(1))
    stop = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1))

    def stopped(handler: Any, count: int) -> None:
        if count == 0:
            stop.start()
        half_then_silent(handler, count)

    server.behave = stopped
    began = time.monotonic()
    try:
        with pytest.raises(SystemExit):
            download()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert time.monotonic() - began < SLACK
    server.behave = whole
    download()


def test_a_silent_hub_is_not_needed_for_what_is_there(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = timm_hub(server, tmp_path, monkeypatch)
    download()
    server.stop()
    download()
