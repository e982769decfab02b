"""Load a configuration: check it, complete it, derive what follows from it.

Its values are Snakemake's own ``config``, wherever that comes from: ``configfile:``, ``--configfile``,
``--config``, or a module's ``config:``. All mistakes are reported at once, before any job is planned.
"""

import copy
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from nctransfer.config import yaml_files
from nctransfer.config.checks import check
from nctransfer.config.configuration import ENTRIES, Configuration, keys_of
from nctransfer.config.finetuning_runs import derive_tuned, is_described
from nctransfer.config.mistakes import Mistake, mistakes, unspeakable
from nctransfer.config.panels import RunsPanelSettings
from nctransfer.config.ranking import derive_ranked, ranking_pictures, runs_panels
from nctransfer.config.references import Named
from nctransfer.config.renamed import with_new_names
from nctransfer.config.study import Model, Models, Study, derive_members, derive_snapshots
from nctransfer.errors import ConfigError
from nctransfer.settings import EXPONENT

# pydantic's errors about values that are no numbers
NUMBERS = ("float_type", "int_type")


def load(
    base: Path | Sequence[Path],
    overlays: Sequence[Path] = (),
    settings: Iterable[str] = (),
    config: Mapping[str, Any] | None = None,
) -> Study:
    """Check a configuration, and derive all that follows from it; ConfigError has one line per mistake.

    It is given by the files of ``configfile:`` and ``--configfile``, and the ``KEY=VALUE`` settings of
    ``--config``. ``config`` is Snakemake's own: if it is not what these give, it is loaded as it is. If it
    is, they are read once more, because Snakemake keeps neither the types of values (``1e-3``) nor repeated
    keys, nor which overlay set what.
    """
    files = [base] if isinstance(base, Path) else list(base)
    read = _merged(files, overlays, settings)
    if config is not None and not read.lines and not _is_same(config, read.plain):
        values, notes = with_new_names(_with_numbers(config))
        read = _Read({}, values, [], notes)
    study, mistakes_of_study = _study(read.values)
    if lines := [*read.lines, *mistakes_of_study]:
        count = "one mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
        raise ConfigError("\n".join([f"{count} in the configuration:", *(f"  {line}" for line in lines)]))
    return Study(study.configuration, study.models, tuple(read.notes))


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """Values (YAML) of ``--config KEY=VALUE``; ConfigError for an entry of another form."""
    merged: dict[str, Any] = {}
    for entry in settings:
        key, equals, text = entry.partition("=")
        if not equals or not key:
            raise ConfigError(f"--config {entry!r}: not of the form KEY=VALUE")
        merged = yaml_files.merge(merged, {key: yaml_files.parse(text, f"--config {key}")})
    return merged


class _Read(NamedTuple):
    """What files and settings give."""

    plain: dict[str, Any]  # merged key by key, as Snakemake does
    values: dict[str, Any]  # merged by `_merge`, with today's names
    lines: list[str]  # one per unreadable file
    notes: list[str]  # one per old name


def _merged(base: Sequence[Path], overlays: Sequence[Path], settings: Iterable[str]) -> _Read:
    lines: list[str] = []
    parts: list[dict[str, Any]] = []
    without_study: list[Path] = []
    for index, path in enumerate([*base, *overlays]):
        try:
            parts.append(yaml_files.read_mapping(path))
        except ConfigError as error:
            lines += str(error).splitlines()
            continue
        if index >= len(base) and "study" not in parts[-1]:
            without_study.append(path)
    single: dict[str, Any] = {}
    try:
        single = parse_settings(settings)
    except ConfigError as error:
        lines += str(error).splitlines()
    if "study" not in single:
        lines += [
            f"{path}: an overlay sets where its outputs go: set `study: {Path(path).stem}` "
            "(results/, figures/ subfolder), or `study: null` to write to the paper's own folders"
            for path in without_study
        ]
    values: dict[str, Any] = {}
    notes: list[str] = []
    for part in [*parts, single]:
        renewed, renamed = with_new_names(part)
        values = _merge(values, renewed)
        notes += renamed
    return _Read(yaml_files.merge({}, *parts, single), values, lines, notes)


def _is_same(snakemakes: Any, ours: Any) -> bool:
    """Whether Snakemake read the same value, perhaps as a text (``1e-3`` in a file, parts of --config)."""
    if isinstance(snakemakes, Mapping) and isinstance(ours, Mapping):
        return snakemakes.keys() == ours.keys() and all(
            _is_same(value, ours[key]) for key, value in snakemakes.items()
        )
    if isinstance(snakemakes, list) and isinstance(ours, list):
        return len(snakemakes) == len(ours) and all(map(_is_same, snakemakes, ours))
    if isinstance(snakemakes, str) and not isinstance(ours, str):
        try:
            return bool(yaml_files.parse(snakemakes, "") == ours)
        except ConfigError:
            return False
    return bool(snakemakes == ours)


