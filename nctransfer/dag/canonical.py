"""Source code reduced to what it does: a module's syntax tree without what cannot change a job's outputs.

Left out, with the reasons:

- Comments, layout, docstrings, bare strings, ``pass``: they do nothing.
- Annotations of functions and of assigned names: they are not read while a job runs. Annotations in class
  bodies stay, because data classes and settings are built from them; so do those of functions whose decorator
  reads them.
- Log calls, ``logger = ...`` and an ``if`` that only logs: no result depends on the log.
- Error messages: texts passed to an exception where it is created, and messages of ``assert``. An error ends
  the job, or some code catches it. If that code uses the message for anything but another error or the log,
  the message counts (:attr:`Module.words`, :attr:`Module.read`).
- Private functions that were used only in such messages.
- ``if TYPE_CHECKING``: it never runs.
- Imports that only left-out code used. An import that no code ever used stays: it has a purpose of its own.
- The order of imports and the names of own modules: an import counts by the contents of the imported module.
- Exception classes, and settings that have a default (:attr:`Module.optional`): they count if code that a job
  reaches names them. A new one changes nothing until some code uses it.

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

# Fields that differ between Python versions or do not change the behaviour.
_IGNORED = {"ctx", "kind", "type_comment", "type_ignores", "type_params"}
_LOGGERS = {"logger", "logging"}
_LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
# Decorators that read the annotations of a function.
_READS_ANNOTATIONS = {"register", "validate_call"}
_TEXT_METHODS = {"join", "format", "strip", "removesuffix", "removeprefix"}
# Functions without side effects, which the condition of a log call may use.
_HARMLESS = {"len", "isinstance", "any", "all", "bool", "min", "max", "sum", "sorted", "set", "str", "int"}
# Functions that use a caught error but not its message.
_WORDLESS = frozenset({"type", "isinstance", "id"})
EVERY_SETTING = "*"
EMPTY = "Module()"  # the text of a module without any code that runs


@dataclass(frozen=True)
class Module:
    """A source file as digests see it."""

    text: str  # the reduced code, printed
    # for every own module that it imports, what is imported and the module's dotted name
    links: tuple[tuple[str, str], ...]
    names: frozenset[str]  # names that its code mentions; :data:`EVERY_SETTING` if it may read any attribute
    # definitions that count only if their name is mentioned: the name, a label, the names that they mention
    # themselves, and their text
    optional: tuple[tuple[str, str, frozenset[str], str], ...]
    words: tuple[tuple[str, str], ...]  # error messages: the exception's name and the message
    read: frozenset[str]  # names of exceptions whose messages its code uses
    bases: dict[str, frozenset[str]]  # names of the bases of its exception classes
    libraries: frozenset[str]  # top-level packages of others that its code imports


def read_module(
    path: Path,
    module: str,
    is_own: Callable[[str], bool],
    is_outside: Callable[[str], bool],
    facts_only: bool = False,
) -> Module:
    """Read a source file; ``module`` is its dotted name, ``__main__`` for a script.

    ``is_own`` tells modules of this project, ``is_outside`` those on which no result depends. ``facts_only``
    leaves out functions, for readers that only use constants; if a constant or class uses one of them, all
    count.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if facts_only:
        tree.body = _facts(tree.body)
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
    links, others, objects, libraries, packages = [], [], {}, set(), set()
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
            packages.add((source or alias.name).partition(".")[0])
    namer = _ModuleNames(objects)
    tree = namer.visit(tree) if objects else tree
    links += [(f"module {namer.places.get(name, '')}", target) for name, target in objects.items()]
    optional = [*_exception_classes(tree), *_optional_settings(tree)]
    own = set() if settings_classes(tree) else {"self"}
    bases = {node.name: frozenset(map(_last, node.bases)) for node in pruner.exceptions}
    return Module(
        text="\n".join([*sorted(set(others)), printed(tree)]),
        links=tuple(sorted(set(links))),
        names=frozenset(_mentioned(tree, libraries | own)),
        optional=tuple(optional),
        words=tuple(pruner.words),
        read=frozenset(_read_errors(tree, wordless)),
        bases=bases,
        libraries=frozenset(packages),
    )


