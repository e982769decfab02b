"""What diagrams show of a model: its parts in order, and what becomes of each under a method.

Parts are the stem (0), the units, the penultimate feature with what lies behind the last unit, the source
head, and the classifier of one's own. What a method does to them is what ``nctransfer.finetuning`` does.
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
MAPS = "avg"  # the pooling of networks whose units leave maps
WHOLE = ("width", "parameters", "between", "stage", "trained", "all_trained", "all_parameters")


def parts_table(settings: DiagramSettings, tables: Tables) -> pd.DataFrame:
    """Every part of every panel, shallowest first.

    Args:
        settings: of the figure.
        tables: ``units`` of every model (its view is empty).

    Returns:
        panel, title, model, method, dataset; part (0 the stem, 1 to L, penultimate, head, classifier),
        module, type, width, parameters (of the part), between (outside the units, before this one),
        pooling (of its output), stage and candidate (:func:`stages`), state, skip (whether the
        classifier sees its output beside the penultimate feature), trained (parameters of the part that
        train), and of the whole model under the method all_trained, all_parameters and share (%). What
        is not known (classes that only images tell, ranks of adapters) is missing.

    Raises:
        DegenerateInputError: a unit that is not there or has nothing to tune, or one that is too wide for a
            skip connection; panel and unit are named.
    """
    parts = [
        _panel(panel, letter(index), tables["units", panel.model, ""])
        for index, panel in enumerate(settings.panels)
    ]
    return pd.concat(parts, ignore_index=True).astype(dict.fromkeys(WHOLE, "Int64"))


def stages(units: pd.DataFrame) -> tuple[list[int], list[bool]]:
    """The stage of every unit, from 1, and whether it is a candidate for tuning.

    The paper tunes the first block of a stage of a ResNet alone: it is the one that widens the features. So
    a stage is a run of units of one width with nothing trainable between them, and its first unit a
    candidate. Encoder layers of a transformer are all alike, and each is a candidate. A unit without
    parameters is none.

    Args:
        units: rows of units 1 to L.
    """
    widths = units["width"].to_numpy()
    first = np.r_[True, (widths[1:] != widths[:-1]) | (units["between"].to_numpy()[1:] > 0)]
    able = units["parameters"].to_numpy() > 0
    alike = (units["pooling"] != MAPS).to_numpy()
    return list(np.cumsum(first)), [bool(each) for each in (first | alike) & able]


def unit_rows(part: pd.DataFrame) -> pd.DataFrame:
    """Rows of units 1 to L of one panel."""
    return part[part["stage"].notna()]


def _panel(panel: DiagramPanel, name: str, units: pd.DataFrame) -> pd.DataFrame:
    """The parts of one panel."""
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
    """Refuse what the fine-tuning job would refuse."""
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
    """The row of the classifier of one's own."""
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
    """What becomes of every part."""
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
    """With the parameters that train, by part and of the whole."""
    numbers = table[["parameters", "between"]].astype("Int64")
    state = table["state"]
    trained = numbers["parameters"].where(state.isin((TUNED, TRAINED)), 0)
    trained = trained + numbers["between"] * int(method == FULL_FT)
    trained = trained.mask(state == ADAPTED)  # as many as the adapters' rank says
    # a transformer without its last units keeps what stood between them
    gone = state == REMOVED
    kept = numbers["parameters"].mask(gone, 0) + numbers["between"].mask(gone & (table["pooling"] == MAPS), 0)
    counts: dict[str, Any] = dict.fromkeys(("trained", "all_trained", "all_parameters", "share"), pd.NA)
    if method is not None:
        trains, whole = trained.sum(skipna=False), kept.mask(state == ADAPTED).sum(skipna=False)
        counts = {
            "trained": trained,
            "all_trained": trains,
            "all_parameters": whole,
            "share": 100 * trains / whole,
        }
    return table.assign(**counts).astype({"share": "Float64"})
