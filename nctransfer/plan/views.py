"""Which images a model is shown, and how: views, and the image stores that they share."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from nctransfer.errors import ConfigError
from nctransfer.plan import catalogue, subsets
from nctransfer.plan.documents import given
from nctransfer.plan.model_facts import ModelFacts, describe_model
from nctransfer.plan.runs import Run


@dataclass(frozen=True)
class View:
    """A data set as a model is shown it: which images, at which geometry."""

    dataset: str
    key: str
    images: str
    geometry: dict[str, Any]


class Views:
    """Models and data sets of a configuration, and how each model is shown each data set.

    Args:
        config: a complete configuration (see ``config.load``).
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    def facts(self, model: str) -> ModelFacts:
        """Facts of a model of the configuration, by key; a tuned model's are those of its base."""
        model = self.base(model)
        try:
            return describe_model(self.config["models"][model])
        except ConfigError as error:
            raise ConfigError(f"models.{model}.{error}") from None

    def run(self, model: str) -> Run | None:
        """The run that tuned a model, None for other models."""
        entry = self.config["models"][model]
        return Run.of(entry) if "run" in entry else None

    def base(self, model: str) -> str:
        """The model that a run began with; other models themselves."""
        run = self.run(model)
        return model if run is None else run.model

    def view(self, model: str, dataset: str) -> View:
        """How a model is shown a data set."""
        model = self.base(model)
        entry, facts = self.config["models"][model], self.facts(model)
        try:
            geometry = facts.geometry(entry["preprocess"] or self.config["preprocess"])
        except ConfigError as error:
            raise ConfigError(f"models.{model}.{error}") from None
        base = subsets.subset_key(dataset, self.config["datasets"][dataset])
        shape = geometry_key(geometry)
        fixed = catalogue.has_fixed_size(given(self.config["datasets"][dataset]))
        return View(dataset, f"{base}-{shape}", base if fixed else f"{base}-{shape}", geometry)

    @cached_property
    def _views(self) -> dict[tuple[str, str], View]:
        """All views by (model, view key); two data sets never share one."""
        views: dict[tuple[str, str], View] = {}
        bases = [model for model in self.config["models"] if self.base(model) == model]
        for model, dataset in product(bases, self.config["datasets"]):
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
        model = self.base(model)
        try:
            return self._views[model, key]
        except KeyError:
            for dataset in self.config["datasets"]:
                self.view(model, dataset)  # says why a model has no views
            known = sorted(view for name, view in self._views if name == model)
            raise ConfigError(f"model {model!r} has no view {key!r}; it has: {', '.join(known)}") from None


def _claim(claimed: dict[Any, View], name: Hashable, view: View, kind: str, key: str) -> None:
    """Give a name to a view; another data set must not have it."""
    other = claimed.setdefault(name, view)
    if other.dataset != view.dataset:
        raise ConfigError(
            f"datasets.{view.dataset}: its {kind} {key!r} is also that of {other.dataset!r}; "
            "rename one of them"
        )


def geometry_key(geometry: Mapping[str, Any]) -> str:
    """Name a geometry: ``224px`` (resized to a square) or ``native256c224bicubic``."""
    resize, crop = geometry["resize"], geometry["crop"]
    if isinstance(resize, list) and crop is None and geometry["interpolation"] == "bilinear":
        height, width = resize
        return f"{height}px" if height == width else f"{height}x{width}px"
    side = "x".join(map(str, resize)) if isinstance(resize, list) else resize
    # pixels resized by other arithmetic are other contents: the key says so
    rounding = "-once" if geometry.get("rounding") == "once" else ""
    return f"native{side}c{crop}{geometry['interpolation']}{rounding}"
