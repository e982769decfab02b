"""Write what follows from the settings classes: ``python -m nctransfer.config.reference``.

The JSON schemas in ``workflow/schemas`` are for editors and the workflow catalogue; docs/configuration.md
is written from the one of the configuration.
"""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import yaml

from nctransfer.config.claims import ClaimsSettings
from nctransfer.config.configuration import Configuration
from nctransfer.settings import Settings
from nctransfer.storage.files import save_text

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "workflow" / "schemas"
PAGE = ROOT / "docs" / "configuration.md"
NOTE = "# Written by `make docs` from the classes of settings in nctransfer; edit their docstrings.\n"
CLOSED = "> ⚠️ Additional properties are not allowed.\n\n"
INTRODUCTION = """\
# Configuration

<!-- Written by `make docs` from the classes of settings in nctransfer; edit their docstrings. -->

`config.yaml` holds the whole paper. An overlay (`--configfile mine.yaml`, several in order) is merged into
it, mappings key by key and lists whole; `--config seed=1` comes last, its value read as YAML. All mistakes
are reported at once, before any job is planned, each with its key, its value, what is allowed and the closest
valid name. How to write data and models of your own: [your-own.md](your-own.md).

- **Every key may be left out** and then has the default given here, except those that are required: an entry
  of a data set, model, family, run, figure or table means nothing without them. The entry itself may be left
  out.
- `null` as a default means that the description says what follows; `{}` that each key below has its default.
- `config.yaml` sets some keys otherwise than the defaults given here, for the paper (`training.precision`).
- `<key>` is a name of your choice: letters, digits, `.`, `_` and `-`, the first a letter or digit.
- Where a section overrides another (`training` of a model, `options` of a run), keys that are left out are
  taken from the section that it overrides.
- A change runs again the jobs that read the key ([Digests and reruns](architecture.md#digests-and-reruns)).

"""


def schema(settings: type[Settings]) -> dict[str, Any]:
    """The JSON schema of a class of settings, without what says nothing to a reader."""
    written = settings.model_json_schema()
    for name, kind in classes_below(settings).items():
        node = written if kind is settings else written["$defs"].get(name, {})
        for field, text in field_docs(kind).items():
            node.get("properties", {}).get(field, {}).setdefault("description", text)
    for node in _nodes(written):
        if isinstance(node.get("description"), str):
            node["description"] = " ".join(node["description"].split())
        if isinstance(node.get("title"), str) and "properties" not in node:
            del node["title"]
        if isinstance(node.get("default"), dict):
            node["default"] = {}  # each key below has its own
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **written}


def field_docs(settings: type[Settings]) -> dict[str, str]:
    """The docstrings of the fields of a class of settings, inherited ones among them, by name."""
    docs: dict[str, str] = {}
    for kind in reversed(settings.__mro__):
        if not issubclass(kind, Settings) or "create_model" in getattr(kind, "__qualname__", ""):
            continue
        try:
            (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
        except (OSError, TypeError, ValueError):  # made of a base and a name
            continue
        if isinstance(definition, ast.ClassDef) and definition.name == kind.__name__:
            for before, after in pairwise(definition.body):
                match before, after:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                        value=ast.Constant(value=str(text))
                    ):
                        docs[name] = text
    return docs


def classes_below(settings: type[Settings]) -> dict[str, type[Settings]]:
    """A class of settings and all classes below it, by name."""
    classes: dict[str, type[Settings]] = {}

    def add(annotation: Any) -> None:
        is_settings = isinstance(annotation, type) and issubclass(annotation, Settings)
        if is_settings and annotation.__name__ not in classes:
            classes[annotation.__name__] = annotation
            for field in annotation.model_fields.values():
                add(field.annotation)
        for part in get_args(annotation):
            add(part)

    add(settings)
    return classes


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping of a schema."""
    if isinstance(node, dict):
        yield node
        for name, part in node.items():
            if name != "default":
                yield from _nodes(part)
    elif isinstance(node, list):
        for part in node:
            yield from _nodes(part)


def schema_text(settings: type[Settings]) -> str:
    """The JSON schema of a class of settings as a YAML file."""
    return NOTE + yaml.safe_dump(schema(settings), sort_keys=False, allow_unicode=True, width=110)


def page() -> str:
    """The reference of the configuration, in Markdown."""
    import jsonschema_markdown  # a tool of developers
    from loguru import logger

    logger.disable("jsonschema_markdown")
    written = schema(Configuration)
    for node in _nodes(written):
        node.pop("pattern", None)  # the introduction says what `<key>` is
        entries = node.get("additionalProperties") or next(
            iter(node.get("patternProperties", {}).values()), None
        )
        if isinstance(entries, dict) and "description" in node:
            links = ", ".join(f"[{name}](#{name.lower()})" for name in sorted(set(_references(entries))))
            node["description"] += f" Entries: {links}." if links else ""
    body = jsonschema_markdown.generate(written, footer=False, replace_refs=False, hide_empty_columns=True)
    for repeated in ("# Definitions\n\n", "#### Type: `object`\n\n", CLOSED):
        body = body.replace(repeated, "")
    return INTRODUCTION + body[body.index("|") :].rstrip() + "\n"


def _references(node: Any) -> Iterator[str]:
    for part in _nodes(node):
        if "$ref" in part:
            yield part["$ref"].rpartition("/")[2]


def main() -> None:
    """Write schemas and page."""
    for name, settings in (("config", Configuration), ("claims", ClaimsSettings)):
        save_text(schema_text(settings), SCHEMAS / f"{name}.schema.yaml")
    save_text(page(), PAGE)
    sys.stdout.write(f"{SCHEMAS}, {PAGE}\n")


if __name__ == "__main__":
    main()
