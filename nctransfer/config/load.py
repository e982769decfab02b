"""Load a configuration: read, merge, check, complete.

``config.yaml`` is read first; overlays (``--configfile``) and single values (``--config``) are merged into
it, mappings key by key, lists as a whole. All mistakes are reported at once, before any job is planned.
"""

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

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
from nctransfer.config.study import Model, Study, derive_members, derive_snapshots
from nctransfer.errors import ConfigError


def load(base: Path, overlays: Sequence[Path] = (), settings: Iterable[str] = ()) -> Study:
    """Read, merge, check and complete a configuration.

    ``overlays`` are the files of ``--configfile``, ``settings`` the ``KEY=VALUE`` entries of ``--config``.

    Returns:
        the configuration, including the figures and tables of rankings, and all models derived from it.

    Raises:
        ConfigError: one line per mistake.
    """
    values, lines, notes = _merged(base, overlays, settings)
    study, mistakes_of_study = _study(values)
    lines += mistakes_of_study
    if lines:
        count = "one mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
        raise ConfigError("\n".join([f"{count} in the configuration:", *(f"  {line}" for line in lines)]))
    return Study(study.configuration, study.models, tuple(notes))


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` settings of ``--config``; values are YAML.

    Raises:
        ConfigError: an entry does not have the form ``KEY=VALUE``.
    """
    merged: dict[str, Any] = {}
    for entry in settings:
        key, equals, text = entry.partition("=")
        if not equals or not key:
            raise ConfigError(f"--config {entry!r}: not of the form KEY=VALUE")
        merged = yaml_files.merge(merged, {key: yaml_files.parse(text, f"--config {key}")})
    return merged


def _merged(
    base: Path, overlays: Sequence[Path], settings: Iterable[str]
) -> tuple[dict[str, Any], list[str], list[str]]:
    """The merged configuration as written, one line per unreadable file, and one note per old name."""
    lines: list[str] = []
    notes: list[str] = []
    merged: dict[str, Any] = {}
    without_study: list[Path] = []
    for path in (base, *overlays):
        try:
            part = yaml_files.read_mapping(path)
        except ConfigError as error:
            lines += str(error).splitlines()
            continue
        if path != base and "study" not in part:
            without_study.append(path)
        part, renamed = with_new_names(part)
        notes += renamed
        merged = _merge(merged, part)
    try:
        single = parse_settings(settings)
    except ConfigError as error:
        lines += str(error).splitlines()
        single = {}
    single, renamed = with_new_names(single)
    notes += renamed
    if "study" not in single:
        lines += [
            f"{path}: an overlay sets where its outputs go: set `study: {Path(path).stem}` "
            "(results/, figures/ subfolder), or `study: null` to write to the paper's own folders"
            for path in without_study
        ]
    return _merge(merged, single), lines, notes


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
    """Read plain values as a configuration.

    One mistake does not hide others: an entry (`models.x`) or section with a mistake is left out and the rest
    is checked.

    Returns:
        the valid part, as settings and as plain values, and one line per mistake.
    """
    lines = list(unspeakable(values))
    if lines:
        return Configuration(), {}, lines
    sound = dict(values)
    while True:
        try:
            text = json.dumps(sound, default=str)
            return Configuration.model_validate_json(text, strict=True), sound, sorted(set(lines))
        except ValidationError as error:
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


def _runs_panels(
    configuration: Configuration, models: Mapping[str, Model]
) -> Iterable[tuple[str, RunsPanelSettings]]:
    """Configuration path and panel of every request for runs of a valid model, including rankings."""
    for section in ("figures", "tables"):
        for key, picture in configuration.pictures(section).items():
            for index, panel in enumerate(picture.panels):
                if isinstance(panel, RunsPanelSettings) and is_described(models, panel.model):
                    yield f"{section}.{key}.panels[{index}]", panel
    for where, panel in runs_panels(configuration, models):
        if panel.dataset in configuration.datasets and is_described(models, panel.model):
            yield where, panel
