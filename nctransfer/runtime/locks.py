"""Locks that the system frees when their holder dies, whatever the signal.

A lock is a ``flock`` on a file that is never deleted; it is held until it is released or the process ends.
Locks of other kinds would remain after ``kill -9``.
"""

import contextlib
import errno
import fcntl
import os
import time
from pathlib import Path

# A file system without such locks, as on some clusters; NFS cannot lock read-only files (EBADF).
UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF}
# Held by others; CIFS reports that access is denied.
HELD = {errno.EWOULDBLOCK, errno.EACCES}
POLL_SECONDS = 0.1


class Lock:
    """A lock on a file, which is created if it is missing; its folder must exist. Not taken at first."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._descriptor: int | None = None

    def take(self, shared: bool = False, seconds: float = 0.0) -> bool:
        """Take the lock, unless others hold it; returns whether it is held now.

        ``shared`` allows other shared holders; ``seconds`` to wait for others may be infinite. OSError where
        the file cannot be opened, or its file system has no locks (``UNSUPPORTED``).
        """
        deadline = time.monotonic() + seconds
        while not self._try(shared):
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def release(self) -> None:
        """Release the lock, if it is held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _try(self, shared: bool) -> bool:
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in HELD:
                return False
            raise
        if not self._still_there(descriptor):  # deleted meanwhile: others may lock a new file
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def _open(self) -> int:
        """Open the file without following links."""
        with contextlib.suppress(FileExistsError):
            created = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR)
            os.fchmod(created, 0o644)  # whatever the umask: others must be able to read it to lock it
            os.close(created)
        try:
            return os.open(self.path, os.O_RDWR | os.O_NOFOLLOW)
        except PermissionError:  # another user's
            return os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW)

    def _still_there(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path))
        except FileNotFoundError:
            return False
