"""Methods of fine-tuning as figures and tables show them, by the facts that stand with each method."""

from collections.abc import Iterable
from itertools import count

from nctransfer import variants
from nctransfer.finetuning import methods
from nctransfer.finetuning.method import Method, method_facts

FULL_FT = "full_ft"  # what others are compared with
# The places before it are taken by methods; a new method without one makes no figure stale.
FIRST_FREE = 8


def facts_of(method: str) -> Method:
    """Facts about a method; one that only old tables know has its own name."""
    return method_facts(method) if method in variants.names(methods) else Method(title=method)


def places(shown: Iterable[str]) -> dict[str, int]:
    """Places of methods in the order of colours.

    Methods that name no place have the places after :data:`FIRST_FREE`, in the order in which they are shown.
    """
    own = {method: facts_of(method).place for method in shown}
    free = count(FIRST_FREE)
    return {method: next(free) if place is None else place for method, place in own.items()}
