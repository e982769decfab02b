"""Families of source models: members that differ in how they are pre-trained.

A family names what its members share, and in ``members`` the levels or projection heads
that they run through. Every member becomes an entry of ``models`` like any other, and so
does every snapshot of a training that takes some.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from nctransfer.plan.documents import merge
from nctransfer.plan.training import snapshot_epochs

AXES = ("augmentation", "adversary", "heads")
SHARED = ("architecture", "options", "dataset", "size", "family", "poolings", "units")
# Keys of derived entries, which nobody writes: the member of a family, the snapshot of a training.
DERIVED = ("member_of", "axis", "snapshot_of", "epoch", "ranked_as")
# What a model entry has beside these; members of a family leave it unset.
UNSET = {
    "name": None, "weights": None, "preprocess": None, "mean": None, "std": None, "head": True,
    "source_accuracy": None,
}  # fmt: skip


def group_members(config: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Keys of all members by group (``<family>-<member>``) and label (level or head)."""
    return {
        group: {_label(value): _key(group, axis, value) for value in member[axis]}
        for _, group, _, member in _groups(config)
        for axis in _axes(member)
    }


def derive(config: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Entries of ``models`` for every member of every family and every snapshot of a training, by key.

    Returns:
        the entries, and a line for every mistake that keeps some from being derived.
    """
    models: dict[str, dict[str, Any]] = {}
    mistakes: list[str] = []
    seen: set[str] = set()
    for where, group, family, member in _groups(config):
        chosen = _axes(member)
        if group in seen:
            mistakes.append(f"{where}: {group!r} is also the key of another group; rename one of them")
        seen.add(group)
        if len(chosen) != 1:
            found = " and ".join(chosen) or "none of them"
            mistakes.append(f"{where}: has {found}; it takes exactly one of {', '.join(AXES)}")
            continue
        if any(_reads(part["training"], chosen[0]) for part in (family, member)):
            mistakes.append(f"{where}: its members run through {chosen[0]}; leave it out of their training")
        for value in member[chosen[0]]:
            key = _key(group, chosen[0], value)
            if key in models or key in config["models"]:
                mistakes.append(f"{where}: {key!r} is also the key of another model; rename one of them")
                continue
            training = merge(family["training"], member["training"], _chosen(chosen[0], value))
            shared = {field: family[field] for field in SHARED}
            own = {"source": "pretraining", "training": training, "member_of": where, "axis": chosen[0]}
            models[key] = {**UNSET, **shared, **own}
    trained = {**config["models"], **models}
    for key, entry in trained.items():
        for name, snapshot in _snapshots(key, entry, config["training"]):
            if name in trained:
                mistakes.append(f"models.{name}: also the key of a snapshot of {key!r}; rename it")
            models[name] = snapshot
    return models, mistakes


def _groups(config: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]:
    """Place in the configuration, key, family and entry of every group of members."""
    for family, entry in config["families"].items():
        for name, member in entry["members"].items():
            yield f"families.{family}.members.{name}", f"{family}-{name}", entry, member


def _snapshots(
    key: str, entry: Mapping[str, Any], training: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Keys and entries of the snapshots of a model that is trained here."""
    if entry["source"] == "pretraining":
        for epoch in snapshot_epochs(merge(training, entry["training"])):
            yield snapshot_key(key, epoch), {**entry, "snapshot_of": key, "epoch": epoch}


def snapshot_key(model: str, epoch: int) -> str:
    """Key of a model as it was after an epoch."""
    return f"{model}.epoch{epoch}"


def listing(config: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Key, network or name, and origin of every model; snapshots and runs of pictures are left out."""
    for key, entry in sorted(config["models"].items()):
        if "run" in entry and key in config["finetuned"]:
            run = entry["run"]
            yield key, run["model"], f"fine-tuned here on {run['dataset']}: {run['method']}"
        if "snapshot_of" in entry or "run" in entry:
            continue
        network = entry["name"] or entry["architecture"]
        if entry["source"] == "pretraining":
            training = ", ".join(_changes(entry["training"]))
            yield key, network, f"trained here on {entry['dataset']}" + (f": {training}" if training else "")
        else:
            yield key, network, " ".join(filter(None, (entry["source"], entry["weights"])))


def _changes(training: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in sorted(training.items()):
        if isinstance(value, Mapping):
            yield from _changes(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name} {value}"


def _axes(member: Mapping[str, Any]) -> list[str]:
    """What members of a group run through; it must be one thing."""
    return [axis for axis in AXES if member[axis] is not None]


def _reads(training: Mapping[str, Any], axis: str) -> bool:
    """Whether a training sets what members run through, to no effect."""
    part, key = ("projection", "head") if axis == "heads" else (axis, "level")
    return key in training.get(part, {})


def _label(value: int | str) -> str:
    """A level's number, a head as figures write it (``MLP-2``)."""
    return str(value).replace("mlp", "MLP-")


def _key(group: str, axis: str, value: int | str) -> str:
    if axis != "heads":
        return f"{group}{value}"
    return group if value == "none" else f"{group}-{value}"


def _chosen(axis: str, value: int | str) -> dict[str, Any]:
    return {"projection": {"head": value}} if axis == "heads" else {axis: {"level": value}}
