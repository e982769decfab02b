"""A study: the configuration, and all models derived from it.

Besides the entries of ``models:``, these are the members of families, snapshots of trainings, models named in
rankings, and fine-tuned models, from ``finetuned:`` and from the sweeps of figures and tables.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from nctransfer.catalog.model_facts import ModelFacts, describe_model
from nctransfer.config.configuration import Configuration
from nctransfer.config.models import (
    FamilySettings,
    LibraryModelSettings,
    LocalModelSettings,
    MemberSettings,
    PretrainedModelSettings,
)
from nctransfer.config.training import TrainingSettings, overridden
from nctransfer.data.settings import Geometry
from nctransfer.errors import ConfigError
from nctransfer.features.settings import KeptUnits
from nctransfer.finetuning.method import Method, method_facts

# What members of a group may differ in, and the key of `training:` that it is; of seeds none: the random
# numbers of a training follow from the key of the member.
AXES = {
    "augmentation": ("augmentation", "level"),
    "adversary": ("adversary", "level"),
    "heads": ("projection", "head"),
    "seeds": None,
}
Entry = LibraryModelSettings | LocalModelSettings | PretrainedModelSettings


@dataclass(frozen=True)
class Run:
    """One fine-tuning run."""

    model: str  # key of the base model
    dataset: str  # key of the downstream data set
    method: str  # name of the method
    units: tuple[int, ...]  # the tuned units, from 1, ascending; empty if the method has no choice of units
    per_class: int | None  # training images per class, None for all
    learning_rate: float | None  # None if the method does not train
    weight_decay: float | None
    seed: int  # index of the repetition, from 0
    # options of the method that differ from the study's ``finetuning:``, nested
    options: Mapping[str, object]

    @property
    def facts(self) -> Method:
        """Facts about a model, a fine-tuned one's of its base model; ConfigError as :func:`describe`."""
        return method_facts(self.method)


@dataclass(frozen=True)
class Model:
    """A model of a study."""

    entry: Entry  # its entry in the configuration; for a fine-tuned model the entry of its base model
    group: str = ""  # configuration path of the group of a family that it is a member of, else empty
    axis: str = ""  # what the members of that group differ in, see :data:`AXES`
    snapshot_of: str | None = None  # key of the model that it is a snapshot of
    epoch: int | None = None  # epoch of the snapshot
    ranked_as: str | None = None  # name by which a ranking lists it
    run: Run | None = None  # the fine-tuning run that produced it
    store: str = ""  # key of that run's store
    # which features of a fine-tuned model are kept; None for the same as of the base model
    kept: KeptUnits | None = None

    @property
    def is_derived(self) -> bool:
        """Whether it is a snapshot or fine-tuned; there are too many of these to list."""
        return self.snapshot_of is not None or self.run is not None

    @property
    def family(self) -> str:
        """Key of its family, empty for none."""
        return self.group.removeprefix("families.").partition(".members.")[0]

    @property
    def source_dataset(self) -> str | None:
        """Key of the data set that it, or its base model, was pre-trained on; None if unknown."""
        return self.entry.dataset if isinstance(self.entry, PretrainedModelSettings) else None


Models = Mapping[str, Model]  # by key
Derived = tuple[dict[str, Model], list[str]]  # models, by key, that follow from a configuration; mistakes


@dataclass(frozen=True)
class Study:
    """A configuration with all models derived from it."""

    configuration: Configuration  # the configuration; its figures and tables include those of rankings
    models: Models  # all models, by key
    notes: tuple[str, ...] = ()  # warnings for the user, such as renamed keys
    _facts: dict[tuple[str, str | None], ModelFacts] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def facts(self, model: str, dataset: str | None = None) -> ModelFacts:
        """Facts about a model, with the input size for a data set; a fine-tuned model has its base model's.

        Raises:
            ConfigError: its name, weights, architecture or poolings are not known.
        """
        if (model, dataset) not in self._facts:
            try:
                self._facts[model, dataset] = describe(self.models[model].entry, dataset)
            except ConfigError as error:
                raise ConfigError(f"models.{self.base(model)}.{error}") from None
        return self._facts[model, dataset]

    def base(self, model: str) -> str:
        """Key of the base model of a fine-tuned model; for other models their own key."""
        run = self.models[model].run
        return model if run is None else run.model

    def geometry(self, model: str, dataset: str) -> Geometry:
        """How a data set's images get a model's size; ConfigError for a library's transform that cannot."""
        entry, facts = self.models[model].entry, self.facts(model, dataset)
        try:
            return facts.geometry(self.preprocess(entry))
        except ConfigError as error:
            raise ConfigError(f"models.{self.base(model)}.{error}") from None

    def preprocess(self, entry: Entry) -> str:
        """Image transform of a model: ``paper`` or ``native``."""
        return getattr(entry, "preprocess", None) or self.configuration.preprocess

    def kept_units(self, model: str, features: KeptUnits | None = None) -> KeptUnits:
        """Which features of a model are kept: the run's choice, the model's, or the study's default."""
        entry = self.models.get(model)
        own = (entry.kept or entry.entry.units) if entry else None
        return features or own or self.configuration.features.units

    def training(self, entry: PretrainedModelSettings) -> TrainingSettings:
        """Complete training settings of a source model."""
        return overridden(self.configuration.training, entry.training)

    def groups(self) -> dict[str, dict[str, str]]:
        """Keys of all family members by group (``<family>-<member>``) and label (level or head)."""
        return group_members(self.configuration)