def printed(node: Any) -> str:
    """Print a syntax tree, identically on Python 3.11 to 3.13."""
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
    kind = getattr(builtins, name, None)
    is_builtin = isinstance(kind, type) and issubclass(kind, BaseException)
    return name.endswith(("Error", "Exception")) or is_builtin


# --- leaving out -------------------------------------------------------------------------


class _Pruner(ast.NodeTransformer):
    """Removes what cannot change a result, and collects error messages, exception classes and imports."""

    def __init__(self) -> None:
        self.words: list[tuple[str, str]] = []
        self.exceptions: list[ast.ClassDef] = []
        self.imports: list[ast.Import | ast.ImportFrom] = []

    def visit_Module(self, node: ast.Module) -> ast.Module:
        self.exceptions = [part for part in node.body if _is_exception_class(part)]
        self.generic_visit(node)
        return node

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.imports.append(node)

    visit_ImportFrom = visit_Import  # noqa: N815

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        decorators = (part.func if isinstance(part, ast.Call) else part for part in node.decorator_list)
        if not set(map(_last, decorators)) & _READS_ANNOTATIONS:
            node.returns = None
            own = node.args
            for argument in (*own.posonlyargs, *own.args, *own.kwonlyargs, own.vararg, own.kwarg):
                if argument is not None:
                    argument.annotation = None
        return self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        body: list[ast.stmt] = []
        for part in node.body:
            if isinstance(part, ast.AnnAssign):
                body.append(self.generic_visit(part))  # type: ignore[arg-type]
            else:
                visited = self.visit(part)
                body += visited if isinstance(visited, list) else [] if visited is None else [visited]
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
            visited = [self.visit(part) for part in node.orelse]
            return [part for part in visited if part is not None]
        imports = len(self.imports)
        self.generic_visit(node)
        is_empty = not node.body and not node.orelse and len(self.imports) == imports
        return None if is_empty and _is_harmless(node.test) else node

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        if node.msg is not None:
            self.words.append(("AssertionError", printed(node.msg)))
            node.msg = None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = _last(node.func)
        if is_exception(name):
            texts = [part for part in (*node.args, *node.keywords) if _is_text(part)]
            self.words += [(name, printed(part)) for part in texts]
            node.args = [part for part in node.args if part not in texts]
            node.keywords = [part for part in node.keywords if part not in texts]
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
    effects = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
    return not any(
        isinstance(node, effects) or (isinstance(node, ast.Call) and _last(node.func) not in _HARMLESS)
        for node in ast.walk(test)
    )


def _is_text(node: ast.AST) -> bool:
    """Whether an argument is a text, or composed of one."""
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


