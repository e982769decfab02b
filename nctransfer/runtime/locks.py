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

# A file system that knows no such locks, as some that clusters share; NFS locks no files that
# can only be read (EBADF).
UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF}
# What others hold; CIFS says that access is denied.
HELD = {errno.EWOULDBLOCK, errno.EACCES}
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
        while not self._try(shared):
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def release(self) -> None:
        """Free the lock; nothing happens where it is not held."""
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
        if not self._still_there(descriptor):  # deleted meanwhile: others lock another file
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def _open(self) -> int:
        """A descriptor of the file; no link is followed."""
        with contextlib.suppress(FileExistsError):
            made = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR)
            os.fchmod(made, 0o644)  # whatever the umask: to lock it, others must read it
            os.close(made)
        try:
            return os.open(self.path, os.O_RDWR | os.O_NOFOLLOW)
        except PermissionError:  # another user's
            return os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW)

    def _still_there(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path))
        except FileNotFoundError:
            return False
