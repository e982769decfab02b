"""Messages for mistakes: one line each, with the key, its value, what is allowed and the closest name."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from nctransfer.suggestions import suggestion

_TYPES = {
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
}
_SIGNS = {"greater_than_equal": ">=", "greater_than": ">", "less_than_equal": "<=", "less_than": "<"}
_LIMITS = {"greater_than_equal": "ge", "greater_than": "gt", "less_than_equal": "le", "less_than": "lt"}
# pydantic's names of types in a location
TYPES = ("int", "str", "float", "bool", "constrained-int", "constrained-str")

Path = tuple[str | int, ...]


def key_path(parts: Sequence[str | int]) -> str:
    """Write a path as ``figures.fig3.panels[0].model``."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "configuration"


def unspeakable(value: Any, path: Path = ()) -> Iterator[str]:
    """Find what JSON cannot represent: keys that are not text, numbers that are not finite, dates."""
    if isinstance(value, dict):
        for key, entry in value.items():
            if not isinstance(key, str):
                yield f"{key_path(path)}: key {key!r} is no text; put it in quotes"
            yield from unspeakable(entry, (*path, key))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from unspeakable(entry, (*path, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{key_path(path)}: {value} is not a finite number"
    elif isinstance(value, date):
        yield f"{key_path(path)}: {value} is read as a date; put it in quotes"


@dataclass(frozen=True)
class Mistake:
    """A mistake in a configuration."""

    path: Path  # keys and list indices that lead to it
    line: str  # the message; empty if the message of another mistake covers it
    without: Path  # smallest part to leave out so that the rest can be checked: an optional key, or an entry
    # for an unknown source or kind, the key and the closest name, to check the rest with
    correction: tuple[str, str] | None = None


def mistakes(error: ValidationError, values: Any, model: type[BaseModel]) -> list[Mistake]:
    """Every mistake that the validation of plain values as a ``model`` found."""
    unique: dict[Mistake, None] = {}
    unions: dict[Path, str] = {}
    misspelt: set[Path] = set()  # required keys that are present under another name
    for detail in sorted(error.errors(include_url=False), key=lambda detail: detail["type"] == "missing"):
        path, choice = _follow(detail["loc"], values)
        if choice is not None and unions.setdefault(path[: choice[0]], choice[1]) != choice[1]:
            continue  # of several alternatives only the first is reported
        if detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]:
            continue  # its members are wrong, which is reported
        if detail["type"] == "extra_forbidden":
            fields = _fields(model, detail["loc"][:-1])
            misspelt |= {(*path[:-1], name) for name in get_close_matches(str(path[-1]), fields, n=1)}
        without = _optional_part(model, detail, values)
        if detail["type"] == "missing" and path in misspelt:
            unique[Mistake(path, "", without)] = None
            continue
        correction = None
        if detail["type"] == "union_tag_invalid":
            close = get_close_matches(detail["ctx"]["tag"], _tags(detail), n=1)
            correction = (detail["ctx"]["discriminator"].strip("'"), close[0]) if close else None
        unique[Mistake(path, _message(detail, path, values, model), without, correction)] = None
    return list(unique)


def _optional_part(model: type[BaseModel], detail: Any, values: Any) -> Path:
    """The deepest optional key on the path to a mistake, or the entry."""
    loc = detail["loc"]
    path = _follow(loc, values)[0]
    if detail["type"] == "extra_forbidden":
        return path
    for end in range(len(loc), 0, -1):
        part = _follow(loc[:end], values)[0]
        fields = [kind.model_fields.get(str(loc[end - 1])) for kind in _at(model, loc[: end - 1])[:1]]
        if len(part) > 1 and fields and fields[0] is not None and not fields[0].is_required():
            return part
    return path[:2]


def _tags(detail: Any) -> list[str]:
    return sorted(name.strip("' ") for name in detail["ctx"]["expected_tags"].split(","))


def _follow(loc: Sequence[str | int], values: Any) -> tuple[Path, tuple[int, str] | None]:
    """Keys of a location without pydantic's class names; of a union's alternative also position and name."""
    path: list[str | int] = []
    choice: tuple[int, str] | None = None
    here = values
    for index, part in enumerate(loc):
        # the last part may be a missing key, if it names no type
        is_key = index == len(loc) - 1 and isinstance(part, str) and "[" not in part and part not in TYPES
        if isinstance(here, dict) and (part in here or is_key):
            here = here.get(part)
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
        elif part == "[key]":
            break
        else:
            choice = (len(path), str(part))
            continue
        path.append(part)
    return tuple(path), choice


def _message(detail: Any, path: Path, values: Any, model: type[BaseModel]) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx") or {}
    where = key_path(path)
    match kind:
        case "extra_forbidden":
            fields = _fields(model, detail["loc"][:-1])
            close = suggestion(str(path[-1]), fields)
            allowed = ", ".join(sorted(fields))
            return f"{where}: unknown key{_chosen_by(path, values)}{close}; allowed: {allowed}"
        case "union_tag_not_found":
            key = context["discriminator"].strip("'")
            close_keys = get_close_matches(key, value, n=1) if isinstance(value, dict) else []
            if close_keys:
                return f"{where}.{close_keys[0]}: unknown key (did you mean {key!r}?)"
            return f"{where}.{key}: missing; it has no default"
        case "missing":
            allowed = _choices(model, detail["loc"])
            return f"{where}: missing; " + (f"allowed: {allowed}" if allowed else "it has no default")
        case "union_tag_invalid":
            key, tags = context["discriminator"].strip("'"), _tags(detail)
            close = suggestion(context["tag"], tags)
            return f"{where}.{key}: no {context['tag']!r}{close}; there are: {', '.join(tags)}"
        case "literal_error":
            literals = [name.strip("'") for name in context["expected"].replace(" or ", ", ").split(", ")]
            close = suggestion(str(value), literals)
            return f"{where}: {value!r} is not allowed{close}; allowed: {', '.join(literals)}"
        case "string_pattern_mismatch" if context["pattern"].startswith("^#"):
            return f"{where}: {value!r} is no colour; write red, green and blue as '#rrggbb'"
        case "string_pattern_mismatch" if context["pattern"].startswith("^(none|linear|"):
            return f"{where}: {value!r} is no projection head; allowed: none, linear, mlp1, mlp2, ..., mlp9"
        case "string_pattern_mismatch":
            allowed = "letters, digits, '.', '_' and '-', the first a letter or digit"
            return f"{where}: {value!r} cannot be a name; allowed are {allowed}"
        case "too_short" | "string_too_short":
            return f"{where}: {value!r} is too short; it must hold {context['min_length']} or more"
        case "too_long" if context["max_length"] == 0:
            return f"{where}: an entry{_chosen_by(path, values)} takes none; leave it out"
        case "too_long" | "string_too_long":
            return f"{where}: {value!r} is too long; it must hold {context['max_length']} or fewer"
        case "value_error":
            return f"{where}: {context['error']}"
    if kind in _SIGNS:
        limit = context[_LIMITS[kind]]
        return f"{where}: {value!r} is out of range; it must be {_SIGNS[kind]} {limit:g}"
    if kind in _TYPES:
        return f"{where}: {value!r} is not {_TYPES[kind]}{_unquoted(value, kind)}"
    return f"{where}: {detail['msg']}"


def _unquoted(value: Any, kind: str) -> str:
    """What YAML made of a word without quotes, where a text may have been meant."""
    if isinstance(value, bool) and kind != "bool_type":
        return "; YAML reads no, yes, on and off as truth values: put a word in quotes"
    if isinstance(value, int | float) and kind == "string_type":
        return f"; YAML reads it as a number: put a text in quotes, '{value}'"
    return ""


def _chosen_by(path: Path, values: Any) -> str:
    """Words for the source or kind of an entry, which decides its allowed keys and those of its panels."""
    of_entry = path[0] in ("datasets", "models", "figures", "tables")
    if of_entry and (len(path) == 3 or (len(path) == 5 and path[2] == "panels")):
        entry = values[path[0]][path[1]]
        for key in ("source", "kind"):
            if isinstance(entry.get(key), str):
                return f" of {key} {entry[key]!r}"
    return ""


def _choices(model: type[BaseModel], loc: Sequence[str | int]) -> str:
    """Values that a key may have, if there are only a few."""
    for kind in _at(model, loc[:-1]):
        field = kind.model_fields.get(str(loc[-1]))
        if field is not None and get_origin(field.annotation) is Literal:
            return ", ".join(map(str, get_args(field.annotation)))
    return ""


def _fields(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    return [name for kind in _at(model, loc)[:1] for name in kind.model_fields]


def _at(model: type[BaseModel], loc: Sequence[str | int]) -> list[type[BaseModel]]:
    here: list[type[BaseModel]] = [model]
    for part in loc:
        following: list[type[BaseModel]] = []
        for kind in here:
            if part in kind.model_fields:
                following += _classes(kind.model_fields[str(part)].annotation)
            elif part == kind.__name__ or _tag(kind, part):
                following.append(kind)
        here = following or here
    return here


def _tag(kind: type[BaseModel], part: str | int) -> bool:
    """Whether a tag selects this class as the alternative of a union."""
    fields = [kind.model_fields[name] for name in ("source", "kind") if name in kind.model_fields]
    return any(part in get_args(field.annotation) for field in fields)


def _classes(annotation: Any) -> list[type[BaseModel]]:
    """Settings classes that a type consists of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [settings for part in get_args(annotation) for settings in _classes(part)]
