"""What readers call figures and tables, and in which order they come."""

import re

_NUMBERED = re.compile(r"(fig|table)(\d+|[A-Z])(?:-(.+))?")
WORDS = {"fig": "Figure", "table": "Table"}
FIGURE_SPACE = "\N{FIGURE SPACE}"


def plain_number(key: str) -> tuple[str, str] | None:
    """Kind and number of a key that is nothing else: ``fig3`` is (fig, 3); None for the others."""
    matched = _NUMBERED.fullmatch(key)
    return None if matched is None or matched[3] else (matched[1], matched[2])


def name_of(key: str) -> str:
    """What readers call a figure or table: ``fig3`` is Figure 3, a key without a number its own name."""
    matched = _NUMBERED.fullmatch(key)
    if matched is None:
        return key
    kind, number, rest = matched.groups()
    return f"{WORDS[kind]} {number}" + (f" ({rest})" if rest else "")


def aligned_name(key: str) -> str:
    """The name as lists sort it as text: Figure 2 before Figure 10, those without a number at the end."""
    matched = _NUMBERED.fullmatch(key)
    if matched is None:
        return f"Unnumbered: {key}"
    padding = FIGURE_SPACE * (2 - len(matched[2]))
    return name_of(key).replace(" ", f" {padding}", 1)


def order(key: str) -> tuple[bool, int, str]:
    """Sort key: by number, then letters, then names."""
    matched = _NUMBERED.fullmatch(key)
    if matched is None:
        return True, 0, key
    return False, int(matched[2]) if matched[2].isdigit() else 10**6, key
