"""Downloads through torchvision's own loaders, complete or not there at all.

torchvision checks the MD5 of an archive, but trusts any folder that exists: one half
extracted when a job was killed counts as the data set ever after. So it works in
``{root}/.{name}.partial``, and the folder gets its final name ``{root}/{name}``, with a
mark inside, only when all splits have opened. Of an earlier attempt only archives with a
known checksum are kept, which torchvision verifies again.

One job at a time downloads a data set: the others wait for a ``flock``, which the kernel
releases with its process, however that ends. A job orphaned by the kill of its workflow
holds it until it is through, so two never write to the same folder.
"""

import errno
import gzip
import hashlib
import json
import logging
import os
import shutil
import socket
import urllib.error
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlparse

from nctransfer.errors import DataError
from nctransfer.runtime.locks import UNSUPPORTED, Lock

MARK = "complete.json"
TIMEOUT = 60.0  # seconds without a byte after which a connection counts as dead
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Archive:
    """A file that torchvision fetches.

    Attributes:
        path: where torchvision puts it, relative to the root it is given.
        url: where it comes from.
        md5: its checksum as torchvision knows it; None where it knows none.
        is_data: whether the file itself is read later (not only what it unpacks to).
    """

    path: str
    url: str
    md5: str | None
    is_data: bool = False

    @property
    def name(self) -> str:
        """The file's bare name."""
        return Path(self.path).name


def downloaded(name: str, archives: Sequence[Archive], fetch: Callable[[Path], None], root: Path) -> Path:
    """Folder of a complete data set, downloaded now if it is not there yet.

    Args:
        name: the data set's name, and its folder's below root.
        archives: what torchvision will fetch.
        fetch: makes torchvision download and open all splits below the folder it is given.
        root: folder of all downloads. Archives that people put here by hand are used.

    Raises:
        DataError: the network, an archive or the disk failed; names the file and a way out.
    """
    final = root / name
    if (final / MARK).is_file():
        return final
    with _alone(root, name):
        if (final / MARK).is_file():  # made while we waited
            return final
        if final.exists():
            raise DataError(
                f"{final}: not a complete download of ours (no {MARK}). If it holds {name} as torchvision "
                f"lays it out, add `path: {final}` to its entry; else delete the folder and run again"
            )
        partial = root / f".{name}.partial"
        logger.info("downloading %s into %s", name, root)
        try:
            _clear(partial, archives)
            _adopt(root, partial, archives)
            with _impatient():
                fetch(partial)
            _check_unverified(partial, archives)
        except Exception as error:
            raise _explained(error, name, archives, partial, root) from error
        _seal(partial, archives)
        partial.rename(final)
    return final


@contextmanager
def _alone(root: Path, name: str) -> Iterator[None]:
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = Lock(root / f".{name}.lock")
        if not lock.take():
            logger.info("waiting for another job that downloads %s", name)
            lock.take(seconds=float("inf"))
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise DataError(
                f"{root}: cannot hold downloads ({error.strerror}); set paths.downloads"
            ) from None
        logger.warning("%s: no file locks here (%s); going on without", root, error.strerror)
    try:
        yield
    finally:
        lock.release()


def _clear(partial: Path, archives: Sequence[Archive]) -> None:
    """Keep nothing of an earlier attempt but archives that torchvision can verify."""
    keep = {partial / archive.path for archive in archives if archive.md5 is not None}
    for folder, folders, files in os.walk(partial, topdown=False):
        for file in files:
            if Path(folder, file) not in keep:
                Path(folder, file).unlink()
        for below in folders:
            path = Path(folder, below)
            if path.is_symlink():
                path.unlink()
            elif not any(path.iterdir()):
                path.rmdir()


def _adopt(root: Path, partial: Path, archives: Sequence[Archive]) -> None:
    """Copy archives that people put into root by hand, for machines without a network."""
    for archive in archives:
        by_hand, place = root / archive.name, partial / archive.path
        if not by_hand.is_file():
            continue
        if archive.md5 is not None and _md5(by_hand) != archive.md5:
            logger.warning("%s: not used, its MD5 is not %s", by_hand, archive.md5)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(by_hand, place)


@contextmanager
def _impatient() -> Iterator[None]:
    """End a wait, as torchvision does not, for a server that fell silent."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _check_unverified(partial: Path, archives: Sequence[Archive]) -> None:
    """Read archives of unknown MD5 to the end: gzip's own checksum stands there."""
    for archive in archives:
        if archive.md5 is None and archive.name.endswith((".gz", ".tgz")):
            with gzip.open(partial / archive.path) as file:
                while file.read(1 << 24):
                    pass


def _explained(
    error: Exception, name: str, archives: Sequence[Archive], partial: Path, root: Path
) -> DataError:
    if isinstance(error, DataError):
        return error
    cause: object = error.reason if type(error) is urllib.error.URLError else error
    reason = " ".join(str(cause).split()) or type(error).__name__
    if isinstance(error, OSError) and error.errno in _DISK:
        return DataError(f"{name}: cannot be stored in {root}: {reason}")
    for archive in archives:
        file = partial / archive.path
        way_out = (
            f"Run again when {urlparse(archive.url).hostname} can be reached, or put {archive.name} (from "
            f"{archive.url}) into {root} by hand"
        )
        if not file.is_file():
            return DataError(f"{name}: {archive.name} could not be downloaded ({reason}). {way_out}")
        size, md5 = file.stat().st_size, _md5(file)
        if archive.md5 is None:
            file.unlink()
            return DataError(
                f"{name}: {archive.name} is truncated or broken ({size} bytes; {reason}). {way_out}"
            )
        if md5 != archive.md5:
            file.unlink()
            return DataError(
                f"{name}: {archive.name} is truncated or not the right file ({size} bytes, MD5 {md5} instead "
                f"of {archive.md5}; {reason}). {way_out}"
            )
    return DataError(
        f"{name}: its archives are right, but cannot be unpacked and read: {type(error).__name__}: {reason}"
    )


def _seal(partial: Path, archives: Sequence[Archive]) -> None:
    """Drop what is unpacked and write the mark."""
    for archive in archives:
        if not archive.is_data:
            (partial / archive.path).unlink(missing_ok=True)
    (partial / MARK).write_text(json.dumps([asdict(archive) for archive in archives], indent=1) + "\n")


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
