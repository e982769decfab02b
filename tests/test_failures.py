"""What the machine refuses is said in one message; mistakes of the code keep their traceback."""

import errno
import os

import numpy as np
import pytest
import safetensors.numpy
import torch

from nctransfer.runtime.machine_errors import explain


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def huge_allocation() -> Exception:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    return caught.value


def huge_array() -> Exception:
    with pytest.raises(MemoryError) as caught:
        np.empty(1 << 60, dtype=np.uint8)
    return caught.value


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "results/a"), "results/a: the disk is full"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "there: the disk is full"),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "b"), "b: the disk is full"),
        (safetensors.SafetensorError("I/O error: No space left on device (os error 28)"), "there: the disk is full"),
        (caused(RuntimeError("unexpected pos"), OSError(errno.ENOSPC, "no", "c")), "c: the disk is full"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "GPU's memory is full"),
        (RuntimeError("cuDNN error: CUBLAS_STATUS_ALLOC_FAILED when calling"), "training.batch_size"),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE), "a.png"), "too many files are open"),
        (OSError(errno.ENFILE, os.strerror(errno.ENFILE)), "ulimit -n"),
        (RuntimeError("unable to open shared memory object: Too many open files (24)"), "too many files are open"),
        (huge_allocation(), "machine's memory is full"),
        (huge_array(), "machine's memory is full"),
        (MemoryError(), "machine's memory is full (MemoryError)"),
        (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), "mem_mb"),
        (PermissionError(errno.EACCES, "x", "images/1.png"), "images/1.png: Permission denied"),
        (OSError(errno.EIO, "x", "images/1.png"), "images/1.png: Input/output error"),
    ],
)  # fmt: skip
def test_refusals_of_the_machine_are_said_in_words(error, words):
    message = explain(error, "there")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize("error", [ValueError("shape"), RuntimeError("mat1 and mat2"), OSError("no number")])
def test_mistakes_of_the_code_are_not_explained_away(error):
    assert explain(error, "there") is None
