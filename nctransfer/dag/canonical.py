"""Source code as what it does: a module's syntax tree, without what cannot change what a job writes.

Left out, and why:

- Comments, layout, docstrings, bare texts, ``pass``: nothing of them runs.
- Annotations of functions and of assigned names: nobody reads them while a job runs. Those in class bodies
  stay, since data classes and settings are made of them; so do those of functions whose decorator reads them.
- Log calls, ``logger = ...`` and an ``if`` that does nothing but log: no result depends on the log.
- Words of errors: texts given to an exception where it is made, and messages of ``assert``. An error ends the
  work, or some code catches it. Where that code uses the words for anything but another error or the log,
  they count (:attr:`Module.words`, :attr:`Module.read`).
- Private functions that nothing but such words named.
- ``if TYPE_CHECKING``: it never runs.
- Imports that only left-out code named. An import that nothing ever named stays: it is there for its effect.
- The order of imports and the names of own modules: an import counts by the contents of what it names.
- Exception classes, and settings that have a default (:attr:`Module.optional`): they count where code that a
  job reaches names them. A new one changes nothing until somebody does.

Trees are printed by :func:`printed`, because ``ast.dump`` and ``ast.unparse`` differ between Python versions.
"""

import ast
import builtins
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

# Fields that differ between Python versions or do not change what code does.
_IGNORED = {"ctx", "kind", "type_comment", "type_ignores", "type_params"}
_LOGGERS = {"logger", "logging"}
_LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
# Decorators that read a function's annotations.
_READS_ANNOTATIONS = {"register", "validate_call"}
_TEXT_METHODS = {"join", "format", "strip", "removesuffix", "removeprefix"}
# Functions without an effect, which the condition of a log call may name.
_HARMLESS = {"len", "isinstance", "any", "all", "bool", "min", "max", "sum", "sorted", "set", "str", "int"}
# What tells of a caught error without its words.
_WORDLESS = frozenset({"type", "isinstance", "id"})
EVERY_SETTING = "*"
EMPTY = "Module()"  # the text of a module in which nothing runs


@dataclass(frozen=True)
class Module:
    """A source file as digests see it.

    Attributes:
        text: what is left of it, printed.
        links: for every own module that it imports, as what and its dotted name.
        names: that its code mentions; :data:`EVERY_SETTING` where it may read any attribute.
        optional: definitions that count where their name is mentioned: the name, a label, what they mention
            themselves, and their text.
        words: of errors: the exception's name and the words.
        read: names of exceptions whose words its code uses.
        bases: names of the bases of its exception classes.
    """

    text: str
    links: tuple[tuple[str, str], ...]
    names: frozenset[str]
    optional: tuple[tuple[str, str, frozenset[str], str], ...]
    words: tuple[tuple[str, str], ...]
    read: frozenset[str]
    bases: dict[str, frozenset[str]]


