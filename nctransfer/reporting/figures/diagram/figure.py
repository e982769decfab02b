"""A model's units as a diagram: their probes, what a method trains, or candidates (Figs. 5, 6 and 13)."""

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from nctransfer.reporting.figures.diagram import chain as chains
from nctransfer.reporting.figures.diagram.layouts import LAYOUTS
from nctransfer.reporting.figures.diagram.parts import TRAINED, TUNED
from nctransfer.reporting.figures.diagram.parts import parts_table as tabulate
from nctransfer.reporting.panels import by_panel, panel_title
from nctransfer.reporting.settings import DiagramSettings
from nctransfer.reporting.style import styled

__all__ = ["SETTINGS", "draw", "tabulate"]

SETTINGS = DiagramSettings

MARGIN, TITLE, LEGEND = 0.06, 0.24, 0.34  # inches: around the figure; above a panel; below all panels


def draw(numbers: pd.DataFrame, settings: DiagramSettings) -> Figure:
    """Draw the figure from its numbers: panels below each other, one axis unit per inch, and a legend."""
    style, layout = settings.style, LAYOUTS[settings.layout]
    if settings.layout == "candidates":  # with the look of fine-tuned units
        numbers = numbers.assign(state=numbers["state"].mask(numbers["candidate"], TUNED))
    panels, width = by_panel(numbers), style.width - 2 * MARGIN
    rooms = [layout.room(part, width) for part in panels]
    height = top = sum(tall for tall, _ in rooms) + TITLE * len(panels) + LEGEND
    with styled(style):
        figure = Figure((style.width, height))
        for part, (tall, above) in zip(panels, rooms, strict=True):
            top -= TITLE + tall
            axes = figure.add_axes((0, top / height, 1, (TITLE + tall) / height))
            axes.set(xlim=(-MARGIN, style.width - MARGIN), ylim=(0, TITLE + tall))
            axes.set_axis_off()
            title = panel_title(part, len(panels))
            axes.text(0, TITLE + tall - 0.05, title, va="top", fontsize=style.font_size + 1)
            chain = chains.place_chain(part, width, tall - above - chains.TALL / 2)
            chains.draw_chain(axes, chain, part)
            chains.draw_stages(axes, chain, part, layout.stages_above)
            layout.draw(axes, part, chain, width)
        states = {*numbers["state"], *([TRAINED] if settings.layout == "layerwise" else [])}
        named = [(name, chains.BOXES[state]) for state, name in layout.names.items() if state in states]
        handles: list[Artist] = [Patch(label=name, **{"linewidth": 0.6, **box}) for name, box in named]
        if numbers["skip"].any():
            handles.append(Line2D([], [], color=chains.SKIP_COLOR, linewidth=1.1, label="skip connection"))
        figure.legend(
            handles=handles, loc="lower center", ncols=len(handles), frameon=False, handlelength=1.6,
            handleheight=0.9, columnspacing=1.6, borderaxespad=0.2,
        )  # fmt: skip
        figure.draw_without_rendering()  # fonts are set while the style applies
    return figure
