"""The configuration's reference, written from its JSON schema: ``python -m nctransfer.plan.reference``.

A mapping of keys is a heading with a table, a row a key. Parts that several keys share
(``$defs`` of the schema) are written once, and linked to.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nctransfer.plan import documents, schema
from nctransfer.plan.config import SCHEMA
from nctransfer.storage.files import save_text

PAGE = SCHEMA.parents[2] / "docs" / "configuration.md"
INTRODUCTION = """\
# Configuration

<!-- Written by `make docs` from workflow/schemas/config.schema.yaml; edit the descriptions there. -->

`config.yaml` holds the whole paper. An overlay (`--configfile mine.yaml`, several in order) is merged into
it, mappings key by key and lists whole; `--config seed=1` comes last, its value read as YAML. All mistakes
are reported at once, before any job is planned, each with its key, its value, what is allowed and the closest
valid name. How data and models of your own are written: [your-own.md](your-own.md).

- **Every key may be left out** and then has the default given here, except those marked **required**: an
  entry of a data set, model, family, run, figure or table means nothing without them. The entry itself may be
  left out.
- `null` as a default means that the description says what follows; `{}` that each key below has its default.
- Defaults are the schema's. `config.yaml` sets some keys otherwise, for the paper (`training.precision`).
- `<key>` is a name of your choice: letters, digits, `.`, `_` and `-`, the first a letter or digit.
- *In part*: any keys of another mapping, which override it; those left out are taken from there.
- A change runs again the jobs that read the key ([Digests and reruns](architecture.md#digests-and-reruns)).
"""
SHARED_PARTS = """\
## Shared parts

Mappings that stand in several places.
"""
WORDS = {
    "object": "mapping",
    "array": "list",
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
}
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


@dataclass
class Reference:
    """The pages' parts, from a schema.

    Args:
        rules: the schema of the configuration.
    """

    rules: Mapping[str, Any]
    _homes: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        # a shared part is written with the section that is nothing else, or among the shared parts
        self._homes = {name: name for name in self.rules["$defs"]}
        for section, node in self.rules["properties"].items():
            if "$ref" in node:
                self._homes[_definition(node)] = section

    def markdown(self) -> str:
        """The whole page."""
        sections = self.rules["properties"]
        plain = {key: node for key, node in sections.items() if not self._is_mapping(node)}
        parts = [INTRODUCTION, "## Sections\n", *self._contents(sections)]
        parts += ["\n## Single keys\n", *self._table(plain, self.rules, ""), ""]
        for key, node in sections.items():
            if key not in plain:
                parts += self._mapping(key, self._resolved(node), 2)
        parts.append(SHARED_PARTS)
        for name, node in self.rules["$defs"].items():
            if self._homes[name] == name and name not in sections and self._is_mapping(node):
                parts += self._mapping(name, node, 3)
        return "\n".join(parts).rstrip() + "\n"

    def _contents(self, sections: Mapping[str, Any]) -> Iterator[str]:
        for key, node in sections.items():
            if self._is_mapping(node):
                first = re.split(r"[.:;] |[.]$", self._resolved(node)["description"])[0]
                yield f"- [`{key}`](#{anchor(key)}): {first[0].lower()}{first[1:]}"

    def _mapping(self, path: str, node: Mapping[str, Any], level: int) -> Iterator[str]:
        """Heading, description and table of a mapping, then the mappings below it."""
        entry, inner = path, node
        if "array" in node.get("type", ()):  # of mappings
            inner = self._resolved(node["items"])
        elif "properties" not in node:  # entries by key
            entry, inner = f"{path}.<key>", self._resolved(node["additionalProperties"])
        yield f"{'#' * level} `{path}`\n"
        if "description" in node:
            yield f"{_cell(node['description'])}\n"
        if inner is not node and inner.get("description") not in (None, node.get("description")):
            said = _cell(inner["description"])
            yield f"{said}\n" if entry == path else f"`{entry}`: {said}\n"
        known = inner.get("properties", {})
        yield from self._table(known, inner, entry)
        yield ""
        for key, part in known.items():
            if self._is_mapping(part) and "$ref" not in part:
                yield from self._mapping(f"{entry}.{key}", part, min(level + 1, 5))

    def _table(self, known: Mapping[str, Any], node: Mapping[str, Any], path: str) -> Iterator[str]:
        yield "| key | type | default | allowed | description |"
        yield "|---|---|---|---|---|"
        for key, raw in known.items():
            part = self._resolved(raw)
            default = "**required**"
            if key not in node.get("required", []):
                default = f"`{_default(part['default'])}`"
            cells = (self._type(raw, f"{path}.{key}"), default, self._allowed(part), part["description"])
            yield f"| `{key}` | " + " | ".join(map(_cell, cells)) + " |"

    def _type(self, raw: Mapping[str, Any], path: str) -> str:
        """What a value is, in words; a mapping that is described elsewhere is linked to."""
        if self._is_mapping(raw):
            home = self._homes[_definition(raw)] if "$ref" in raw else path
            text = "list of mappings" if "array" in self._resolved(raw).get("type", ()) else "mapping"
            text = f"[{text}](#{anchor(home)})"
            return f"{text}, in part" if raw.get("x-partial") else text
        part = self._resolved(raw)
        if "$ref" in part.get("items", {}) and self._is_mapping(part["items"]):
            return f"[list of mappings](#{anchor(self._homes[_definition(part['items'])])})"
        return self._words(part)

    def _words(self, part: Mapping[str, Any]) -> str:
        part = self._resolved(part)
        if "anyOf" in part:
            return " or ".join(word for word in map(self._words, part["anyOf"]) if word)
        if "enum" in part:
            return "name"
        named = part.get("type", [])
        types = [WORDS[name] for name in ([named] if isinstance(named, str) else named) if name != "null"]
        text = " or ".join(types)
        if "items" in part:
            text = f"{text} ({self._words(part['items'])})"
        elif isinstance(part.get("additionalProperties"), dict):
            text = f"{text} ({self._words(part['additionalProperties'])})"
        return text

    def _allowed(self, part: Mapping[str, Any]) -> str:
        """Which values are allowed, of a list which members."""
        part = self._resolved(part)
        if "enum" in part:
            return ", ".join(f"`{'null' if name is None else name}`" for name in part["enum"])
        found = [f"{sign} {part[name]}" for name, sign in BOUNDS.items() if name in part]
        if "pattern" in part:
            found.append(f"`{part['pattern']}`")
        if "anyOf" in part:
            found += filter(None, map(self._allowed, part["anyOf"]))
        if "items" in part and not self._is_mapping(part["items"]):
            found += filter(None, [self._allowed(part["items"])])
        least, most = part.get("minItems"), part.get("maxItems")
        if least is not None:
            found.append(f"{least} of them" if least == most else f"{least} or more")
        if part.get("uniqueItems"):
            found.append("each once")
        if part.get("minProperties"):
            found.append(f"{part['minProperties']} or more")
        if part.get("minLength"):
            found.append("not empty")
        return ", ".join(dict.fromkeys(found))

    def _is_mapping(self, raw: Mapping[str, Any]) -> bool:
        """Whether a part has keys of its own, which are described one by one."""
        part = self._resolved(raw)
        listed = "array" in part.get("type", ())
        below = part.get("items" if listed else "additionalProperties")
        if "properties" in part or not isinstance(below, dict):
            return "properties" in part
        # lists of shared mappings are linked to where they stand
        return "properties" in (below if listed else self._resolved(below))

    def _resolved(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        return schema.resolved(node, self.rules)


def anchor(path: str) -> str:
    """The anchor that GitHub gives the heading of a mapping."""
    return re.sub(r"[^\w\- ]", "", path.lower()).replace(" ", "-")


def _definition(node: Mapping[str, Any]) -> str:
    return str(node["$ref"]).rpartition("/")[2]


def _default(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def _cell(text: str) -> str:
    """Text of one line that Markdown takes as it is: keys in `<>` would be taken for HTML."""
    plain = " ".join(text.split()).replace("|", "\\|")
    plain = re.sub(r"(`[^`]*`)|<(?=\w)", lambda found: found[1] or "\\<", plain)
    return re.sub(r"\bnctransfer(/\w+)+(?![\w/]|\.\w)", lambda found: f"[{found[0]}](../{found[0]})", plain)


def page() -> str:
    """The reference of the project's own schema."""
    return Reference(documents.read_mapping(SCHEMA)).markdown()


def main() -> None:
    """Write the page."""
    save_text(page(), PAGE)
    sys.stdout.write(f"{PAGE}\n")


if __name__ == "__main__":
    main()
