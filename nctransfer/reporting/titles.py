"""Names of figures and tables for readers, and their order."""

import re

_NUMBERED = re.compile(r"(fig|table)(\d+|[A-Z])(?:-(.+))?")
WORDS = {"fig": "Figure", "table": "Table"}
FIGURE_SPACE = "\N{FIGURE SPACE}"


def plain_number(key: str) -> tuple[str, str] | None:
    """Kind and number of a key such as ``fig3``: (fig, 3); None for other keys."""
    matched = _NUMBERED.fullmatch(key)
    return None if matched is None or matched[3] else (matched[1], matched[2])


def name_of(key: str) -> str:
    """Name of a figure or table for readers: ``fig3`` is Figure 3; a key without a number is its own name."""
    matched = _NUMBERED.fullmatch(key)
    if matched is None:
        return key
    kind, number, suffix = matched.groups()
    return f"{WORDS[kind]} {number}" + (f" ({suffix})" if suffix else "")


def aligned_name(key: str) -> str:
    """The name padded for sorting as text: Figure 2 before Figure 10, those without a number last."""
    matched = _NUMBERED.fullmatch(key)
    if matched is None:
        return f"Unnumbered: {key}"
    padding = FIGURE_SPACE * (2 - len(matched[2]))
    return name_of(key).replace(" ", f" {padding}", 1)


def order(key: str) -> tuple[bool, int, str]:
    """Sort key: by number, then letter, then name."""
    matched = _NUMBERED.fullmatch(key)
    if matched is None:
        return True, 0, key
    return False, int(matched[2]) if matched[2].isdigit() else 10**6, key
