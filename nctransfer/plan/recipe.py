"""Recipes: digests that tell Snakemake which code and settings make a file.

Snakemake does not look inside a package that a ``script:`` imports, tests a script
by its modification time and forgets that an upstream job failed. A rule whose only
changing parameter is its recipe reruns exactly when its settings, the code it can
reach or the recipe of one of its inputs changes.

Code is digested as a syntax tree without comments, docstrings and layout, printed
by :func:`canonical` because ``ast.dump`` and ``ast.unparse`` differ between Python
versions. Only static imports are seen: variants (modules loaded by name) are passed
in by whoever knows the settings, so a new variant changes no existing recipe.
"""

import ast
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

# Fields that differ between Python versions or do not change what code does.
_IGNORED = {"ctx", "kind", "type_comment", "type_ignores", "type_params"}
# How long a job lives, where it runs and how that and its failures are told: nothing that it writes depends
# on these.
_OPERATION = {
    "nctransfer.failures",
    "nctransfer.lifetime",
    "nctransfer.runtime",
    "nctransfer.storage.devices",
    "nctransfer.storage.locks",
    "nctransfer.storage.run_lock",
}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def canonical(node: Any) -> str:
    """Print a syntax tree without comments, docstrings or layout, alike on Python 3.11 to 3.13."""
    if isinstance(node, list):
        return "[" + ",".join(map(canonical, node)) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = []
    for name in sorted(node._fields):
        value: Any = getattr(node, name, None)
        if name in _IGNORED or value == [] or (value is None and not isinstance(node, ast.Constant)):
            continue
        if name == "body" and isinstance(node, _DOCUMENTED) and ast.get_docstring(node, False) is not None:
            value = value[1:]
        fields.append(f"{name}={canonical(value)}")
    return f"{type(node).__name__}({','.join(fields)})"


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def _printed(path: Path) -> str:
    return canonical(_parsed(path))


@cache
def _imports(path: Path, module: str, is_package: bool) -> frozenset[str]:
    """Dotted names that a source file may import, relative imports made absolute."""
    found: set[str] = set()
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")
            base = parts[: len(parts) - node.level + is_package] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            found |= {stem} | {f"{stem}.{alias.name}" for alias in node.names}
    return frozenset(found)


@cache
def _source(root: Path, module: str) -> Path | None:
    """Source file of a module below root, or None when it is not ours."""
    path = root.joinpath(*module.split("."))
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None


@cache
def sources(root: Path, script: str, variants: frozenset[str] = frozenset()) -> dict[str, Path]:
    """Every source file under root that a script's results may depend on, by module name.

    Args:
        root: the project's root, beside which its package lies.
        script: path of the script, relative to root.
        variants: dotted names of modules that the script loads by name.
    """
    start = root / script
    files, todo = {script: start}, set(_imports(start, "__main__", False)) | set(variants)
    while todo:
        name = todo.pop()
        path = _source(root, name) if name else None
        if path is None or name in files or name in _OPERATION:
            continue
        files[name] = path
        todo |= _imports(path, name, path.name == "__init__.py")
        if "." in name:
            todo.add(name.rpartition(".")[0])  # importing a.b runs a/__init__.py
    return files


@cache
def code_digest(root: Path, script: str, variants: frozenset[str] = frozenset()) -> str:
    """Digest of a script and of every module under root that it reaches."""
    reached = sorted(sources(root, script, variants).items())
    text = "".join(f"{name}\n{_printed(path)}\n" for name, path in reached)
    return hashlib.sha256(text.encode()).hexdigest()


def recipe(
    root: Path, script: str, settings: Any, parents: Iterable[str] = (), variants: Iterable[str] = ()
) -> str:
    """Digest of a job's code, its settings and the recipes of its inputs.

    Args:
        root: the project's root.
        script: path of the job's script, relative to root.
        settings: plain JSON values; key order does not matter.
        parents: recipes of the jobs whose outputs this one reads.
        variants: dotted names of the modules that the settings choose.

    Raises:
        TypeError: the settings hold something that JSON cannot say.
    """
    code = code_digest(Path(root), script, frozenset(variants))
    text = json.dumps([code, settings, list(parents)], sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
