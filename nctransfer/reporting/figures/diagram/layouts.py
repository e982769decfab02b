"""Drawings around the chain of boxes: probes of every unit, what a method trains, or sizes of the units."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from nctransfer.reporting.figures.diagram import chain as chains
from nctransfer.reporting.figures.diagram.chain import INK, PALE, Chain, write
from nctransfer.reporting.figures.diagram.parts import (
    ADAPTED,
    CLASSIFIER,
    FROZEN,
    HEAD,
    MAPS,
    REMOVED,
    TRAINED,
    TUNED,
    unit_rows,
)
from nctransfer.reporting.style import NC1
from nctransfer.reporting.tidy_rows import PENULTIMATE
from nctransfer.reporting.tuning_methods import FULL_FT

STAGES = 0.42  # inches above the boxes
DOWN, BAR, CLASSIFIERS = 0.2, 0.24, 0.26  # an arrow; pooling; classifiers below the units
OVER, STAGES_BELOW, CAPTION = 0.46, 0.46, 0.24
NAMES, BARS = 0.18, 0.62  # names of modules; bars for their parameters
LETTER = 0.042  # approximate width of a letter in the name of a module
POOLINGS = {
    MAPS: "average pooling to 1 \N{MULTIPLICATION SIGN} 1",
    "cls": "class token",
    "token_mean": "mean over tokens",
    "patch_mean": "mean over patches",
}


@dataclass(frozen=True)
class Layout:
    """How panels are drawn."""

    # inches of a panel, and those above the boxes, from its rows and width
    room: Callable[[pd.DataFrame, float], tuple[float, float]]
    # draws on a panel's axes around its chain, from its rows, chain and width
    draw: Callable[[Axes, pd.DataFrame, Chain, float], None]
    names: Mapping[str, str]  # names of states in the legend
    stages_above: bool = True  # whether stages are above the boxes


def _room_layerwise(part: pd.DataFrame, width: float) -> tuple[float, float]:
    return STAGES + chains.TALL + 2 * DOWN + BAR + CLASSIFIERS + 0.14, STAGES


def _draw_layerwise(axes: Axes, part: pd.DataFrame, chain: Chain, width: float) -> None:
    first, last = chain.ends
    bar, below = chain.bottom - DOWN - BAR / 2, chain.bottom - 2 * DOWN - BAR - CLASSIFIERS / 2
    chains.draw_box(axes, first, last, bar, BAR, FROZEN, facecolor="white", edgecolor=PALE)
    for name in chain.units["part"]:
        middle = chain.middle(name)
        chains.draw_arrow(axes, (middle, chain.bottom), (middle, bar + BAR / 2), INK)
        chains.draw_arrow(axes, (middle, bar - BAR / 2), (middle, below + CLASSIFIERS / 2), INK)
        chains.draw_box(axes, *chain.spans[name], below, CLASSIFIERS, TRAINED)
    chains.number_units(axes, chain, below - CLASSIFIERS / 2)
    maps = part["pooling"].iloc[0] == MAPS
    pooling = POOLINGS[MAPS] if maps else "class token, or mean over tokens"
    chains.fit(write(axes, (first + last) / 2, bar, pooling), last - first - 0.05)
    write(axes, first - 0.08, bar, "features of\nevery unit", ha="right")
    write(axes, first - 0.08, below, "linear\nclassifiers", ha="right")
    write(axes, last + 0.08, bar, f"{NC1} on\ntraining data", ha="left")
    write(axes, last + 0.08, below, "transfer\naccuracy", ha="left")


def _room_tuning(part: pd.DataFrame, width: float) -> tuple[float, float]:
    passed = (unit_rows(part)["state"] == REMOVED).any()
    above = OVER if part["skip"].any() or passed else 0.08
    return above + chains.TALL + STAGES_BELOW + CAPTION, above


def _draw_tuning(axes: Axes, part: pd.DataFrame, chain: Chain, width: float) -> None:
    chains.number_units(axes, chain, chain.bottom)
    line = chain.top + chains.LIFT
    if part["skip"].any():  # from the tuned units' outputs to the sum before the classifier
        end = chain.middle(chains.SUM)
        starts = [(chain.middle(name), chain.top) for name in part.loc[part["skip"], "part"]]
        into = (end, chain.y + chains.ENDS[chains.SUM] / 2)
        chains.draw_over(axes, starts, into, line, chains.SKIP_COLOR)
        chains.label_path(axes, skip_label(part), starts[-1][0], end, line, chains.SKIP_COLOR)
    # without the units above, the last unit's pooled output is the feature
    if part.set_index("part")["state"][PENULTIMATE] == REMOVED:
        start = chain.middle(chain.units.loc[chain.units["state"] != REMOVED, "part"].iloc[-1])
        chains.label_path(axes, POOLINGS[MAPS], start, chain.middle(CLASSIFIER), line, INK)
    if HEAD in set(part["part"]):
        left, right = chain.spans[CLASSIFIER]
        below = chain.bottom - 0.27
        chains.draw_box(axes, left, right, below, 0.26, REMOVED)
        color = chains.TEXT_COLORS[REMOVED]
        chains.fit(write(axes, (left + right) / 2, below, "source head", color=color), right - left - 0.04)
    chains.fit(write(axes, width / 2, 0.13, caption_of(part)), width)


def skip_label(part: pd.DataFrame) -> str:
    """What happens to a tuned unit's output before the sum."""
    pooling = POOLINGS.get(part["pooling"].iloc[0], str(part["pooling"].iloc[0]))
    widths, full = part.loc[part["skip"], "width"], part.set_index("part")["width"][PENULTIMATE]
    narrow = sorted(set(widths[widths < full]))
    if not narrow:
        return pooling
    padded = f"{narrow[0]} → {full}" if len(narrow) == 1 and (widths < full).all() else f"to {full}"
    return f"{pooling}, zero-padding {padded}"


