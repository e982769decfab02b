"""The closest allowed name, for messages; a module of its own, because messages make no job stale."""

from collections.abc import Iterable
from difflib import get_close_matches


def suggestion(name: str, allowed: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the closest allowed name, or an empty string."""
    close = get_close_matches(str(name), [str(entry) for entry in allowed], n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""
