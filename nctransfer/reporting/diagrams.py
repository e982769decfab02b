"""What diagrams show of a model: its parts in order, and what becomes of each under a method.

Parts are the stem (0), the units, the penultimate feature with what lies behind the last unit, the source
head, and the classifier of one's own. What a method does to them is what ``nctransfer.finetuning`` does.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from nctransfer.errors import DegenerateInputError
from nctransfer.reporting.points import PENULTIMATE, Tables
from nctransfer.reporting.runs import ALL_UNITS, METHODS
from nctransfer.reporting.style import letter

STEM, HEAD, CLASSIFIER = "0", "head", "classifier"
FROZEN, TUNED, ADAPTED, REMOVED, TRAINED = "frozen", "tuned", "adapted", "removed", "trained"
MAPS = "avg"  # the pooling of networks whose units leave maps
WHOLE = ("width", "parameters", "between", "stage", "trained")


def parts_table(settings: Mapping[str, Any], tables: Tables) -> pd.DataFrame:
    """Every part of every panel, a row each, shallowest first.

    Args:
        settings: panels (title, model, method, units, dataset, classes, hidden; the last five None or empty
            where no method is shown).
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
        _panel(panel, letter(index), tables["units", panel["model"], ""])
        for index, panel in enumerate(settings["panels"])
    ]
    table = pd.concat(parts, ignore_index=True)
    return table.astype(dict.fromkeys((*WHOLE, "all_trained", "all_parameters"), "Int64"))


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


def _panel(panel: Mapping[str, Any], name: str, units: pd.DataFrame) -> pd.DataFrame:
    """The parts of one panel."""
    table = units.rename(columns={"index": "part", "name": "module"})
    numbered = ~table["part"].isin((STEM, PENULTIMATE, HEAD))
    table["stage"] = pd.array([pd.NA] * len(table), "Int64")
    table["candidate"] = False
    table.loc[numbered, "stage"], table.loc[numbered, "candidate"] = stages(table[numbered])
    method = panel["method"]
    title = panel["title"] or (
        f"{METHODS.get(method, method)}, {panel['model']}" if method else panel["model"]
    )
    if method:
        _check(panel, title, table)
        table = pd.concat([table, _classifier(panel, table)], ignore_index=True)
    table["state"] = _states(panel, table)
    tuned = table["part"].isin(map(str, panel["units"]))
    table["skip"] = tuned & (method == "scl_ft")
    table = _counted(table, method)
    before = {
        "panel": name, "title": title, "model": panel["model"], "method": method, "dataset": panel["dataset"],
    }  # fmt: skip
    for place, (column, value) in enumerate(before.items()):
        table.insert(place, column, value)
    return table


def _check(panel: Mapping[str, Any], title: str, table: pd.DataFrame) -> None:
    """Refuse what the fine-tuning job would refuse."""
    where = f"panel {title!r}, model {panel['model']!r}"
    rows: dict[str, dict[Any, Any]] = {row["part"]: row for row in table.to_dict("records")}
    units = {part: row for part, row in rows.items() if not pd.isna(row["stage"])}
    for unit in panel["units"]:
        if str(unit) not in units:
            raise DegenerateInputError(f"{where}: no unit {unit} to tune; allowed are 1 to {len(units)}")
        row = units[str(unit)]
        if not row["parameters"]:
            able = [part for part, other in units.items() if other["parameters"]]
            raise DegenerateInputError(
                f"{where}: unit {unit} ({row['module']}, {row['type']}) has no parameters to tune; allowed "
                f"are {', '.join(able) or 'none'}"
            )
        widest = rows[PENULTIMATE]["width"]
        if panel["method"] == "scl_ft" and row["width"] > widest:
            raise DegenerateInputError(
                f"{where}: no skip connection from unit {unit} ({row['module']}), which is {row['width']} "
                f"wide, to the penultimate feature of width {widest}; choose a narrower unit"
            )


def _classifier(panel: Mapping[str, Any], table: pd.DataFrame) -> pd.DataFrame:
    """The row of the classifier of one's own."""
    widths, classes, hidden = (
        dict(zip(table["part"], table["width"], strict=True)),
        panel["classes"],
        panel["hidden"],
    )
    width = int(widths[PENULTIMATE])
    if panel["method"] == "layer_lp" and (table["pooling"] == MAPS).all():
        width = int(widths[str(max(panel["units"]))])
    count = None
    if classes is not None:
        layers = [width, *([hidden] if hidden else []), classes]
        count = sum((inputs + 1) * outputs for inputs, outputs in pairwise(layers))
    row = {
        "part": CLASSIFIER, "module": CLASSIFIER, "type": "MLP" if hidden else "Linear", "width": classes,
        "parameters": count, "between": 0, "pooling": "", "stage": pd.NA, "candidate": False,
    }  # fmt: skip
    return pd.DataFrame([row])


def _states(panel: Mapping[str, Any], table: pd.DataFrame) -> list[str]:
    """What becomes of every part."""
    method, chosen = panel["method"], set(map(str, panel["units"]))
    own = {"layer_lora": ADAPTED}.get(method, TUNED)
    states = []
    for part, pooling, stage in zip(table["part"], table["pooling"], table["stage"], strict=True):
        cut = method == "layer_lp" and (
            int(part) > max(panel["units"]) if not pd.isna(stage) else part == PENULTIMATE and pooling == MAPS
        )
        if part == HEAD or cut:
            states.append(REMOVED)
        elif part == CLASSIFIER:
            states.append(TRAINED)
        else:
            states.append(TUNED if method == ALL_UNITS else own if part in chosen else FROZEN)
    return states


def _counted(table: pd.DataFrame, method: str | None) -> pd.DataFrame:
    """With the parameters that train, by part and of the whole."""
    numbers = table[["parameters", "between"]].astype("Int64")
    trains = table["state"].isin((TUNED, TRAINED))
    trained = numbers["parameters"].where(trains, 0) + numbers["between"] * int(method == ALL_UNITS)
    trained = trained.mask(table["state"] == ADAPTED)  # as many as the adapters' rank says
    # a transformer without its last units keeps what stood between them
    gone = table["state"] == REMOVED
    kept = numbers["parameters"].mask(gone, 0) + numbers["between"].mask(gone & (table["pooling"] == MAPS), 0)
    whole = {
        "all_trained": trained.sum(skipna=False) if method else pd.NA,
        "all_parameters": kept.mask(table["state"] == ADAPTED).sum(skipna=False) if method else pd.NA,
    }
    share = pd.NA if pd.isna(whole["all_trained"]) else 100 * whole["all_trained"] / whole["all_parameters"]
    columns: dict[str, Any] = {"trained": trained if method else pd.NA, **whole, "share": share}
    return table.assign(**columns).astype({"share": "Float64"})


def unit_rows(part: pd.DataFrame) -> pd.DataFrame:
    """Rows of units 1 to L of one panel."""
    return part[part["stage"].notna()]


def in_words(parts: Sequence[str]) -> str:
    """Units as a caption names them: ``unit 8``, ``units 5 to 8``, ``units 2, 5``."""
    numbers = [int(part) for part in parts]
    if len(numbers) == 1:
        return f"unit {numbers[0]}"
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"units {numbers[0]} to {numbers[-1]}"
    return f"units {', '.join(map(str, numbers))}"
