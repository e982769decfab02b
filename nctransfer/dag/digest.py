"""Digests: why a job runs again.

Snakemake does not look inside a package that a ``script:`` imports, tests a script by its modification time
and forgets that an upstream job failed. A rule whose only changing parameter holds its digest runs again
exactly when its settings, the code that it can reach or the digest of one of its inputs changes.

Code counts module by module, without what cannot change what a job writes (:mod:`nctransfer.dag.canonical`
says what that is). There is no call graph: what it would get wrong is a result that is out of date and not
made again. Only static imports are seen: variants (modules loaded by name) are passed in by whoever knows the
settings, so a new variant changes no digest.

Settings count as far as they differ from their defaults; a default counts as code, where code names the
setting. So a new setting makes no job stale as long as nobody sets it.
"""

import builtins
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from nctransfer.dag.canonical import EMPTY, EVERY_SETTING, Module, read_module
from nctransfer.stamp import Stamp

# Where and how long jobs run, and how that and their failures are told: no result depends on it.
OUTSIDE = "nctransfer.runtime"
FACTS = ":facts"


@dataclass(frozen=True)
class Code:
    """What a job can reach of this project's code.

    Attributes:
        digest: of all of it.
        parts: digests of its modules, and of exception classes and settings that it names, by name.
    """

    digest: str
    parts: Mapping[str, str]


def job_stamp(
    root: Path,
    script: str,
    settings: Any,
    inputs: Any = None,
    made_by: Mapping[str, str] | None = None,
    variants: Iterable[str] = (),
) -> Stamp:
    """The stamp of a job's outputs: digests of its code, its settings and its inputs.

    Args:
        root: folder that holds the package and the scripts.
        script: path of the job's script, relative to root.
        settings: plain JSON values, those that differ from their defaults; key order does not matter.
        inputs: plain JSON values that say what it reads.
        made_by: digests of the jobs that make its inputs, by the name of the input.
        variants: dotted names of the modules that the settings choose.

    Raises:
        TypeError: settings or inputs hold something that JSON cannot say.
    """
    code = reached_code(Path(root), script, frozenset(variants))
    made_by = dict(sorted((made_by or {}).items()))
    told = _short(json.dumps([settings, inputs], sort_keys=True, allow_nan=False))
    digest = _short(json.dumps([code.digest, told, made_by], sort_keys=True))
    return Stamp(digest, code.digest, told, made_by, tuple(sorted(code.parts.values())))


@cache
def reached_code(root: Path, script: str, variants: frozenset[str] = frozenset()) -> Code:
    """Digest a script and every module under root that it reaches.

    Args:
        root: folder that holds the package and the scripts.
        script: path of the script, relative to root.
        variants: dotted names of modules that the script loads by name, ``name:facts`` where it reads their
            constants alone.
    """
    modules = reached_modules(root, script, variants)
    chosen = _chosen_definitions(list(modules.values()))
    used = _used_words(list(modules.values()))
    parts = {name: _short(_whole(module, used)) for name, module in modules.items() if module.text != EMPTY}
    edges = [
        f"{parts[name]} {what} {_target(root, target)}"
        for name, module in modules.items()
        for what, target in module.links
        if not _is_outside(target)
    ]
    parts |= {label: _short(text) for label, text in chosen}
    return Code(_short("\n".join(sorted([*parts.values(), *edges]))), parts)


@cache
def reached_modules(root: Path, script: str, variants: frozenset[str] = frozenset()) -> Mapping[str, Module]:
    """The script and every module under root that its results may depend on, by dotted name."""
    start = _module(root, root / script, "__main__")
    reached, todo = {script: start}, {target for _, target in start.links} | set(variants)
    while todo:
        name = todo.pop()
        path = _source(root, name.removesuffix(FACTS)) if name else None
        if path is None or name in reached or _is_outside(name):
            continue
        reached[name] = _module(root, path, name)
        todo |= {target for _, target in reached[name].links}
        if "." in name:
            todo.add(name.rpartition(".")[0])  # importing a.b runs a/__init__.py
    return reached


def _chosen_definitions(modules: list[Module]) -> Iterator[tuple[str, str]]:
    """Exception classes and optional settings that the code names, each with its text."""
    names = {name for module in modules for name in module.names}
    waiting = [definition for module in modules for definition in module.optional]
    while True:
        every = EVERY_SETTING in names
        chosen = [
            (name, label, further, text)
            for name, label, further, text in waiting
            if name in names or (every and "." in label)
        ]
        if not chosen:
            return
        for definition in chosen:
            waiting.remove(definition)
            names |= definition[2]
            yield definition[1], definition[3]


def _used_words(modules: list[Module]) -> frozenset[str]:
    """Names of the exceptions whose words count: those that some code uses, and what derives from them."""
    read = {name for module in modules for name in module.read}
    raised = {name for module in modules for name, _ in module.words}
    bases: dict[str, set[str]] = {}
    for module in modules:
        for name, above in module.bases.items():
            bases.setdefault(name, set()).update(above)

    def counts(name: str, seen: frozenset[str] = frozenset()) -> bool:
        if name in read:
            return True
        if name in bases:
            return any(counts(above, seen | {name}) for above in bases[name] - seen)
        known = getattr(builtins, name, None)
        if known is None:  # of a library: what it derives from is not known
            return bool(read)
        return any(above.__name__ in read for above in known.__mro__)

    return frozenset(name for name in raised if counts(name))


def _whole(module: Module, used: frozenset[str]) -> str:
    """A module's text, with those words of its errors that count."""
    return "\n".join([module.text, *(text for name, text in module.words if name in used)])


def _target(root: Path, name: str) -> str:
    """Which module an import names: its contents; of a package its name, by which variants are found."""
    path = _source(root, name)
    assert path is not None
    return name if path.name == "__init__.py" else _short(_module(root, path, name).text)


def _is_outside(module: str) -> bool:
    return module == OUTSIDE or module.startswith(f"{OUTSIDE}.")


@cache
def _module(root: Path, path: Path, name: str) -> Module:
    own = name.removesuffix(FACTS)
    return read_module(path, own, lambda dotted: _source(root, dotted) is not None, _is_outside, own != name)


@cache
def _source(root: Path, module: str) -> Path | None:
    """Source file of a module below root, None where it is not ours."""
    path = root.joinpath(*module.split("."))
    return next((found for found in (path / "__init__.py", path.with_suffix(".py")) if found.is_file()), None)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
