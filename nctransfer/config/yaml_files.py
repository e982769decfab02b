"""Read and merge YAML files: ``1e-3`` is a number, and repeated keys are mistakes."""

import json
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from nctransfer.errors import ConfigError
from nctransfer.settings import EXPONENT


class _Loader(yaml.CSafeLoader):
    """PyYAML's safe loader (in C, seven times as fast) with YAML 1.2 floats; collects repeated keys."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.repeated: list[str] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        first: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key: Hashable = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if key in first:
                self.repeated.append(f"line {line}: key {key!r} stands already in line {first[key]}")
            first.setdefault(key, line)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", EXPONENT, list("-+0123456789."))


def parse(text: str, origin: str) -> Any:
    """Parse YAML of ``origin``; ConfigError if it is none, or repeats keys (all of them are named)."""
    try:
        loader = _Loader(text)
        try:
            value = loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{origin}: not readable as YAML: {' '.join(str(error).split())}") from None
    try:
        json.dumps(value, default=str, skipkeys=True)
    except ValueError:
        raise ConfigError(f"{origin}: an alias (*) refers to a part that contains it") from None
    if loader.repeated:
        raise ConfigError("\n".join(f"{origin}, {repeat}" for repeat in loader.repeated))
    return value


def read(path: Path) -> Any:
    """Read a YAML file; ConfigError if the file is missing, is not text or not YAML, or repeats keys."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text ({error})") from None
    return parse(text, str(path))


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file, empty or of one mapping; ConfigError as :func:`read`, or for anything else."""
    value = read(path)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: holds a {type(value).__name__}; a configuration is a mapping of keys")
    return value


def merge(base: Mapping[str, Any], *overlays: Mapping[str, Any]) -> dict[str, Any]:
    """Merge mappings, the last one on top: mappings key by key, everything else as a whole."""
    merged = dict(base)
    for overlay in overlays:
        for key, value in overlay.items():
            below = merged.get(key)
            both = isinstance(below, Mapping) and isinstance(value, Mapping)
            merged[key] = merge(below, value) if both else value  # type: ignore[arg-type]
    return merged
