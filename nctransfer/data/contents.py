"""Identity of the user's own files and folders, which decides whether results are up to date.

Sizes and times do not tell a file from another of the same size that is put in its place; SHA-256 does. It
is computed once for each file and kept in ``.snakemake``, with what the file system says of the file (inode,
size, times): a file that is only touched, or moved with the project, is read again, and nothing else happens.
"""

import hashlib
import json
import logging
import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

from nctransfer.data.folder_contents import is_hidden
from nctransfer.storage.files import save_text

logger = logging.getLogger(__name__)

RECORDS = Path(".snakemake/nctransfer/contents.sqlite")
THREADS = min(32, 4 * (os.cpu_count() or 1))  # small files wait for the disk
UNREADABLE = "unreadable"  # the job that reads the file says why
BLOCK = 64  # files that a thread reads at once
SAID = 2e9  # bytes; hashing more takes seconds


class Contents:
    """Digests of files and folders, each computed once, of names and ``identity``: contents or size."""

    def __init__(self, identity: Literal["contents", "size"] = "contents") -> None:
        self._identity = identity
        self._known: dict[Path, str] = {}

    def digest(self, path: Path) -> str:
        """SHA-256 of a file, or a digest of the names and contents of all visible files below a folder.

        Links are followed. ``unreadable`` stands for what cannot be read.
        """
        if path not in self._known:
            self._known[path] = self._folder(path) if path.is_dir() else self._digests([_file(str(path))])[0]
        return self._known[path]

    def save(self, record: Path) -> None:
        """Leave all digests to the jobs of this run, which then need not read the files again."""
        save_text(json.dumps({str(path): digest for path, digest in self._known.items()}), record)

    def recall(self, record: Path) -> None:
        """Take over the digests that the run left; what is not among them is read."""
        with suppress(OSError, ValueError, AttributeError):
            self._known |= {Path(path): digest for path, digest in json.loads(record.read_text()).items()}

    def _folder(self, path: Path) -> str:
        files = list(_files(str(path), ()))
        pairs = zip(files, self._digests(files), strict=True)
        lines = sorted(f"{file.path[len(str(path)) :]}\t{digest}\n" for file, digest in pairs)
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()

    @cached_property
    def _records(self) -> dict[bytes, tuple[str, str]]:
        return _recorded()

    def _digests(self, files: Sequence["_File"]) -> list[str]:
        """Digest of every file, from the records where nothing has happened to it."""
        if self._identity == "size":
            return [f"{file.size} bytes" if file.state else UNREADABLE for file in files]
        keys = [os.fsencode(os.path.abspath(file.path)) for file in files]
        found = [UNREADABLE] * len(files)
        new = []
        for row, (key, file) in enumerate(zip(keys, files, strict=True)):
            state, digest = self._records.get(key, ("", ""))
            if file.state and state == file.state:
                found[row] = digest
            elif file.state:
                new.append(row)
        size = sum(files[row].size for row in new)
        if size > SAID:
            logger.info("reading %d files (%.1f GB) to tell what they contain", len(new), size / 1e9)
        with ThreadPoolExecutor(THREADS) as pool:
            blocks = [new[start : start + BLOCK] for start in range(0, len(new), BLOCK)]
            hashed = pool.map(lambda rows: [_hash(files[row].path) for row in rows], blocks)
            for row, digest in zip(new, chain.from_iterable(hashed), strict=True):
                found[row] = digest
        _record([(keys[row], files[row].state, found[row]) for row in new if found[row] != UNREADABLE])
        return found


class _File(NamedTuple):
    path: str
    size: int
    state: str  # what the file system says; empty if it is no regular file, which is never opened


def _files(folder: str, above: tuple[tuple[int, int], ...]) -> Iterator[_File]:
    """The visible files below a folder."""
    try:
        status = os.stat(folder)
        entries = list(os.scandir(folder))
    except OSError:
        yield _File(folder, 0, "")  # the job that reads the folder says why
        return
    inode = (status.st_dev, status.st_ino)
    if inode in above:  # a link to a folder above itself
        return
    for entry in entries:
        if is_hidden(entry.name):
            continue
        file = _file(entry.path)
        if not file.state and os.path.isdir(entry.path):
            yield from _files(entry.path, (*above, inode))
        else:
            yield file


def _file(path: str) -> _File:
    try:
        status = os.stat(path)
    except OSError:  # among others a loop of links
        return _File(path, 0, "")
    if not stat.S_ISREG(status.st_mode):
        return _File(path, 0, "")
    told = f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
    return _File(path, status.st_size, told)


def _hash(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return UNREADABLE


# --- records: a loss costs time only ------------------------------------------------------------


def _recorded() -> dict[bytes, tuple[str, str]]:
    """State and digest of every file that was read before, by its path."""
    if not RECORDS.exists():
        return {}
    try:
        with closing(sqlite3.connect(RECORDS, timeout=60)) as records:
            rows = records.execute("SELECT * FROM contents")
            return {path: (state, digest) for path, state, digest in rows}
    except sqlite3.Error as error:
        logger.warning("%s: unreadable (%s), made again", RECORDS, error)
        RECORDS.unlink(missing_ok=True)
        return {}


def _record(rows: Sequence[tuple[bytes, str, str]]) -> None:
    if not rows:
        return
    try:
        RECORDS.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(RECORDS, timeout=60)) as records, records:
            columns = "path TEXT PRIMARY KEY, state TEXT, digest TEXT"
            records.execute(f"CREATE TABLE IF NOT EXISTS contents ({columns})")
            records.executemany("INSERT OR REPLACE INTO contents VALUES (?, ?, ?)", rows)
    except (sqlite3.Error, OSError) as error:
        logger.warning("%s: not writable (%s); files are read again by every run", RECORDS, error)
