"""Downloads by torchvision's loaders: a data set is either complete or absent.

torchvision verifies the MD5 of an archive, but trusts any existing folder: one that was half extracted when a
job was killed would count as the data set ever after. So torchvision works in ``{root}/.{name}.partial``, and
the folder gets its final name ``{root}/{name}``, with a marker file inside, only when all splits have been
opened. Of an earlier attempt only archives with a known checksum are kept, which torchvision verifies again.

One job at a time downloads a data set; the others wait for a ``flock``, which the kernel releases when its
process ends. A job whose workflow was killed holds the lock until it has finished, so that two jobs never
write to the same folder.
"""

import errno
import gzip
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlparse

from nctransfer.errors import DataError, DownloadError
from nctransfer.runtime.downloads import downloading
from nctransfer.runtime.locks import UNSUPPORTED, Lock

MARK = "complete.json"
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Archive:
    """A file that torchvision downloads."""

    path: str  # where torchvision puts it, relative to its root folder
    url: str
    md5: str | None  # its checksum as torchvision knows it; None where it knows none
    is_data: bool = False  # whether the file itself is read later (not only its unpacked contents)

    @property
    def name(self) -> str:
        """The file name without its folder."""
        return Path(self.path).name


def downloaded(name: str, archives: Sequence[Archive], fetch: Callable[[Path], None], root: Path) -> Path:
    """Folder ``root/name`` of a complete data set, which is downloaded if it does not exist yet.

    ``fetch`` lets torchvision download and open all splits below the folder that it is passed. Archives that
    the user put into root by hand are used. DataError, naming the file and a remedy, where the network, an
    archive or the disk failed.
    """
    final = root / name
    if (final / MARK).is_file():
        return final
    with _locked(root, name):
        if (final / MARK).is_file():  # created by the other job meanwhile
            return final
        if final.exists():
            raise DataError(
                f"{final}: not a complete download of this program (no {MARK}). If it holds {name} in "
                f"torchvision's layout, add `path: {final}` to its entry; else delete it and run again"
            )
        partial = root / f".{name}.partial"
        logger.info("downloading %s into %s", name, root)
        try:
            _clear(partial, archives)
            _adopt(root, partial, archives)
            with downloading():
                fetch(partial)
            _check_unverified(partial, archives)
        except Exception as error:
            raise _explained(error, name, archives, partial, root) from error
        for archive in archives:
            if not archive.is_data:  # it is unpacked
                (partial / archive.path).unlink(missing_ok=True)
        mark = json.dumps([asdict(archive) for archive in archives], indent=1) + "\n"
        (partial / MARK).write_text(mark)
        partial.rename(final)
    return final


@contextmanager
def _locked(root: Path, name: str) -> Iterator[None]:
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = Lock(root / f".{name}.lock")
        if not lock.take():
            logger.info("waiting for another job that downloads %s", name)
            lock.take(seconds=float("inf"))
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise DataError(
                f"{root}: cannot be used for downloads ({error.strerror}); set paths.downloads"
            ) from None
        logger.warning("%s: no file locks on this file system (%s); continuing without", root, error.strerror)
    try:
        yield
    finally:
        lock.release()


def _clear(partial: Path, archives: Sequence[Archive]) -> None:
    """Delete everything of an earlier attempt but the archives that torchvision can verify."""
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
    """Copy archives that the user put into root by hand, for machines without a network."""
    for archive in archives:
        by_hand, place = root / archive.name, partial / archive.path
        if not by_hand.is_file():
            continue
        if archive.md5 is not None and _md5(by_hand) != archive.md5:
            logger.warning("%s: not used, its MD5 is not %s", by_hand, archive.md5)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(by_hand, place)


def _check_unverified(partial: Path, archives: Sequence[Archive]) -> None:
    """Read gzip archives of unknown MD5 to the end, which verifies gzip's own checksum."""
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
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.errno in _DISK:
        return DataError(f"{name}: cannot be stored in {root}: {reason}")
    for archive in archives:
        file = partial / archive.path
        way_out = (
            f"Run again when {urlparse(archive.url).hostname} can be reached, or put {archive.name} (from "
            f"{archive.url}) into {root} by hand"
        )
        size, md5 = (file.stat().st_size, _md5(file)) if file.is_file() else (0, "")
        if not md5 or (isinstance(error, DownloadError) and md5 != archive.md5):
            file.unlink(missing_ok=True)
            reason = reason.removeprefix(f"{archive.name}: ")
            return DataError(f"{name}: {archive.name} could not be downloaded ({reason}). {way_out}")
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
        f"{name}: its archives are complete, but cannot be read: {type(error).__name__}: {reason}"
    )


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
