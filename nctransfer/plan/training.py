"""What a training reads of its configuration, and nothing else.

Levels are resolved to what they mean, options that a choice does not read are left out:
so a change reruns the trainings that it changes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

# Options of losses; a loss that is not listed is given all of them.
LOSS_OPTIONS = {
    "cross_entropy": ("label_smoothing",),
    "mean_squared_error": ("mse_weight", "mse_target"),
    "supervised_contrastive": ("temperature",),
}
# Losses on embeddings; the others end in a classifier.
EMBEDDING_LOSSES = ("supervised_contrastive",)
# From which augmentation level on an option is read.
AUGMENTATION_OPTIONS = {"crop_padding": 2, "jitter": 4, "grayscale": 5}
# Options of a cosine; a step decay reads none of them.
COSINE = ("learning_rate_min", "warmup_epochs")
PLAIN = (
    "epochs",
    "batch_size",
    "learning_rate",
    "momentum",
    "weight_decay",
    "precision",
    "channels_last",
    "compile",
)


def snapshot_epochs(training: Mapping[str, Any]) -> list[int]:
    """Epochs after which a training keeps its weights; the last is one of them."""
    every, last = training["snapshot_every"], training["epochs"]
    return sorted({*range(every, last, every), last}) if every else []


def training_settings(training: Mapping[str, Any]) -> dict[str, Any]:
    """Resolve a complete ``training`` section.

    Returns:
        the plain options, those of the cosine or decay (epochs, factor), and loss (name and options),
        augmentation, adversary (None without one; radius and step in pixels of [0, 1]), projection (None
        without one) and snapshots (epochs).
    """
    return {
        **{name: training[name] for name in PLAIN},
        **_schedule(training),
        "loss": {"name": training["loss"], **_loss_options(training)},
        "augmentation": augmentation_settings(training["augmentation"]),
        "adversary": _adversary(training["adversary"]),
        "projection": _projection(training["projection"]),
        "snapshots": snapshot_epochs(training),
    }


def keeps_classifier(training: Mapping[str, Any]) -> bool:
    """Whether the model keeps the classifier that it was trained with."""
    return training["loss"] not in EMBEDDING_LOSSES and training["projection"]["head"] == "none"


def training_problems(training: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find what a schema cannot say: for each mistake the key and the message."""
    level, radii = training["adversary"]["level"], training["adversary"]["radii"]
    if level > len(radii):
        yield "adversary.level", f"{level} has no radius; adversary.radii has {len(radii)}"
    yield from schedule_problems(training)
    if training["loss"] in EMBEDDING_LOSSES:
        if training["augmentation"]["level"] == 1:
            yield (
                "augmentation.level",
                f"1 does not suit loss {training['loss']}, whose two views would be the same",
            )
        if training["projection"]["head"] == "none":
            yield (
                "projection.head",
                f"none does not suit loss {training['loss']}; allowed: linear, mlp1, mlp2, ...",
            )
        if level:
            yield "adversary.level", f"{level} does not suit loss {training['loss']}, which has no classifier"


def schedule_problems(training: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find what suits no schedule: key and message."""
    if training.get("decay_epochs"):
        yield from _decay_problems(training)
        return
    if training["warmup_epochs"] >= training["epochs"]:
        yield (
            "warmup_epochs",
            f"{training['warmup_epochs']} leaves nothing of {training['epochs']} epochs for the cosine",
        )
    if training["learning_rate_min"] > training["learning_rate"]:
        yield (
            "learning_rate_min",
            f"{training['learning_rate_min']} is above learning_rate {training['learning_rate']}",
        )


def _decay_problems(training: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    after, epochs = training["decay_epochs"], training["epochs"]
    if after != sorted(set(after)):
        yield "decay_epochs", f"{after} does not ascend"
    if max(after) >= epochs:
        yield "decay_epochs", f"{max(after)} leaves nothing of {epochs} epochs for the rate after it"
    if training["warmup_epochs"]:
        warm = training["warmup_epochs"]
        yield "decay_epochs", f"excludes warmup_epochs ({warm}), which come before a cosine; set one of them"


def _schedule(training: Mapping[str, Any]) -> dict[str, Any]:
    """What a step decay reads, or a cosine."""
    if training["decay_epochs"]:
        return {"decay": {"epochs": training["decay_epochs"], "factor": training["decay_factor"]}}
    return {name: training[name] for name in COSINE}


def _loss_options(training: Mapping[str, Any]) -> dict[str, Any]:
    every = sorted(name for names in LOSS_OPTIONS.values() for name in names)
    return {name: training[name] for name in LOSS_OPTIONS.get(training["loss"], every)}


def augmentation_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """The level, and of the other options those that it reads."""
    read = {name: options[name] for name, level in AUGMENTATION_OPTIONS.items() if options["level"] >= level}
    return {"level": options["level"], **read}


def _adversary(options: Mapping[str, Any]) -> dict[str, Any] | None:
    if not options["level"]:
        return None
    radius = options["radii"][options["level"] - 1] / 255
    return {
        "radius": radius,
        "steps": options["steps"],
        "step_size": options["step_factor"] * radius / options["steps"],
        "batch_norm": options["batch_norm"],
        "evaluate_every": options["evaluate_every"],
    }


def _projection(options: Mapping[str, Any]) -> dict[str, Any] | None:
    head = options["head"]
    if head == "none":
        return None
    layers = 0 if head == "linear" else int(head.removeprefix("mlp"))
    hidden = {"hidden": options["hidden"]} if layers else {"hidden": None}
    return {"layers": layers, **hidden, "output": options["output"]}