def read_module(
    path: Path,
    module: str,
    is_own: Callable[[str], bool],
    is_outside: Callable[[str], bool],
    facts_only: bool = False,
) -> Module:
    """Read a source file.

    Args:
        path: of the file.
        module: its dotted name, ``__main__`` for a script.
        is_own: tells whether a dotted name is a module of this project.
        is_outside: tells whether no result depends on a module.
        facts_only: leave out its functions, which who reads its constants never calls.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if facts_only:
        tree.body = [node for node in tree.body if not isinstance(node, ast.FunctionDef)]
    before = _loaded(tree)
    pruner = _Pruner()
    tree = pruner.visit(tree)
    after = _leave_out_private_functions(tree, before)
    imports = [
        (alias, source)
        for node in pruner.imports
        for alias, source in _aliases(node, module, path.name == "__init__.py")
        if _bound(alias) in after or _bound(alias) not in before
    ]
    links, others, objects, libraries = [], [], {}, set()
    wordless = _WORDLESS | {_bound(alias) for alias, source in imports if is_outside(source)}
    for alias, source in imports:
        name = f"{source}.{alias.name}" if source else alias.name
        if is_own(name) and (source or alias.asname):
            objects[_bound(alias)] = name
        elif is_own(name) or (source and is_own(source)):
            links.append((f"{alias.name if source else ''} as {_bound(alias)}", source or name))
        else:
            others.append(f"{source}:{alias.name} as {_bound(alias)}")
            libraries.add(_bound(alias))
    namer = _ModuleNames(objects)
    tree = namer.visit(tree) if objects else tree
    links += [(f"module {namer.places.get(name, '')}", target) for name, target in objects.items()]
    optional = [*_exception_classes(tree), *_optional_settings(tree)]
    own = set() if any(map(_is_settings, tree.body)) else {"self"}
    bases = {node.name: frozenset(map(_last, node.bases)) for node in pruner.exceptions}
    return Module(
        text="\n".join([*sorted(set(others)), printed(tree)]),
        links=tuple(sorted(set(links))),
        names=frozenset(_mentioned(tree, libraries | own)),
        optional=tuple(optional),
        words=tuple(pruner.words),
        read=frozenset(_read_errors(tree, wordless)),
        bases=bases,
    )


def printed(node: Any) -> str:
    """Print a syntax tree, alike on Python 3.11 to 3.13."""
    if isinstance(node, list):
        return "[" + ",".join(map(printed, node)) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = []
    for name in sorted(node._fields):
        value: Any = getattr(node, name, None)
        if name in _IGNORED or value == [] or (value is None and not isinstance(node, ast.Constant)):
            continue
        fields.append(f"{name}={printed(value)}")
    return f"{type(node).__name__}({','.join(fields)})"


@cache
def is_exception(name: str) -> bool:
    """Whether a class of this name is an exception: a built-in one, or named like one."""
    known = getattr(builtins, name, None)
    return name.endswith(("Error", "Exception")) or (
        isinstance(known, type) and issubclass(known, BaseException)
    )


# --- leaving out -------------------------------------------------------------------------


class _Pruner(ast.NodeTransformer):
    """Takes out what cannot change a result, and notes the words of errors."""

    def __init__(self) -> None:
        self.words: list[tuple[str, str]] = []
        self.exceptions: list[ast.ClassDef] = []
        self.imports: list[ast.Import | ast.ImportFrom] = []

    def visit_Module(self, node: ast.Module) -> ast.Module:
        self.exceptions = [
            part for part in node.body if isinstance(part, ast.ClassDef) and _is_exception_class(part)
        ]
        self.generic_visit(node)
        return node

    def visit_Import(self, node: ast.Import) -> None:
        self.imports.append(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.imports.append(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        decorators = {
            _last(part.func if isinstance(part, ast.Call) else part) for part in node.decorator_list
        }
        if not decorators & _READS_ANNOTATIONS:
            node.returns = None
            arguments = node.args
            for argument in (
                *arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg,
                arguments.kwarg,
            ):  # fmt: skip
                if argument is not None:
                    argument.annotation = None
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        body: list[ast.stmt] = []
        for part in node.body:
            if isinstance(part, ast.AnnAssign):
                body.append(self.generic_visit(part))  # type: ignore[arg-type]
            else:
                kept = self.visit(part)
                body += kept if isinstance(kept, list) else [] if kept is None else [kept]
        node.body = body
        node.decorator_list = [self.visit(part) for part in node.decorator_list]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        return None if node.value is None else ast.Assign(targets=[node.target], value=node.value)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        (target, *others), value = node.targets, node.value
        is_logger = isinstance(target, ast.Name) and target.id in _LOGGERS and not others
        if is_logger and isinstance(value, ast.Call) and _last(value.func) == "getLogger":
            return None
        return self.generic_visit(node)

    def visit_Pass(self, node: ast.Pass) -> None:
        return None

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) or _is_log_call(node.value):
            return None
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt] | None:
        if _last(node.test) == "TYPE_CHECKING":
            kept = [self.visit(part) for part in node.orelse]
            return [part for part in kept if part is not None]
        self.generic_visit(node)
        return None if not node.body and not node.orelse and _is_harmless(node.test) else node

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        if node.msg is not None:
            self.words.append(("AssertionError", printed(node.msg)))
            node.msg = None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = _last(node.func)
        if is_exception(name):
            spoken = [part for part in (*node.args, *node.keywords) if _is_text(part)]
            self.words += [(name, printed(part)) for part in spoken]
            node.args = [part for part in node.args if part not in spoken]
            node.keywords = [part for part in node.keywords if part not in spoken]
        return self.generic_visit(node)


def _is_log_call(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _LOG_METHODS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in _LOGGERS
    )


def _is_harmless(test: ast.expr) -> bool:
    """Whether a condition has no effect of its own."""
    effects = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
    return not any(
        isinstance(node, effects) or (isinstance(node, ast.Call) and _last(node.func) not in _HARMLESS)
        for node in ast.walk(test)
    )


def _is_text(node: ast.AST) -> bool:
    """Whether an argument is words: a text, or put together from one."""
    match node:
        case ast.keyword():
            return _is_text(node.value)
        case ast.Constant():
            return isinstance(node.value, str)
        case ast.JoinedStr():
            return True
        case ast.BinOp(op=ast.Add() | ast.Mod()):
            return _is_text(node.left) or _is_text(node.right)
        case ast.IfExp():
            return _is_text(node.body) or _is_text(node.orelse)
        case ast.Call(func=ast.Attribute() as method):
            return method.attr in _TEXT_METHODS and _is_text(method.value)
    return False


def _leave_out_private_functions(tree: ast.Module, before: Counter[str]) -> Counter[str]:
    """Take out private functions that were named, and no longer are; returns what is named then."""
    after = _loaded(tree)
    while True:
        unused = []
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("_"):
                own = _loaded(node)[node.name] if before[node.name] > after[node.name] else None
                if own is not None and after[node.name] == own:
                    unused.append(node)
        if not unused:
            return after
        tree.body = [node for node in tree.body if node not in unused]
        after = _loaded(tree)


# --- imports -------------------------------------------------------------------------------


class _ModuleNames(ast.NodeTransformer):
    """Replaces the names of own modules by the order in which they first appear."""

    def __init__(self, objects: dict[str, str]) -> None:
        self.places: dict[str, int] = {}
        self._objects = objects

    def visit_Name(self, node: ast.Name) -> ast.Name:
        if node.id not in self._objects:
            return node
        place = self.places.setdefault(node.id, len(self.places))
        return ast.Name(id=f"module {place}", ctx=node.ctx)


def _aliases(
    node: ast.Import | ast.ImportFrom, module: str, is_package: bool
) -> Iterator[tuple[ast.alias, str]]:
    """What an import names, and from which module (made absolute; empty for ``import x``)."""
    source = ""
    if isinstance(node, ast.ImportFrom):
        parts = module.split(".")
        base = parts[: len(parts) - node.level + is_package] if node.level else []
        source = ".".join([*base, *([node.module] if node.module else [])])
    yield from ((alias, source) for alias in node.names)


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


# --- definitions that count where they are named ----------------------------------------------


def _is_exception_class(node: ast.ClassDef) -> bool:
    return any(is_exception(_last(base)) for base in node.bases)


def _exception_classes(tree: ast.Module) -> Iterator[tuple[str, str, frozenset[str], str]]:
    """Take exception classes out of a tree."""
    found = [node for node in tree.body if isinstance(node, ast.ClassDef) and _is_exception_class(node)]
    tree.body = [node for node in tree.body if node not in found]
    for node in found:
        yield node.name, node.name, frozenset(_mentioned(node)), printed(node)


def _optional_settings(tree: ast.Module) -> Iterator[tuple[str, str, frozenset[str], str]]:
    """Take settings that have a default out of the classes of a tree."""
    for node in tree.body:
        if _is_settings(node):
            for part in [part for part in node.body if _has_default(part)]:
                node.body.remove(part)
                name = _last(part.target)  # type: ignore[attr-defined]
                yield name, f"{node.name}.{name}", frozenset(_mentioned(part)), printed(part)


def _is_settings(node: ast.stmt) -> TypeGuard[ast.ClassDef]:
    """Whether a statement defines settings, which have ``...Settings`` as a base."""
    return isinstance(node, ast.ClassDef) and any(
        _last(base.value if isinstance(base, ast.Subscript) else base).endswith("Settings")
        for base in node.bases
    )


def _has_default(node: ast.stmt) -> bool:
    """Whether a statement of a class body is a setting that may be left out."""
    if not isinstance(node, ast.AnnAssign) or node.value is None:
        return False
    annotation = node.annotation.value if isinstance(node.annotation, ast.Subscript) else node.annotation
    if _last(annotation) == "ClassVar":
        return False
    if isinstance(node.value, ast.Call) and _last(node.value.func) == "Field":
        given = {keyword.arg for keyword in node.value.keywords}
        return bool(node.value.args) or bool(given & {"default", "default_factory"})
    return True


# --- names ---------------------------------------------------------------------------------


def _last(node: ast.AST) -> str:
    """Last part of a dotted name, empty for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _loaded(tree: ast.AST) -> Counter[str]:
    """How often each name stands in a tree, imports apart."""
    return Counter(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


def _mentioned(tree: ast.AST, others: Collection[str] = ()) -> Iterator[str]:
    """Names, attributes, arguments and texts like names; a mark where any attribute may be read."""
    for node in ast.walk(tree):
        match node:
            case ast.Name():
                yield node.id
            case ast.Attribute():
                yield node.attr
            case ast.keyword(arg=str(name)):
                yield name
            case ast.Constant(value=str(text)) if text.isidentifier():
                yield text
            case ast.Call() if _reads_all(node, others):
                yield EVERY_SETTING


def _reads_all(call: ast.Call, others: Collection[str]) -> bool:
    """Whether a call may read any attribute of settings.

    Args:
        call: the call.
        others: names of what is no settings: libraries, ``self`` where no settings are defined.
    """
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    match _last(call.func):
        case "getattr":
            return not isinstance(call.args[1], ast.Constant) and _last(call.args[0]) not in others
        case "model_dump" | "model_dump_json":
            named = given.get("include")
            names = named.elts if isinstance(named, ast.Set) else [named]
            return "exclude_defaults" not in given and not all(isinstance(key, ast.Constant) for key in names)
        case "vars" | "model_fields":
            return True
    return False


# --- words that are used ---------------------------------------------------------------------


def _read_errors(tree: ast.Module, wordless: frozenset[str]) -> Iterator[str]:
    """Exceptions that are caught and whose words end in something else than another error."""
    for handler, scope in _handlers(tree, tree):
        if handler.name is not None and _Words(scope, wordless).are_used(handler.name, handler):
            yield from _caught(handler.type)


def _handlers(node: ast.AST, scope: ast.AST) -> Iterator[tuple[ast.ExceptHandler, ast.AST]]:
    """Every handler of exceptions below a node, with the function, or module, around it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ExceptHandler):
            yield child, scope
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from _handlers(child, child if isinstance(child, ast.FunctionDef) else scope)


def _caught(node: ast.expr | None) -> Iterator[str]:
    """Names of the exceptions of a handler; of what is no name (a constant of several) any."""
    if isinstance(node, ast.Tuple):
        for part in node.elts:
            yield from _caught(part)
    else:
        name = _last(node) if node is not None else ""
        yield name if is_exception(name) else "BaseException"


class _Words:
    """Looks for uses of a caught error's words.

    Args:
        scope: the function, or module, around the handler.
        wordless: functions that do not use the words of an error that they are given.
    """

    def __init__(self, scope: ast.AST, wordless: frozenset[str]) -> None:
        self._scope, self._wordless = scope, wordless
        self._parents = {child: node for node in ast.walk(scope) for child in ast.iter_child_nodes(node)}
        self._seen: set[str] = set()

    def are_used(self, name: str, within: ast.AST) -> bool:
        """Whether words of the error of this name, or of a name that was made of it, are used."""
        self._seen.add(name)
        return any(
            self._is_use(node)
            for node in ast.walk(within)
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
        )

    def _is_use(self, node: ast.Name) -> bool:
        parent = self._parents[node]
        if isinstance(parent, ast.Attribute):
            return parent.attr == "args"
        if isinstance(parent, ast.Call) and node is not parent.func:
            called = _last(parent.func)
            if called in self._wordless or (called == "getattr" and not _reads_all(parent, ())):
                return False
        statement: ast.AST = parent
        while not isinstance(statement, ast.stmt):
            statement = self._parents[statement]
        if isinstance(statement, ast.Raise):
            return False
        if not isinstance(statement, ast.Assign):
            return True
        made = [part for target in statement.targets for part in ast.walk(target)]
        if any(isinstance(part, ast.Attribute | ast.Subscript) for part in made):
            return True
        names = {part.id for part in made if isinstance(part, ast.Name)} - self._seen
        return any(self.are_used(further, self._scope) for further in names)
