"""Where a model's accuracy on its source data is known from, and what a source model must reach."""

import csv
from functools import lru_cache
from pathlib import Path

from nctransfer.config.models import LibraryModelSettings, PretrainedModelSettings
from nctransfer.config.study import Study
from nctransfer.config.training import TrainingSettings
from nctransfer.data.dataset import data_set
from nctransfer.settings import SourceAccuracySettings

ACCURACIES = Path(__file__).resolve().parents[1] / "catalog" / "source_accuracies.csv"
IMAGENET = "ImageNet-1k"


def source_accuracy(study: Study, key: str) -> SourceAccuracySettings:
    """Where the accuracy of a model (if it is fine-tuned, its base model) on its source data is known."""
    base = study.base(key)
    model = study.models[base]
    entry = model.entry
    accuracy = getattr(entry, "source_accuracy", None)
    if accuracy is not None:
        return SourceAccuracySettings(model=key, accuracy=accuracy)
    if isinstance(entry, PretrainedModelSettings):
        trained = model.snapshot_of or base
        return SourceAccuracySettings(model=key, data=entry.dataset, history=trained, epoch=model.epoch)
    if isinstance(entry, LibraryModelSettings):
        published = _published().get(weights_of(entry))
        return SourceAccuracySettings(
            model=key, data=None if published is None else IMAGENET, accuracy=published
        )
    return SourceAccuracySettings(model=key)


def must_reach(study: Study, entry: PretrainedModelSettings) -> dict[str, float]:
    """Least accuracy (percent) by split of a source model that counts as trained; none of one without epochs.

    Where the configuration does not say, half of the way from chance to what the recipe usually reaches.
    """
    training: TrainingSettings = study.training(entry)
    if not training.epochs:
        return {}
    classes = data_set(study.configuration.datasets[entry.dataset]).class_count()
    chance = 100 / classes if classes else 0.0
    usual = max(training.usual_accuracy, chance)
    told = training.must_reach.model_dump()
    return {split: (chance + usual) / 2 if least is None else least for split, least in told.items()}


def weights_of(entry: LibraryModelSettings) -> tuple[str, str, str]:
    """Source, name and weights of a library's model, with the name of the default weights."""
    known = entry.known()
    return known.source, known.name, known.weights


@lru_cache(maxsize=1)
def _published() -> dict[tuple[str, str, str], float]:
    """ImageNet-1k top-1 accuracy (%) that libraries publish with their weights."""
    with ACCURACIES.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {(row["source"], row["name"], row["weights"]): float(row["accuracy"]) for row in rows}
