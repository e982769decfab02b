"""The grid of jobs: from a configuration to every job's settings, inputs and recipe.

Stages follow the river of data: images, models, features, metrics and probes
(``stages``), and here what is shown of them: figures and tables.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from nctransfer.plan import families, measured, pictures, ranking
from nctransfer.plan.stages import Job, Stages, once

# Which options of figures and tables their kinds read; kinds that are not listed get all.
READ: dict[str, tuple[str, ...]] = {
    "layerwise": ("fit", "probes"),
    "transfer": ("fit", "curve", "probes"),
    "across_datasets": ("fit", "curve", "probes"),
    "comparison": ("probes",),
    "over_training": (),
    "pretraining": ("probes",),
    "collapse_by_unit": (),
    "samples": (),
    "tuned_units": (),
    "tuned_unit_law": (),
    "methods": (),
    "search": (),
    "tasks": (),
    "layerwise_diagram": (),
    "tuning_diagram": (),
    "overview": (),
    "candidates_diagram": (),
    "few_shot": (),
    "ranking": (),
    "ranking_units": (),
}


class Plan(Stages):
    """Every job that a configuration describes.

    Args:
        config: a complete configuration (see ``config.load``).
        root: the project's root, where the package and the scripts are.
    """

    @property
    def shown(self) -> list[str]:
        """``model/view`` of everything whose transfer accuracy a figure or table shows."""
        return sorted({f"{model}/{view}" for model, view in pictures.shown(self)})

    def asked_for(self, section: str) -> list[str]:
        """Keys of the figures or tables that the configuration lists itself, unlike those of ``rank:``."""
        derived = ranking.picture_keys(self.config, section)
        return [key for key in self.config[section] if key not in derived]

    @once
    def figure(self, figure: str) -> Job:
        """Draw a figure from tidy tables."""
        entry = self.config["figures"][figure]
        style = {name: value for name, value in self.config["style"].items() if name != "titles"}
        return self._picture("figure", entry, {"style": style, "seed": self._seed("figure", figure)})

    @once
    def table(self, table: str) -> Job:
        """Write a table from tidy tables."""
        return self._picture("table", self.config["tables"][table], {})

    def _picture(self, script: str, entry: Mapping[str, Any], options: Mapping[str, Any]) -> Job:
        readings = pictures.Readings(self)
        panels = [pictures.resolve(self, panel, entry["kind"], readings) for panel in entry["panels"]]
        if entry["kind"] == measured.OVERVIEW:
            panels = [asdict(row) for row in measured.rows(self)]
        read = READ.get(entry["kind"], ("fit", "curve", "probes"))
        settings: dict[str, Any] = {
            **options,
            **{name: entry[name] for name in ("fit", "curve") if name in read and name in entry},
            "kind": entry["kind"],
            "panels": panels,
            "tables": readings.tables,
        }
        if "probes" in read:  # of all settings the first are shown
            probes = self.config["probes"]
            settings["learning_rate"] = probes["learning_rates"][0]
            settings["weight_decay"] = probes["weight_decays"][0]
        variant = f"nctransfer.reporting.{script}s.{entry['kind']}"
        return self._job(script, settings, readings.inputs, readings.parents, [variant])

    @once
    def listing(self) -> Job:
        """List all models but snapshots."""
        return self._job("models", {"models": [list(row) for row in families.listing(self.config)]}, {})