def _with_numbers(value: Any, chosen: Collection[str] | None = None, free: bool = False) -> Any:
    """A value in which texts like ``1e-3``, as Snakemake's YAML reader leaves them, are numbers.

    ``chosen`` are those that are to be numbers; None: those in ``options:`` (``free``), which have no type.
    """
    if isinstance(value, Mapping):
        return {key: _with_numbers(part, chosen, free or key == "options") for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_with_numbers(part, chosen, free) for part in value]
    wanted = free if chosen is None else value in chosen
    return float(value) if wanted and isinstance(value, str) and EXPONENT.match(value) else value


def _merge(values: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Merge an overlay into values.

    If it gives an entry another source or kind, the keys that the new one does not have are dropped; setting
    such a key to ``null`` is the same as omitting it.
    """
    merged = yaml_files.merge(values, overlay)
    for section, (choice, _) in ENTRIES.items():
        before, over = _mapping(values.get(section)), _mapping(overlay.get(section))
        for name in over.keys() & _mapping(merged.get(section)).keys():
            entry, was, own = merged[section][name], _mapping(before.get(name)), _mapping(over[name])
            keys = keys_of(section, _mapping(entry))
            if keys is not None:
                is_other = choice in was and was[choice] != entry[choice]
                merged[section][name] = {
                    key: value
                    for key, value in entry.items()
                    if key in keys or (value is not None and (key in own or not is_other))
                }
    return merged


def _mapping(part: Any) -> dict[str, Any]:
    return part if isinstance(part, dict) else {}


def validate(values: Mapping[str, Any]) -> tuple[Configuration, dict[str, Any], list[str]]:
    """The valid part of a configuration, as settings and as plain values, and one line per mistake.

    One mistake does not hide others: an entry (`models.x`) or section with a mistake is left out and the rest
    is checked.
    """
    if lines := list(unspeakable(values)):
        return Configuration(), {}, lines
    sound = dict(values)
    while True:
        try:
            text = json.dumps(sound, default=str)
            return Configuration.model_validate_json(text, strict=True), sound, sorted(set(lines))
        except ValidationError as error:
            texts = {
                wrong["input"]
                for wrong in error.errors()
                if wrong["type"] in NUMBERS and EXPONENT.match(str(wrong["input"]))
            }
            if texts:
                sound = _with_numbers(sound, texts)
                continue
            sound = copy.deepcopy(sound)
            for mistake in mistakes(error, sound, Configuration):
                lines += filter(None, [mistake.line])
                _leave_out(sound, mistake)


def _leave_out(values: dict[str, Any], mistake: Mistake) -> None:
    """Remove the smallest part that contains a mistake; correct a misspelt source or kind instead."""
    *above, last = mistake.without or ("",)
    here: Any = values
    for part in above:
        here = here.get(part) if isinstance(here, dict) else here[part]
        if here is None:
            return  # already removed
    if mistake.correction is not None and len(mistake.path) == 2 and isinstance(here.get(last), dict):
        key, name = mistake.correction
        here[last] = {**here[last], key: name}
    else:
        here.pop(last, None)


def _study(values: Mapping[str, Any]) -> tuple[Study, list[str]]:
    """The study of a configuration, and one line per mistake."""
    configuration, valid, lines = validate(values)
    models = {key: Model(entry) for key, entry in configuration.models.items()}
    clashes: list[str] = []
    for derive in (derive_ranked, derive_members, derive_snapshots):
        derived, further = derive(configuration, models)
        models |= derived
        # what is missing because a mistake left it out is no mistake of its own
        clashes += [
            line
            for line in further
            if not any(told.startswith(f"{line.partition(':')[0]}.") for told in lines)
        ]
    tuned, further = derive_tuned(configuration, models, _runs_panels(configuration, models))
    clashes += further
    study = Study(configuration, models | tuned)
    lines += sorted({*clashes, *check(Named(study, values))} - set(lines))
    pictures, taken = ranking_pictures(configuration)
    if any(pictures.values()) and not taken:
        configuration, _, further = validate(yaml_files.merge(valid, pictures))
        study = Study(configuration, study.models)
    return study, [*lines, *taken]


def _runs_panels(configuration: Configuration, models: Models) -> Iterable[tuple[str, RunsPanelSettings]]:
    """Configuration path and panel of every request for runs of a valid model, including rankings."""
    for section in ("figures", "tables"):
        for key, picture in configuration.pictures(section).items():
            for index, panel in enumerate(picture.panels):
                if isinstance(panel, RunsPanelSettings) and is_described(models, panel.model):
                    yield f"{section}.{key}.panels[{index}]", panel
    for where, panel in runs_panels(configuration, models):
        if panel.dataset in configuration.datasets and is_described(models, panel.model):
            yield where, panel
