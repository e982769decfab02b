"""The parts of a model in a diagram, in order, and the state of each under a method.

Parts are the stem (0), the units, the penultimate feature with the modules after the last unit, the source
head, and the new classifier. States follow ``nctransfer.finetuning``.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from nctransfer.errors import DegenerateInputError
from nctransfer.reporting.panels import led_by, letter
from nctransfer.reporting.settings import DiagramPanel, DiagramSettings
from nctransfer.reporting.tidy_rows import PENULTIMATE, Tables
from nctransfer.reporting.tuning_methods import FULL_FT, facts_of

STEM, HEAD, CLASSIFIER = "0", "head", "classifier"
FROZEN, TUNED, ADAPTED, REMOVED, TRAINED = "frozen", "tuned", "adapted", "removed", "trained"
MAPS = "avg"  # the pooling of networks whose units output feature maps
WHOLE = ("width", "parameters", "between", "stage", "trained", "all_trained", "all_parameters")


def parts_table(settings: DiagramSettings, tables: Tables) -> pd.DataFrame:
    """Every part of every panel, from the input to the output.

    ``tables`` has ``units`` of every model (no view).

    Returns:
        panel, title, model, method, dataset; part (0 for the stem, 1 to L, penultimate, head, classifier),
        module, type, width, parameters (of the part), between (outside the units, before this one), pooling
        (of its output), stage and candidate (:func:`stages`), state, skip (whether the classifier gets its
        output in addition to the penultimate feature), trained (trained parameters of the part), and for the
        whole model under the method all_trained, all_parameters and share (%). Unknown values (classes that
        are known from the images only, ranks of adapters) are missing.

    Raises:
        DegenerateInputError: a unit does not exist or has nothing to tune, or is too wide for a skip
            connection; the message names panel and unit.
    """
    parts = [
        _panel(panel, letter(index), tables["units", panel.model, ""])
        for index, panel in enumerate(settings.panels)
    ]
    return pd.concat(parts, ignore_index=True).astype(dict.fromkeys(WHOLE, "Int64"))


def stages(units: pd.DataFrame) -> tuple[list[int], list[bool]]:
    """The stage of every unit (rows of units 1 to L), from 1, and whether it is a candidate for tuning.

    In a ResNet, the paper tunes only the first block of a stage, which widens the features. So a stage is a
    series of units with one width and nothing trainable between them, and its first unit is a candidate. All
    encoder layers of a transformer are alike and candidates. A unit without parameters is no candidate.
    """
    widths = units["width"].to_numpy()
    first = np.r_[True, (widths[1:] != widths[:-1]) | (units["between"].to_numpy()[1:] > 0)]
    able = units["parameters"].to_numpy() > 0
    alike = (units["pooling"] != MAPS).to_numpy()
    return list(np.cumsum(first)), [bool(each) for each in (first | alike) & able]


def unit_rows(part: pd.DataFrame) -> pd.DataFrame:
    """Rows of units 1 to L."""
    return part[part["stage"].notna()]


def _panel(panel: DiagramPanel, name: str, units: pd.DataFrame) -> pd.DataFrame:
    table = units.rename(columns={"index": "part", "name": "module"})
    numbered = ~table["part"].isin((STEM, PENULTIMATE, HEAD))
    table["stage"] = pd.array([pd.NA] * len(table), "Int64")
    table["candidate"] = False
    table.loc[numbered, "stage"], table.loc[numbered, "candidate"] = stages(table[numbered])
    method = panel.method
    title = panel.title or (f"{facts_of(method).title}, {panel.model}" if method else panel.model)
    if method:
        _check(panel, title, table)
        table = pd.concat([table, _classifier(panel, table)], ignore_index=True)
    table["state"] = _states(panel, table)
    table["skip"] = table["part"].isin(map(str, panel.units)) & (method == "scl_ft")
    table = _counted(table, method)
    return led_by(table, panel=name, title=title, model=panel.model, method=method, dataset=panel.dataset)


def _check(panel: DiagramPanel, title: str, table: pd.DataFrame) -> None:
    where = f"panel {title!r}, model {panel.model!r}"
    units: Any = unit_rows(table).set_index("part")
    widest = table.loc[table["part"] == PENULTIMATE, "width"].iloc[0]
    for unit in map(str, panel.units):
        if unit not in units.index:
            raise DegenerateInputError(f"{where}: no unit {unit} to tune; allowed are 1 to {len(units)}")
        row = units.loc[unit]
        if not row["parameters"]:
            able = ", ".join(units.index[units["parameters"] > 0])
            raise DegenerateInputError(
                f"{where}: unit {unit} ({row['module']}, {row['type']}) has no parameters to tune; allowed "
                f"are {able or 'none'}"
            )
        if panel.method == "scl_ft" and row["width"] > widest:
            raise DegenerateInputError(
                f"{where}: no skip connection from unit {unit} ({row['module']}), which is {row['width']} "
                f"wide, to the penultimate feature of width {widest}; choose a narrower unit"
            )


def _classifier(panel: DiagramPanel, table: pd.DataFrame) -> pd.DataFrame:
    short = panel.method == "layer_lp" and (table["pooling"] == MAPS).all()
    last = str(max(panel.units)) if short else PENULTIMATE
    count = None
    if panel.classes is not None:
        width = int(table.loc[table["part"] == last, "width"].iloc[0])
        layers = [width, *([panel.hidden] if panel.hidden else []), panel.classes]
        count = sum((inputs + 1) * outputs for inputs, outputs in pairwise(layers))
    row = {
        "part": CLASSIFIER, "module": CLASSIFIER, "type": "MLP" if panel.hidden else "Linear",
        "width": panel.classes, "parameters": count, "between": 0, "pooling": "", "stage": pd.NA,
        "candidate": False,
    }  # fmt: skip
    return pd.DataFrame([row])


def _states(panel: DiagramPanel, table: pd.DataFrame) -> list[str]:
    states = {HEAD: REMOVED, CLASSIFIER: TRAINED}
    states |= dict.fromkeys(map(str, panel.units), ADAPTED if panel.method == "layer_lora" else TUNED)
    if panel.method == "layer_lp":
        units = unit_rows(table)["part"]
        states |= dict.fromkeys(units[units.astype(int) > max(panel.units)], REMOVED)
        if (table["pooling"] == MAPS).any():  # the last unit's output is the feature
            states[PENULTIMATE] = REMOVED
    others = TUNED if panel.method == FULL_FT else FROZEN
    return [states.get(part, others) for part in table["part"]]


def _counted(table: pd.DataFrame, method: str | None) -> pd.DataFrame:
    numbers = table[["parameters", "between"]].astype("Int64")
    state = table["state"]
    trained = numbers["parameters"].where(state.isin((TUNED, TRAINED)), 0)
    trained = trained + numbers["between"] * int(method == FULL_FT)
    trained = trained.mask(state == ADAPTED)  # depends on the rank of the adapters
    # a transformer without its last units keeps what was between them
    removed = state == REMOVED
    kept_between = numbers["between"].mask(removed & (table["pooling"] == MAPS), 0)
    remaining = numbers["parameters"].mask(removed, 0) + kept_between
    counts: dict[str, Any] = dict.fromkeys(("trained", "all_trained", "all_parameters", "share"), pd.NA)
    if method is not None:
        trains, whole = trained.sum(skipna=False), remaining.mask(state == ADAPTED).sum(skipna=False)
        share = 100 * trains / whole
        counts = {"trained": trained, "all_trained": trains, "all_parameters": whole, "share": share}
    return table.assign(**counts).astype({"share": "Float64"})
