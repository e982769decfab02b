"""Whether a configuration is the paper's: what of config.yaml it changes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nctransfer.plan import config as front_end

# Where and how things run and look, and what is shown beside the paper: none of it makes another study.
_APART = {"study", "device", "paths", "rank", "resources", "runs", "style"}


def differences(config: Mapping[str, Any], root: Path) -> list[str]:
    """Sections of config.yaml that a configuration does not keep as they are; additions do not count."""
    paper = front_end.load(root / "config.yaml")
    return [name for name in paper if name not in _APART and not _kept(paper[name], config.get(name))]


def _kept(wanted: Any, found: Any) -> bool:
    """Whether all that is wanted is there."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            key in found and _kept(value, found[key]) for key, value in wanted.items()
        )
    return bool(wanted == found)


def setting_in_words(config: Mapping[str, Any], root: Path) -> str:
    """A sentence for a reader."""
    changed = differences(config, root)
    if not changed:
        return "It keeps the paper's set-up."
    return f"It is not the paper's set-up: it changes {', '.join(changed)}."
