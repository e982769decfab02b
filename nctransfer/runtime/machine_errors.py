"""Messages for refusals of the machine: no disk space, no memory, a file that cannot be read.

Libraries report these by errors of many types; here each becomes one message that says what to do. Any other
error is a bug of this code and keeps its traceback.
"""

import errno
import os
from collections.abc import Iterator

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
# Without ENOENT, which could also be a bug of this code.
UNREADABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ESTALE)
TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)
# safetensors opens files itself and only reports the system's message.
TOO_MANY_FILES_WORDS = ("Too many open files",)
NO_SPACE_WORDS = ("No space left on device", "Disk quota exceeded")
DEVICE_MEMORY_WORDS = ("CUDA out of memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
HOST_MEMORY_WORDS = (
    "can't allocate memory", "Cannot allocate memory", "std::bad_alloc", "malloc of size",
    "exited unexpectedly",  # a worker process of a DataLoader
)  # fmt: skip


def explain(error: BaseException, where: str) -> str | None:
    """Message for an error that the machine caused while writing to the folder ``where``, else None."""
    for cause in _chain(error):
        text = str(cause)
        number = cause.errno if isinstance(cause, OSError) else None
        if number in NO_SPACE or _any(NO_SPACE_WORDS, text):
            return (
                f"{_file(cause) or where}: the disk is full ({_first_line(text)}); no incomplete output was "
                "left. Free some space and run again"
            )
        if number in TOO_MANY_FILES or _any(TOO_MANY_FILES_WORDS, text):
            return (
                f"too many files are open ({_first_line(text)}). Allow more (ulimit -n 4096), or run fewer "
                "jobs at once (-j)"
            )
        if type(cause).__name__ == "OutOfMemoryError" or _any(DEVICE_MEMORY_WORDS, text):
            return (
                f"the GPU's memory is full ({_first_line(text)}). Set smaller batches (training.batch_size, "
                "finetuning.batch_size, features.batch_size) or a smaller image size, or use a GPU with more "
                "memory; check with nvidia-smi that nothing else uses it"
            )
        if isinstance(cause, MemoryError) or number == errno.ENOMEM or _any(HOST_MEMORY_WORDS, text):
            return (
                f"the machine's memory is full ({_first_line(text) or 'MemoryError'}). Run fewer jobs at "
                "once (-j), or request more memory (--set-resources <rule>:mem_mb=...; a cluster's profile "
                "with `retries` does so automatically)"
            )
    if isinstance(error, OSError) and error.errno in UNREADABLE and _file(error):
        return f"{_file(error)}: {os.strerror(error.errno)}"
    return None


def _any(words: tuple[str, ...], text: str) -> bool:
    return any(word in text for word in words)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, its causes and the errors during whose handling it was raised."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _file(error: BaseException) -> str | None:
    return str(error.filename) if isinstance(error, OSError) and error.filename is not None else None


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0]
