"""scipy's linear algebra on as many threads as torch has."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import torch


@contextmanager
def torch_threads() -> Iterator[ModuleType]:
    """``scipy.linalg`` with torch's number of threads, on which the last bits of sums depend.

    It is imported here because most jobs that measure features do not need it.
    """
    import scipy.linalg
    from threadpoolctl import threadpool_limits

    with threadpool_limits(torch.get_num_threads()):
        yield scipy.linalg
