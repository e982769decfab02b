"""Which keys of a configuration the code reads, found in its syntax trees.

A key counts as read where it stands as an index (``settings["epochs"]``) or is asked for (``.get("epochs")``),
directly, through a local name, a function's argument or a module's constant, or where it is a field of a class
that is made of a mapping (``Jitter(**options)``). Lists of allowed keys, dictionaries that are written and
docstrings do not count.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nctransfer.plan.schema import resolved


def schema_keys(rules: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Every key of a schema at every depth by its path, `*` for names and places in lists; shared parts once."""
    found: dict[str, Mapping[str, Any]] = {}

    def walk(node: Mapping[str, Any], path: tuple[str, ...]) -> None:
        for key, part in node.get("properties", {}).items():
            found[".".join((*path, key))] = resolved(part, rules)
            if "$ref" not in part:
                walk(part, (*path, key))
        for below in ("additionalProperties", "items"):
            if isinstance(node.get(below), dict) and "$ref" not in node[below]:
                walk(node[below], (*path, "*"))

    walk(rules, ())
    for name, node in rules["$defs"].items():
        walk(node, (f"$defs/{name}",))
    return found


def keys_read(files: Sequence[Path]) -> set[str]:
    """Keys that are read anywhere in these files."""
    trees = [ast.parse(path.read_text()) for path in files]
    constants = _module_constants(trees)
    found: set[str] = set()
    for tree in trees:
        takers = _takers(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                found |= _through_local_names(node)
            for index in _indices(node):
                if isinstance(index, ast.Attribute) and index.attr.isupper():
                    found |= constants.get(index.attr, set())
                found |= _texts(index)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                places = takers.get(node.func.id, ())
                found |= {text for place in places for text in _texts(*node.args[place : place + 1])}
    return found | _fields_made_of_mappings(trees)


def _indices(node: ast.AST) -> Iterator[ast.expr]:
    """What a node asks a mapping for."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        yield node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        yield from node.args[:1] if node.func.attr in ("get", "pop") else ()


def _texts(*nodes: ast.expr) -> set[str]:
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def chains_read(files: Sequence[Path]) -> set[tuple[str, str]]:
    """Pairs of a key, or an attribute of this name, and the key that it is asked for: ``config["a"]["b"]``."""
    found = set()
    for node in (node for path in files for node in ast.walk(ast.parse(path.read_text()))):
        if isinstance(node, ast.Subscript):
            outer = node.value
            names = {outer.attr} if isinstance(outer, ast.Attribute) else set()
            names |= {text for index in _indices(outer) for text in _texts(index)}
            found |= {(name, text) for name in names for text in _texts(node.slice)}
    return found


def _module_constants(trees: Sequence[ast.Module]) -> dict[str, set[str]]:
    """Texts by the names in capitals that modules give them."""
    found: dict[str, set[str]] = {}
    for statement in (statement for tree in trees for statement in tree.body):
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            name = statement.targets[0].id
            if name.isupper():
                found.setdefault(name, set()).update(_texts(statement.value))
    return found


def _takers(tree: ast.Module) -> dict[str, list[int]]:
    """Functions of a module that use arguments as keys, and the places of these arguments."""
    found = {}
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        asked = {i.id for node in ast.walk(function) for i in _indices(node) if isinstance(i, ast.Name)}
        places = [place for place, argument in enumerate(function.args.args) if argument.arg in asked]
        if places:
            found[function.name] = places
    return found


def _through_local_names(function: ast.FunctionDef) -> set[str]:
    """Texts that a function puts into a name of its own and asks for by it."""
    asked = {i.id for node in ast.walk(function) for i in _indices(node) if isinstance(i, ast.Name)}
    found: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            chosen = (
                [node.value.body, node.value.orelse] if isinstance(node.value, ast.IfExp) else [node.value]
            )
            found |= _texts(*chosen) if node.targets[0].id in asked else set()
    return found


def _fields_made_of_mappings(trees: Sequence[ast.Module]) -> set[str]:
    """Fields of classes that are somewhere made by ``Class(**mapping)``."""
    nodes = [node for tree in trees for node in ast.walk(tree)]
    made = {
        node.func.id
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if any(keyword.arg is None for keyword in node.keywords)
    }
    return {
        field.target.id
        for node in nodes
        if isinstance(node, ast.ClassDef) and node.name in made
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }
