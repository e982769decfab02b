"""scipy's linear algebra on as many threads as torch has."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import torch


@contextmanager
def torch_threads() -> Iterator[ModuleType]:
    """Have BLAS and OpenMP use torch's number of threads: sums over others differ in their last bits.

    Yields:
        ``scipy.linalg``, imported now: most jobs that measure features never come here.
    """
    import scipy.linalg
    from threadpoolctl import threadpool_limits

    with threadpool_limits(torch.get_num_threads()):
        yield scipy.linalg
