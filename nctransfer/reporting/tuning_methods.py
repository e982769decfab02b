"""Fine-tuning methods as figures and tables show them, from the facts of each method."""

from collections.abc import Iterable
from itertools import count

from nctransfer import variants
from nctransfer.finetuning import methods
from nctransfer.finetuning.method import Method, method_facts

FULL_FT = "full_ft"
# The places before it are taken by methods; a new method that names no place makes no figure stale.
FIRST_FREE = 8


def facts_of(method: str) -> Method:
    """Facts about a method; a method that only old tables know is titled by its key."""
    return method_facts(method) if method in variants.names(methods) else Method(title=method)


def places(shown: Iterable[str]) -> dict[str, int]:
    """Places of methods in the order of colours; methods without one follow from :data:`FIRST_FREE` on."""
    own = {method: facts_of(method).place for method in shown}
    free = count(FIRST_FREE)
    return {method: next(free) if place is None else place for method, place in own.items()}