def _facts(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements of a module without its functions, or all if one of the others uses a function."""
    others = [node for node in body if not isinstance(node, ast.FunctionDef)]
    used = {name for node in others for name in _loaded(node)}
    return body if any(isinstance(node, ast.FunctionDef) and node.name in used for node in body) else others


def _leave_out_private_functions(tree: ast.Module, before: Counter[str]) -> Counter[str]:
    """Remove private functions that were used before and no longer are; return the names still used."""
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
    """Names of an import statement, each with its module (absolute; empty for ``import x``)."""
    source = ""
    if isinstance(node, ast.ImportFrom):
        parts = module.split(".")
        base = parts[: len(parts) - node.level + is_package] if node.level else []
        source = ".".join([*base, *([node.module] if node.module else [])])
    yield from ((alias, source) for alias in node.names)


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


# --- definitions that count where they are named ----------------------------------------------


def _is_exception_class(node: ast.stmt) -> TypeGuard[ast.ClassDef]:
    return isinstance(node, ast.ClassDef) and any(is_exception(_last(base)) for base in node.bases)


def _exception_classes(tree: ast.Module) -> Iterator[tuple[str, str, frozenset[str], str]]:
    """Remove the exception classes from a tree and return them."""
    classes = [node for node in tree.body if _is_exception_class(node)]
    tree.body = [node for node in tree.body if node not in classes]
    for node in classes:
        yield node.name, node.name, frozenset(_mentioned(node)), printed(node)


def _optional_settings(tree: ast.Module) -> Iterator[tuple[str, str, frozenset[str], str]]:
    """Remove the settings with a default from the classes of a tree and return them."""
    for node in settings_classes(tree):
        for part in [part for part in node.body if _has_default(part)]:
            node.body.remove(part)
            name = _last(part.target)  # type: ignore[attr-defined]
            yield name, f"{node.name}.{name}", frozenset(_mentioned(part)), printed(part)


def settings_classes(tree: ast.Module) -> list[ast.ClassDef]:
    """Classes of a module that define settings: a base is named ``...Settings``, or is one of them."""
    classes: dict[str, ast.ClassDef] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            bases = [_last(base.value if isinstance(base, ast.Subscript) else base) for base in node.bases]
            if any(name.endswith("Settings") or name in classes for name in bases):
                classes[node.name] = node
    return list(classes.values())


def _has_default(node: ast.stmt) -> bool:
    """Whether a statement of a class body is an optional setting."""
    if not isinstance(node, ast.AnnAssign) or node.value is None:
        return False
    annotation = node.annotation.value if isinstance(node.annotation, ast.Subscript) else node.annotation
    if _last(annotation) == "ClassVar":
        return False
    if isinstance(node.value, ast.Call) and _last(node.value.func) == "Field":
        keywords = {keyword.arg for keyword in node.value.keywords}
        return bool(node.value.args) or bool(keywords & {"default", "default_factory"})
    return True


# --- names ---------------------------------------------------------------------------------


def _last(node: ast.AST) -> str:
    """Last part of a dotted name, empty for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _loaded(tree: ast.AST) -> Counter[str]:
    """How often each name is used in a tree, not counting imports."""
    return Counter(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


def _mentioned(tree: ast.AST, others: Collection[str] = ()) -> Iterator[str]:
    """Names, attributes, arguments and identifier-like texts; a mark if any attribute may be read."""
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
    """Whether a call may read any attribute of settings; ``others`` (libraries, ``self``) are none."""
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    match _last(call.func):
        case "getattr":
            owner = call.args[0]
            is_other = isinstance(owner, ast.Name) and owner.id in others
            return not isinstance(call.args[1], ast.Constant) and not is_other
        case "model_dump" | "model_dump_json":
            included = keywords.get("include")
            names = included.elts if isinstance(included, ast.Set) else [included]
            are_told = all(isinstance(key, ast.Constant) for key in names)
            return "exclude_defaults" not in keywords and not are_told
        case "vars":
            return True
    return False


# --- messages that are used ------------------------------------------------------------------


def _read_errors(tree: ast.Module, wordless: frozenset[str]) -> Iterator[str]:
    """Exceptions that are caught and whose message ends up in something other than another error."""
    for handler, scope in _handlers(tree, tree):
        if handler.name is not None and _Words(scope, wordless).are_used(handler.name, handler):
            yield from _caught(handler.type)


def _handlers(node: ast.AST, scope: ast.AST) -> Iterator[tuple[ast.ExceptHandler, ast.AST]]:
    """Every exception handler below a node, with the enclosing function or module."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ExceptHandler):
            yield child, scope
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from _handlers(child, child if isinstance(child, ast.FunctionDef) else scope)


def _caught(node: ast.expr | None) -> Iterator[str]:
    """Names of the exceptions of a handler; for anything but names (a constant of several) any exception."""
    if isinstance(node, ast.Tuple):
        for part in node.elts:
            yield from _caught(part)
    else:
        name = _last(node) if node is not None else ""
        yield name if is_exception(name) else "BaseException"


class _Words:
    """Finds uses of the message of a caught error.

    ``scope`` is the function or module with the handler; functions in ``wordless`` use an error without its
    message.
    """

    def __init__(self, scope: ast.AST, wordless: frozenset[str]) -> None:
        self._scope, self._wordless = scope, wordless
        self._parents = {child: node for node in ast.walk(scope) for child in ast.iter_child_nodes(node)}
        self._seen: set[str] = set()

    def are_used(self, name: str, within: ast.AST) -> bool:
        """Whether the message of the error of this name, or of a name derived from it, is used."""
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
