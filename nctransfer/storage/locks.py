"""Locks that the system frees when their holder dies, by whatever signal.

A lock is a ``flock`` on a file that stays; it is held as long as this process lives and
has not released it. Locks of other kinds leave something behind after ``kill -9``.
"""

import contextlib
import errno
import fcntl
import os
import time
from pathlib import Path

# A file system that knows no such locks, as some that clusters share.
UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
POLL_SECONDS = 0.1


class Lock:
    """A lock on a file, not yet taken.

    Args:
        path: of the file, made where it is missing; its folder must be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._descriptor: int | None = None

    def take(self, shared: bool = False, seconds: float = 0.0) -> bool:
        """Take the lock, unless others hold it.

        Args:
            shared: beside other shared holders, instead of alone.
            seconds: how long to wait for others to free it; infinite waits for ever.

        Returns:
            whether it is held now.

        Raises:
            OSError: the file cannot be opened, or its file system knows no locks (``UNSUPPORTED``).
        """
        deadline = time.monotonic() + seconds
        descriptor = self._open()
        try:
            while not _try(descriptor, shared):
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    return False
                time.sleep(POLL_SECONDS)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Free the lock; nothing happens where it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        # To lock it, a file need only be readable: another user's will do, and no link is followed.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDONLY, 0o644))
        return os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW)


def _try(descriptor: int, shared: bool) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
