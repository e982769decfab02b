"""Digests: why a job runs again.

Snakemake does not look inside a package that a ``script:`` imports, checks a script by its modification time
and forgets that an upstream job failed. A rule whose only changing parameter contains the job's digest runs
again exactly if its settings, the code that it can reach or the digest of one of its inputs has changed.

Code counts module by module, without what cannot change the outputs of a job
(:mod:`nctransfer.dag.canonical` lists it). There is no call graph: an error in it would leave an outdated
result in place. Only static imports are followed: variants (modules loaded by name) are passed in by the
caller, who knows the settings, so that a new variant changes no digest.

Settings count if they differ from their defaults; a default counts as code, if code names the setting. So a
new setting makes no job stale until it is set.
"""

import builtins
import hashlib
import json
import marshal
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from nctransfer.dag import canonical
from nctransfer.dag.canonical import EMPTY, EVERY_SETTING, Module, read_module
from nctransfer.stamp import Stamp
from nctransfer.storage.files import atomic_path

# Where and how long jobs run, and how they report progress and failures: no result depends on it.
OUTSIDE = "nctransfer.runtime"
FACTS = ":facts"
RECORDS = Path(".snakemake/nctransfer/modules")
MOST = 5000


@dataclass(frozen=True)
class Code:
    """The code of this project that a job can reach."""

    digest: str  # digest of all of it
    # digests of its modules, and of the exception classes and settings that it names, by name
    parts: Mapping[str, str]
    libraries: frozenset[str]  # top-level packages of others that it imports


def job_stamp(
    root: Path,
    script: str,
    settings: Any,
    inputs: Any = None,
    made_by: Mapping[str, str] | None = None,
    variants: Iterable[str] = (),
) -> Stamp:
    """The stamp of a job's outputs: digests of its code, its settings and its inputs.

    ``settings`` and ``inputs`` are plain JSON values, ``made_by`` digests of the jobs that make its inputs,
    by the name of the input, ``variants`` names of the modules that the settings choose; see
    :func:`reached_code`.

    Raises:
        TypeError: settings or inputs contain something that JSON cannot represent.
    """
    code = reached_code(Path(root), script, frozenset(variants))
    made_by = dict(sorted((made_by or {}).items()))
    settings_digest = _short(json.dumps([settings, inputs], sort_keys=True, allow_nan=False))
    digest = _short(json.dumps([code.digest, settings_digest, made_by], sort_keys=True))
    return Stamp(digest, code.digest, settings_digest, made_by, tuple(sorted(code.parts.values())))


@cache
def reached_code(root: Path, script: str, variants: frozenset[str] = frozenset()) -> Code:
    """Digest a script (its path absolute or relative to ``root``) and every module that it reaches.

    ``variants`` are dotted names of modules that it loads by name, ``name:facts`` if it only reads their
    constants.
    """
    modules = reached_modules(root, script, variants)
    chosen = _chosen_definitions(modules)
    used = _used_words(list(modules.values()))
    parts = {}
    for name, module in modules.items():
        if module.text != EMPTY:  # with the error messages that count
            words = [text for exception, text in module.words if exception in used]
            parts[name] = _short("\n".join([module.text, *words]))
    edges = [
        f"{parts.get(name)} {what} {_target(root, target)}"  # a module may hold imports alone
        for name, module in modules.items()
        for what, target in module.links
        if not _is_outside(target)
    ]
    _records(root).save()
    # a definition counts as one of its module's: several modules have a class ``Options``
    parts |= {f"{name}: {label}": _short(f"{parts.get(name)} {text}") for name, label, text in chosen}
    libraries = frozenset().union(*(module.libraries for module in modules.values()))
    return Code(_short("\n".join(sorted([*parts.values(), *edges]))), parts, libraries)


@cache
def reached_modules(root: Path, script: str, variants: frozenset[str] = frozenset()) -> Mapping[str, Module]:
    """The script and every own module that its results may depend on, by dotted name."""
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


def _chosen_definitions(modules: Mapping[str, Module]) -> Iterator[tuple[str, str, str]]:
    """Exception classes and optional settings that the code names: module, label and text of each."""
    names = {name for module in modules.values() for name in module.names}
    definitions = [(where, *optional) for where, module in modules.items() for optional in module.optional]
    while True:
        every = EVERY_SETTING in names
        chosen = [each for each in definitions if each[1] in names or (every and "." in each[2])]
        if not chosen:
            return
        for definition in chosen:
            definitions.remove(definition)
            where, _, label, further, text = definition
            names |= further
            yield where, label, text


def _used_words(modules: list[Module]) -> frozenset[str]:
    """Names of the exceptions whose messages count: those that code uses, and classes derived from them."""
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
        builtin = getattr(builtins, name, None)
        if builtin is None:  # from a library: its bases are not known
            return bool(read)
        return any(above.__name__ in read for above in builtin.__mro__)

    return frozenset(name for name in raised if counts(name))


def _target(root: Path, name: str) -> str:
    """Identity of an imported module: its contents; for a package its name, by which variants are found."""
    path = _source(root, name)
    assert path is not None
    return name if path.name == "__init__.py" else _short(_module(root, path, name).text)


def _is_outside(module: str) -> bool:
    return module == OUTSIDE or module.startswith(f"{OUTSIDE}.")


@cache
def _module(root: Path, path: Path, name: str) -> Module:
    own, records = name.removesuffix(FACTS), _records(root)
    key = f"{name} {path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    if key not in records.known:
        is_own = lambda dotted: _source(root, dotted) is not None  # noqa: E731
        records.add(key, read_module(path, own, is_own, _is_outside, own != name))
    return Module(*records.known[key])


class _Records:
    """Modules as digests see them, kept from run to run: reading them is a good part of a short plan.

    A module depends on its file, on which modules there are, and on how it is read. A loss costs time only.
    """

    def __init__(self, root: Path) -> None:
        packages = [path.parent for path in root.glob("*/__init__.py")]
        names = sorted(str(path.relative_to(root)) for folder in packages for path in folder.rglob("*.py"))
        self._of = repr((sys.version_info[:2], Path(canonical.__file__).read_bytes(), names))
        self.known: dict[str, tuple[Any, ...]] = {}
        self._is_new = False
        with suppress(OSError, ValueError, EOFError, TypeError):
            of, known = marshal.loads(RECORDS.read_bytes())
            if of == self._of and len(known) < MOST:  # old versions of edited files stay
                self.known = known

    def add(self, key: str, module: Module) -> None:
        """Add a module, to be kept by :meth:`save`."""
        self.known[key] = tuple(getattr(module, part.name) for part in fields(module))
        self._is_new = True

    def save(self) -> None:
        """Keep what is new, where there is a folder of Snakemake."""
        if self._is_new and RECORDS.parents[1].is_dir():
            with suppress(OSError), atomic_path(RECORDS) as partial:
                partial.write_bytes(marshal.dumps((self._of, self.known)))
            self._is_new = False


_records = cache(_Records)


@cache
def _source(root: Path, module: str) -> Path | None:
    """Source file of a module of this project, else None."""
    path = root.joinpath(*module.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
