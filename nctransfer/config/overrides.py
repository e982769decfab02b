"""Settings that override others, field by field."""

from typing import TypeVar

from nctransfer.settings import Settings

S = TypeVar("S", bound=Settings)


def overridden(settings: S, by: S) -> S:
    """Settings overridden by those fields of ``by`` that were set explicitly, at every depth."""
    changes = {}
    for name in by.model_fields_set:
        value, below = getattr(by, name), getattr(settings, name)
        both = isinstance(value, Settings) and type(below) is type(value)
        changes[name] = overridden(below, value) if both else value
    return settings.model_copy(update=changes)
