"""The grid of jobs: from a configuration to every job's settings, inputs and recipe.

Stages follow the river of data: images, models, features, metrics and probes
(``stages``), and here what is shown of them: figures and tables.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from nctransfer.errors import ConfigError
from nctransfer.plan import claims, departures, families, measured, pictures, ranking, titles
from nctransfer.plan import config as front_end
from nctransfer.plan.kinds import shows
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


SECTIONS = ("figures", "tables")
SCORECARD = {"scorecard": "csv", "scorecard_made": "json"}


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

    def picture(self, section: str, key: str) -> Job:
        """Draw a figure or write a table."""
        return self.figure(key) if section == "figures" else self.table(key)

    @once
    def provenance(self) -> Job:
        """Write what made all that is shown: code, configuration, machines, times."""
        # the configuration itself would be shown, whole, among the parameters: its digest stands for it
        text = json.dumps(self.config, sort_keys=True)
        settings = {"configuration": hashlib.sha256(text.encode()).hexdigest()[:16], "logs": self.logs}
        return self._of_all("provenance", settings)

    @once
    def overview(self) -> Job:
        """List all that is shown."""
        everything = {key: section for section in SECTIONS for key in self.asked_for(section)}
        settings = {
            "study": self.config["study"],
            "setting": departures.in_words(self._departures(everything)),
            "results": self.results,
            "figures": self._listed("figures"),
            "tables": self._listed("tables"),
        }
        return self._of_all("overview", settings)

    def _listed(self, section: str) -> list[dict[str, str]]:
        """Figures or tables as a reader is told of them, in order."""
        folder = getattr(self, section)
        return [
            {
                "path": f"{folder}/{key}",
                "name": titles.name_of(key),
                "shows": shows(self.config[section][key]["kind"]),
            }
            for key in sorted(self.config[section], key=titles.order)
        ]

    def _of_all(self, script: str, settings: Mapping[str, Any]) -> Job:
        """A job that reads the scorecard and the sidecars of all figures and tables."""
        inputs = {name: f"{self.results}/scorecard.{suffix}" for name, suffix in SCORECARD.items()}
        parents = {"scorecard_made": self.scorecard()}
        for section in SECTIONS:
            for key in self.config[section]:
                inputs[f"{section}_{key}"] = f"{getattr(self, section)}/{key}.json"
                parents[f"{section}_{key}"] = self.picture(section, key)
        return self._job(script, settings, inputs, parents)

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
    def scorecard(self) -> Job:
        """Test claims on the numbers behind figures and tables."""
        path = claims.claims_file(self.config)
        rows = claims.read_claims(path)
        shown = self._claimed(rows)
        inputs: dict[str, str] = {}
        parents: dict[str, Job] = {}
        for key, section in shown.items():
            folder = getattr(self, section)
            inputs |= {key: f"{folder}/{key}.csv", f"{key}_made": f"{folder}/{key}.json"}
            parents[f"{key}_made"] = self.picture(section, key)
        published = {
            name: (f"published_{index}", file)
            for index, (name, file) in enumerate(claims.published_tables(rows, path).items())
        }
        inputs |= dict(published.values())
        settings = {
            "claims": rows,
            "pictures": list(shown),
            "published": {name: key for name, (key, _) in published.items()},
            "runs": self._departures(shown),
            "study": self.config["study"],
            "paper": departures.PAPER,
        }
        variants = {f"{claims.STATISTICS}.{claim['statistic']}" for claim in rows}
        return self._job("scorecard", settings, inputs, parents, sorted(variants))

    def _claimed(self, rows: list[dict[str, Any]]) -> dict[str, str]:
        """Section of every figure and table that claims read, as far as the configuration wants them."""
        wanted = self.config["scorecard"]["pictures"]
        known = {key: section for section in SECTIONS for key in self.config[section]}
        if unknown := [key for key in wanted or () if key not in known]:
            raise ConfigError(f"scorecard.pictures: no figure or table {unknown[0]!r}")
        read = claims.pictures_read(rows)
        return {key: known[key] for key in read if key in known and (wanted is None or key in wanted)}

    def _departures(self, shown: Mapping[str, str]) -> dict[str, str]:
        """Of every figure and table whether it is the one that config.yaml describes."""
        study = [f"study={json.dumps(self.config['study'])}"]
        paper = Plan(front_end.load(self.root / "config.yaml", [], study), self.root)
        return departures.departures(self, paper, shown)

    @once
    def listing(self) -> Job:
        """List all models but snapshots."""
        return self._job("models", {"models": [list(row) for row in families.listing(self.config)]}, {})
