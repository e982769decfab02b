"""Names of classes, and the choice of some of them by name or by index."""

import unicodedata
from collections.abc import Sequence

from nctransfer.errors import DataError
from nctransfer.suggestions import suggestion

SHOWN = 20


def plain(name: str) -> str:
    """A name in the Unicode form in which names are compared: macOS takes letters and accents apart."""
    return unicodedata.normalize("NFC", name)


def class_index(entry: str | int, names: Sequence[str]) -> int:
    """Index of a class given by name or index from 0; DataError if there is none, or a number may be both."""
    known = [plain(name) for name in names]
    if isinstance(entry, str) and plain(entry) in known:
        return known.index(plain(entry))
    is_index = isinstance(entry, int) and not isinstance(entry, bool) and 0 <= entry < len(names)
    if isinstance(entry, int) and any(name.isdecimal() for name in known):
        if is_index and known[entry].isdecimal() and int(known[entry]) == entry:
            return entry
        meant = f"which is the class {known[entry]!r}" if is_index else "which there is not"
        raise DataError(
            f"{entry} could be a name or an index, {meant}: classes have numbers for names here; quote the "
            f"name, {str(entry)!r}; there are: {listed(names)}"
        )
    if is_index:
        return int(entry)
    quote = "; quote a name that looks like a number" if isinstance(entry, int) else ""
    raise DataError(
        f"no class {entry!r}{suggestion(str(entry), names)}; there are {len(names)}, by name or by index "
        f"from 0: {listed(names)}{quote}"
    )


def listed(names: Sequence[str]) -> str:
    """The first names."""
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def class_indices(classes: Sequence[str | int] | None, names: Sequence[str]) -> list[int]:
    """Original indices of the chosen classes, in order (None: all); DataError: unknown, or listed twice."""
    if classes is None:
        return list(range(len(names)))
    chosen: list[int] = []
    for entry in classes:
        try:
            index = class_index(entry, names)
        except DataError as error:
            raise DataError(f"classes: {error}") from None
        if index in chosen:
            raise DataError(f"classes: {entry!r} occurs more than once")
        chosen.append(index)
    return chosen
