"""Which images a model is shown, and how: views, and the image stores that they share."""

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


@dataclass(frozen=True)
class View:
    """A data set as a model is shown it: which images, at which geometry.

    Attributes:
        dataset: key of the data set.
        key: of the view.
        images: key of its image store.
        geometry: how images are brought to the model's size.
    """

    dataset: str
    key: str
    images: str
    geometry: Geometry


class Views:
    """Models and data sets of a study, and how each model is shown each data set.

    Args:
        study: the study.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.configuration = study.configuration

    def facts(self, model: str) -> ModelFacts:
        """Facts of a model, see :meth:`Study.facts`."""
        return self.study.facts(model)

    def run(self, model: str) -> Run | None:
        """The run that tuned a model, None for other models."""
        return self.study.models[model].run

    def view(self, model: str, dataset: str) -> View:
        """How a model is shown a data set."""
        geometry = self.study.geometry(model)
        entry = data_set(self.configuration.datasets[dataset])
        base = entry.key(dataset)
        key = f"{base}-{geometry.key}"
        return View(dataset, key, base if entry.has_fixed_size else key, geometry)

    @cached_property
    def _views(self) -> dict[tuple[str, str], View]:
        """All views by (model, view key); two data sets never share one."""
        views: dict[tuple[str, str], View] = {}
        bases = [key for key, model in self.study.models.items() if model.run is None]
        for model, dataset in product(bases, self.configuration.datasets):
            try:
                view = self.view(model, dataset)
            except ConfigError:
                continue  # without a view; who asks for one is told why
            _claim(views, (model, view.key), view, "view", view.key)
        return views

    @cached_property
    def image_stores(self) -> dict[str, View]:
        """A view of each image store, by the store's key."""
        stores: dict[str, View] = {}
        for view in self._views.values():
            _claim(stores, view.images, view, "image store", view.images)
        return stores

    @property
    def view_keys(self) -> list[str]:
        """Keys of all views, for wildcard constraints."""
        return sorted({view for _, view in self._views})

    @property
    def image_keys(self) -> list[str]:
        """Keys of all image stores, for wildcard constraints."""
        return sorted(self.image_stores)

    def find_view(self, model: str, key: str) -> View:
        """A model's view by its key; ConfigError names those that there are."""
        model = self.study.base(model)
        try:
            return self._views[model, key]
        except KeyError:
            for dataset in self.configuration.datasets:
                self.view(model, dataset)  # says why a model has no views
            known = sorted(view for name, view in self._views if name == model)
            raise ConfigError(f"model {model!r} has no view {key!r}; it has: {', '.join(known)}") from None


def _claim(claimed: dict[Name, View], name: Name, view: View, kind: str, key: str) -> None:
    """Give a name to a view; another data set must not have it."""
    other = claimed.setdefault(name, view)
    if other.dataset != view.dataset:
        raise ConfigError(
            f"datasets.{view.dataset}: its {kind} {key!r} is also that of {other.dataset!r}; "
            "rename one of them"
        )
