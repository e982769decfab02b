"""Views: which images a model sees and at which geometry; and the image stores that views share."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TypeVar

from nctransfer.catalog.model_facts import ModelFacts
from nctransfer.config.study import Run, Study
from nctransfer.data.dataset import data_set
from nctransfer.data.settings import Geometry
from nctransfer.errors import ConfigError

Name = TypeVar("Name", bound=Hashable)


# Folder, below the results, of the parts of feature stores that are not joined yet.
SHARDS = "features_shards"


@dataclass(frozen=True)
class View:
    """A data set as a model sees it."""

    dataset: str  # key of the data set
    key: str  # key of the view, which names how features are computed, where that is not the usual way
    shown: str  # key of the images at this geometry, however features are computed
    images: str  # key of its image store
    geometry: Geometry  # how images are brought to the model's size


class Views:
    """Models and data sets of a study, and each model's view of each data set."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.configuration = study.configuration

    def facts(self, model: str, dataset: str | None = None) -> ModelFacts:
        """Facts of a model, see :meth:`Study.facts`."""
        return self.study.facts(model, dataset)

    def run(self, model: str) -> Run | None:
        """The run that tuned a model; None for other models."""
        return self.study.models[model].run

    def view(self, model: str, dataset: str) -> View:
        """A model's view of a data set."""
        geometry = self.study.geometry(model, dataset)
        entry = data_set(self.configuration.datasets[dataset])
        base = entry.key(dataset)
        shown = f"{base}-{geometry.key}"
        key = ".".join(filter(None, (shown, self.configuration.features.mode)))
        return View(dataset, key, shown, base if entry.has_fixed_size else shown, geometry)

    @cached_property
    def _views(self) -> dict[tuple[str, str], View]:
        """All views by (model, view key); no two data sets share a view."""
        views: dict[tuple[str, str], View] = {}
        bases = [key for key, model in self.study.models.items() if model.run is None]
        for model, dataset in product(bases, self.configuration.datasets):
            try:
                view = self.view(model, dataset)
            except ConfigError:
                continue  # no view; the error is raised when one is requested
            _claim(views, (model, view.key), view, "view", view.key)
        return views

    @cached_property
    def image_stores(self) -> dict[str, View]:
        """One view of each image store, by the store's key."""
        stores: dict[str, View] = {}
        for view in self._views.values():
            _claim(stores, view.images, view, "image store", view.images)
        return stores

    @property
    def view_keys(self) -> list[str]:
        """Keys of all views, for wildcard constraints."""
        return sorted({view for _, view in self._views})

    @property
    def sharded_view_keys(self) -> list[str]:
        """Those whose features are extracted in shards."""
        return sorted({view.key for view in self._views.values() if self.shards(view) > 1})

    def shards(self, view: View) -> int:
        """Number of jobs that extract features on a view."""
        return self.configuration.datasets[view.dataset].shards

    def is_streamed(self, view: View) -> bool:
        """Whether the images of a view are decoded whenever they are read."""
        return getattr(self.configuration.datasets[view.dataset], "store", "") == "stream"

    @property
    def image_keys(self) -> list[str]:
        """Keys of all image stores, for wildcard constraints."""
        return sorted(self.image_stores)

    def find_view(self, model: str, key: str) -> View:
        """A model's view by its key; ConfigError lists the existing ones."""
        model = self.study.base(model)
        try:
            return self._views[model, key]
        except KeyError:
            for dataset in self.configuration.datasets:
                self.view(model, dataset)  # raises the reason if a model has no views
            keys = sorted(view for name, view in self._views if name == model)
            raise ConfigError(f"model {model!r} has no view {key!r}; it has: {', '.join(keys)}") from None


def _claim(claimed: dict[Name, View], name: Name, view: View, kind: str, key: str) -> None:
    """Reserve a name for the data set of a view; another data set must not use it."""
    other = claimed.setdefault(name, view)
    if other.dataset != view.dataset:
        also = f"is also that of {other.dataset!r}; rename one of them"
        raise ConfigError(f"datasets.{view.dataset}: its {kind} {key!r} {also}")