def caption_of(part: pd.DataFrame) -> str:
    """Trained parameters, in words and numbers."""
    first, head = part.iloc[0], part.set_index("part").loc[CLASSIFIER]
    tuned = unit_rows(part)[unit_rows(part)["state"].isin((TUNED, ADAPTED))]
    classes: str = "" if pd.isna(head["width"]) else f"{head['width']} classes of {first['dataset']}"
    own: str = "" if pd.isna(head["trained"]) else f"{head['trained']:,}"
    trained = [("MLP" if head["type"] == "MLP" else "classifier") + _bracketed(classes, own)]
    if first["method"] == FULL_FT:
        trained.insert(0, "all of the network")
    elif len(tuned):
        module = tuned["module"].iloc[0] if len(tuned) == 1 else ""
        count = "" if tuned["trained"].isna().any() else f"{tuned['trained'].sum():,} parameters"
        adapters = "adapters of " if (tuned["state"] == ADAPTED).any() else ""
        trained.insert(0, f"{adapters}{in_words(tuned['part'])}{_bracketed(module, count)}")
    text = f"Trained: {' + '.join(trained)}"
    whole = "" if pd.isna(first["share"]) else f" = {first['share']:.2f} % of {first['all_parameters']:,}"
    return text + whole


def _bracketed(*words: str) -> str:
    return f" ({', '.join(filter(None, words))})" if any(words) else ""


def in_words(parts: Iterable[str]) -> str:
    """Units in a caption: ``unit 8``, ``units 5 to 8``, ``units 2, 5``."""
    numbers = [int(part) for part in parts]
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"units {numbers[0]} to {numbers[-1]}"
    return f"unit{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _module_names(part: pd.DataFrame, width: float) -> tuple[float, bool]:
    """Height for the names of modules, and whether they are vertical; small if there are many units."""
    chain = chains.place_chain(part, width, 0.0)
    if len(chain.units) > chains.MANY:
        return NAMES, False
    left, right = chain.spans[chain.units["part"].iloc[0]]
    longest = LETTER * chain.units["module"].str.len().max()
    return (NAMES, False) if longest < right - left else (longest + 0.08, True)


def _room_candidates(part: pd.DataFrame, width: float) -> tuple[float, float]:
    return STAGES + chains.TALL + _module_names(part, width)[0] + BARS + 0.16, STAGES


def _draw_candidates(axes: Axes, part: pd.DataFrame, chain: Chain, width: float) -> None:
    chains.number_units(axes, chain, chain.bottom)
    room, upright = _module_names(part, width)
    ground = chain.bottom - room - BARS
    highest = max(int(chain.units["parameters"].max()), 1)
    counted = chain.spans["1"][1] - chain.spans["1"][0] > 0.3
    small: dict[str, Any] = {"fontsize": "x-small"}
    for row in chain.units.to_dict("records"):
        (left, right), middle = chain.spans[row["part"]], chain.middle(row["part"])
        count = int(row["parameters"])
        if len(chain.units) <= chains.MANY:
            turned = 90 if upright else 0
            write(axes, middle, chain.bottom - 0.04, row["module"], va="top", rotation=turned, **small)
        bar = (BARS - 0.2) * count / highest
        axes.bar(middle, bar, right - left, bottom=ground, **chains.BOXES[row["state"]] | {"linewidth": 0.5})
        if counted:
            label = write(axes, middle, ground + bar + 0.02, thousands(count), va="bottom", **small)
            chains.fit(label, right - left + 0.08)
    first, last = chain.ends
    axes.plot([first, last], [ground, ground], color=PALE, linewidth=0.7)
    largest = "" if counted else f"\n(up to {thousands(highest)})"
    write(axes, first - 0.08, ground, f"parameters{largest}", ha="right", va="bottom")


def thousands(count: int) -> str:
    """A number of parameters with three digits: 936, 74.0k, 1.18M."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if count >= unit:
            return f"{count / unit:.3g}{name}" if count < 1000 * unit else f"{count / unit:,.0f}{name}"
    return str(count)


LAYOUTS = {
    "layerwise": Layout(
        _room_layerwise, _draw_layerwise,
        {FROZEN: "frozen", TRAINED: "trained linear classifiers, one a unit", REMOVED: "removed"},
    ),
    "tuning": Layout(
        _room_tuning, _draw_tuning,
        {FROZEN: "frozen", TUNED: "fine-tuned", ADAPTED: "frozen, low-rank adapters train",
         TRAINED: "trained classifier", REMOVED: "removed"},
        stages_above=False,
    ),
    "candidates": Layout(
        _room_candidates, _draw_candidates,
        {TUNED: "candidate for fine-tuning", FROZEN: "not a candidate", REMOVED: "removed"},
    ),
}  # fmt: skip
