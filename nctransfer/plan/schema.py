"""Checking a configuration against its JSON schema: every mistake at once, in words.

A validator's own messages quote schemas; these name the key, the value, what is
allowed and the closest valid name.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from nctransfer.suggestions import suggestion

TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def key_path(parts: tuple[Any, ...]) -> str:
    """Write a path as ``figures.fig3.panels[0].model``."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "configuration"


def mistakes(config: Any, schema: Mapping[str, Any]) -> list[str]:
    """List everything in which a configuration departs from the schema, one line each."""
    plain = list(_unspeakable(config, ()))
    if plain:  # the validator assumes values that JSON can say
        return plain
    errors = Draft202012Validator(schema).iter_errors(config)
    lines = [line for error in errors for line in _describe(error)]
    return sorted(set(lines))


def without_mistakes(config: Any, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what the schema refuses: an entry of a section (`models.x`), or a whole section.

    What is left can be completed and checked further, so that one mistake does not hide others.
    """
    if not isinstance(config, dict) or any(_unspeakable(config, ())):
        return {}
    kept = {key: dict(part) if isinstance(part, dict) else part for key, part in config.items()}
    for error in Draft202012Validator(schema).iter_errors(config):
        path = [str(part) for part in error.absolute_path]
        if error.validator == "additionalProperties" and not path:
            for key in set(kept) - set(schema["properties"]):
                del kept[key]
        elif len(path) >= 2 and isinstance(kept.get(path[0]), dict):
            kept[path[0]].pop(path[1], None)
        elif path:
            kept.pop(path[0], None)
    return kept


def _unspeakable(value: Any, path: tuple[Any, ...]) -> Iterator[str]:
    """Name keys that are no text and numbers that are not finite."""
    if isinstance(value, dict):
        for key, entry in value.items():
            if not isinstance(key, str):
                yield f"{key_path(path)}: key {key!r} is no text; put it in quotes"
            yield from _unspeakable(entry, (*path, key))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _unspeakable(entry, (*path, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{key_path(path)}: {value} is not a finite number"


def _describe(error: ValidationError) -> Iterator[str]:
    path: tuple[Any, ...] = tuple(error.absolute_path)
    value: Any = error.instance
    rule: Any = error.validator_value
    schema: Any = error.schema
    where = key_path(path)
    match error.validator:
        case "additionalProperties":
            known = schema["properties"]
            for key in sorted(set(value) - set(known)):
                yield (
                    f"{key_path((*path, key))}: unknown key{suggestion(key, known)}; "
                    f"allowed: {', '.join(sorted(known))}"
                )
        case "required":
            for key in sorted(set(rule) - set(value)):
                yield f"{key_path((*path, key))}: missing; it has no default"
        case "type":
            allowed = " or ".join(TYPES[name] for name in ([rule] if isinstance(rule, str) else rule))
            yield f"{where}: {value!r} is not {allowed}"
        case "enum":
            names = ", ".join("null" if name is None else str(name) for name in rule)
            yield f"{where}: {value!r} is not allowed{suggestion(value, rule)}; allowed: {names}"
        case "pattern" if rule.startswith("^#"):
            yield f"{where}: {value!r} is no colour; write red, green and blue as '#rrggbb'"
        case "pattern" if rule.startswith("^(none|linear|"):
            yield f"{where}: {value!r} is no projection head; allowed: none, linear, mlp1, mlp2, ..., mlp9"
        case "pattern":
            # for propertyNames the instance is the key itself and the path that of its mapping
            yield (
                f"{where}: {value!r} cannot be a name; allowed are letters, digits, '.', '_' and '-', "
                "the first a letter or digit"
            )
        case "anyOf" if error.context:
            yield from _describe(error.context[0])
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            sign = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
            yield f"{where}: {value!r} is out of range; it must be {sign[error.validator]} {rule}"
        case _:
            yield f"{where}: {error.message}"


def with_defaults(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """Fill in the schema's defaults, at every depth; whole floats become integers where asked for.

    A part marked ``x-partial`` overrides another part of the configuration: nothing is filled in there.

    Args:
        value: a valid configuration, or a part of one.
        schema: the schema of that part.
        root: the whole schema, for references.
    """
    schema = resolved(schema, root)
    if isinstance(value, dict):
        known = schema.get("properties", {})
        other = schema.get("additionalProperties")
        partial = schema.get("x-partial", False)
        parts = {key: {**part, "x-partial": True} if partial else part for key, part in known.items()}
        filled = {}  # in the order given: labels of a figure keep theirs
        for key, entry in value.items():
            if key in parts:
                filled[key] = with_defaults(entry, parts[key], root)
            else:
                filled[key] = with_defaults(entry, other, root) if isinstance(other, dict) else entry
        for key, part in parts.items():
            if key not in filled and not partial and "default" in resolved(part, root):
                filled[key] = with_defaults(resolved(part, root)["default"], part, root)
        return filled
    if isinstance(value, list):
        return [with_defaults(entry, schema.get("items", {}), root) for entry in value]
    if isinstance(value, float) and "integer" in schema.get("type", ()) and "number" not in schema["type"]:
        return int(value)
    return value


def resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference; keys beside it win."""
    if "$ref" not in schema:
        return schema
    node: Any = root
    for part in schema["$ref"].removeprefix("#/").split("/"):
        node = node[part]
    return {**node, **{key: entry for key, entry in schema.items() if key != "$ref"}}