def describe(entry: Entry, dataset: str | None = None) -> ModelFacts:
    """Facts about a model, from its entry; ConfigError for an unknown name or weights, or a wrong pooling."""
    side, options = entry.side(dataset), entry.build_options
    return describe_model(entry.known(), entry.source, entry.unit_layout, side, entry.poolings, options)


def group_members(configuration: Configuration) -> dict[str, dict[str, str]]:
    """Keys of all family members by group (``<family>-<member>``) and label (level or head)."""
    members = {}
    for _, group, _, member in _groups(configuration):
        for axis in _axes(member):
            keys = {str(value): _key(group, axis, value) for value in getattr(member, axis)}
            # heads as figures write them: MLP-2
            members[group] = {label.replace("mlp", "MLP-"): key for label, key in keys.items()}
    return members


def derive_members(configuration: Configuration, models: Models) -> Derived:
    """Models of all members of families, by key, and one line per mistake."""
    members: dict[str, Model] = {}
    mistakes: list[str] = []
    groups: set[str] = set()
    for where, group, family, member in _groups(configuration):
        axes = _axes(member)
        if group in groups:
            mistakes.append(f"{where}: {group!r} is also the key of another group; rename one of them")
        groups.add(group)
        if len(axes) != 1:
            present = " and ".join(axes) or "none of them"
            mistakes.append(f"{where}: has {present}; it takes exactly one of {', '.join(AXES)}")
            continue
        (axis,) = axes
        if any(_sets(part.training, axis) for part in (family, member)):
            mistakes.append(f"{where}: its members differ in {axis}; leave it out of their training")
        for value in getattr(member, axis):
            key = _key(group, axis, value)
            if key in members or key in models:
                mistakes.append(f"{where}: {key!r} is also the key of another model; rename one of them")
                continue
            place = AXES[axis]
            chosen = TrainingSettings.read({place[0]: {place[1]: value}} if place else {})
            training = overridden(overridden(family.training, member.training), chosen)
            shared = {
                name: getattr(family, name) for name in family.model_fields_set - {"training", "members"}
            }
            entry = PretrainedModelSettings(source="pretraining", training=training, **shared)
            members[key] = Model(entry, group=where, axis=axis)
    return members, mistakes


def _groups(configuration: Configuration) -> Iterator[tuple[str, str, FamilySettings, MemberSettings]]:
    """Configuration path, key, family and entry of every group of members."""
    for family, entry in configuration.families.items():
        for name, member in entry.members.items():
            yield f"families.{family}.members.{name}", f"{family}-{name}", entry, member


def _axes(member: MemberSettings) -> list[str]:
    """What the members of a group differ in; exactly one is allowed."""
    return [axis for axis in AXES if getattr(member, axis) is not None]


def _sets(training: TrainingSettings, axis: str) -> bool:
    """Whether training settings set the key in which the members differ, which would have no effect."""
    if (place := AXES[axis]) is None:
        return False
    section, key = place
    return section in training.model_fields_set and key in getattr(training, section).model_fields_set


def _key(group: str, axis: str, value: int | str) -> str:
    if axis != "heads":
        return f"{group}{value}"
    return group if value == "none" else f"{group}-{value}"


def derive_snapshots(configuration: Configuration, models: Models) -> Derived:
    """A model for every snapshot of every training, by key, and one line per clash of keys."""
    snapshots: dict[str, Model] = {}
    mistakes: list[str] = []
    for key, model in models.items():
        if isinstance(model.entry, PretrainedModelSettings):
            training = overridden(configuration.training, model.entry.training)
            for epoch in training.snapshot_epochs:
                name = snapshot_key(key, epoch)
                if name in models:
                    mistakes.append(f"models.{name}: also the key of a snapshot of {key!r}; rename it")
                snapshots[name] = replace(model, snapshot_of=key, epoch=epoch)
    return snapshots, mistakes


def snapshot_key(model: str, epoch: int) -> str:
    """Key of the snapshot of a model after an epoch."""
    return f"{model}.epoch{epoch}"


def listing(study: Study) -> Iterator[tuple[str, str, str]]:
    """Key, network and origin of every model, for the user; snapshots and runs of sweeps are omitted."""
    for key, model in sorted(study.models.items()):
        run, entry = model.run, model.entry
        if run is not None and key in study.configuration.finetuned:
            yield key, run.model, f"fine-tuned here on {run.dataset}: {run.method}"
        if model.is_derived:
            continue
        if isinstance(entry, PretrainedModelSettings):
            training = ", ".join(_changes(entry.training.model_dump(mode="json", exclude_unset=True)))
            trained = f"trained here on {entry.dataset}"
            yield key, entry.network, trained + (f": {training}" if training else "")
        else:
            yield key, entry.network, " ".join(filter(None, (entry.source, entry.weights)))


def _changes(training: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    for name, value in sorted(training.items()):
        if isinstance(value, Mapping):
            yield from _changes(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name} {_plain(value)}"


def _plain(value: object) -> str:
    """A value in plain notation: whole floats without a decimal point."""
    if isinstance(value, list):
        return f"[{', '.join(map(_plain, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
