"""The paper's windows: they name panels that exist, and our points are counted in them."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from pictures import paper
from project import ROOT

from nctransfer.config.axis_ranges import read_windows
from nctransfer.config.load import load
from nctransfer.dag.plan import Plan
from nctransfer.errors import ConfigError
from nctransfer.reporting.panels import frame, letter
from nctransfer.reporting.scorecard import windows
from nctransfer.reporting.scorecard.findings import read_numbers
from nctransfer.reporting.settings import Window

AXES = ROOT / "config" / "published" / "paper" / "axes.csv"


@pytest.fixture(scope="module")
def axes() -> pd.DataFrame:
    return read_numbers(AXES)


def window(figure="fig1", panel="a", title="CIFAR-10", x=("nc1", 2, 5), y=("transfer_accuracy", 66, 78)):
    row = [figure, panel, title, *x, *y, "a source"]
    ends = [f"{axis}{end}" for axis in windows.AXES for end in ("", "_low", "_high")]
    return pd.DataFrame([row], columns=["figure", "panel", "title", *ends, "source"])


def points(nc1, accuracy, panel="a", title="CIFAR-10"):
    return pd.DataFrame({"panel": panel, "title": title, "nc1": nc1, "transfer_accuracy": accuracy})


def test_every_window_is_of_a_panel_of_config_yaml(axes):
    panels = {
        (figure, letter(index), panel.title)
        for figure in paper().configuration.figures
        for index, panel in enumerate(paper().figure(figure).settings.panels)
    }
    assert set(zip(axes["figure"], axes["panel"], axes["title"], strict=True)) <= panels
    assert not axes.duplicated(["figure", "panel"]).any()
    # all figures with numbered axes, but no diagram, and not the caption without a figure
    numbered = {f"fig{number}" for number in range(1, 18)} - {"fig5", "fig6", "fig12", "fig13"}
    assert set(axes["figure"]) == numbered | {"fig3-small"}


def test_windows_are_ranges_with_a_source(axes):
    for axis in windows.AXES:
        low, high = axes[f"{axis}_low"], axes[f"{axis}_high"]
        assert (low.isna() == high.isna()).all()
        assert (low[low.notna()] < high[low.notna()]).all()
    assert axes["source"].str.contains("Figure").all()


def test_points_are_counted_on_each_axis_and_on_both():
    # outside left, below, inside, at the outer ticks, not measured
    table = points([1, 3, 4, 2, 5, 9], [70, 60, 75, 66, 78, np.nan])
    (row,) = windows.windows_table({"fig1": table}, window()).to_dict("records")
    assert (row["points"], row["inside"]) == (5, 3)
    assert (row["abscissa_inside"], row["ordinate_inside"]) == (4, 4)
    assert (row["abscissa_ours_low"], row["abscissa_ours_high"]) == (1, 5)
    assert (row["ordinate_low"], row["ordinate_high"], row["source"]) == (66, 78, "a source")


def test_an_axis_without_a_window_refuses_no_point():
    table = points([3, 300], [0, 100]).assign(unit=[1, 2])
    one_sided = window(x=("unit", np.nan, np.nan), y=("nc1", 1, 100))
    (row,) = windows.windows_table({"fig1": table}, one_sided).to_dict("records")
    assert (row["points"], row["inside"]) == (2, 1)


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"fig2": points([3], [70])},
        {"fig1": points([3], [70], title="digits")},  # another study's panel
        {"fig1": points([3], [70], panel="b")},
        {"fig1": points([np.nan], [70])},
    ],
)
def test_a_panel_that_is_not_the_papers_has_no_row(tables):
    found = windows.windows_table(tables, window())
    assert found.empty
    assert "Of 0 panels" in windows.summary(found)


@pytest.mark.parametrize("render", [windows.html, windows.markdown])
def test_a_section_says_where_our_points_lie_beside_the_papers_window(render):
    tables = {
        "fig1": points([3, 4], [70, 71]),
        "fig2": points([3, 30], [70, 71]),
        "fig3": points([30], [7]),
    }
    both = pd.concat([window(figure) for figure in tables])
    text = render(windows.windows_table(tables, both))
    assert "Of 3 panels 1 have all their points inside the paper's window, 1 some, 1 none." in text.replace(
        "&#x27;", "'"
    )
    assert "NC1 3 to 30, the paper's 2 to 5: 1 inside" in text.replace("&#x27;", "'")
    assert "Figure 3" in text


def test_texts_of_a_panel_are_escaped():
    title = "a <b> | c"
    found = windows.windows_table({"fig1": points([3], [70], title=title)}, window(title=title))
    assert "<b>" not in windows.html(found)
    assert r"\|" in windows.markdown(found)


# --- frames ---------------------------------------------------------------------------------


def drawn(ranges, title="CIFAR-10"):
    axes = Figure().subplots()
    frame(
        axes, [Window(panel="a", title="CIFAR-10", ranges=ranges)], points([3], [70], title=title), "nc1", "y"
    )
    return axes.lines


def test_a_window_is_a_rectangle_or_two_levels():
    (rectangle,) = drawn({"nc1": (2, 5), "y": (66, 78)})
    assert rectangle.get_xydata().tolist() == [[2, 66], [5, 66], [5, 78], [2, 78], [2, 66]]
    assert [set(line.get_ydata()) for line in drawn({"y": (66, 78)})] == [{66}, {78}]
    # other axes and panels have none
    assert not drawn({"nc1": (2, 5)})
    assert not drawn({"nc1": (2, 5), "y": (66, 78)}, "DTD")


def test_windows_are_read_by_figure(tmp_path):
    path = tmp_path / "own.csv"
    pd.concat([window(), window("fig7", x=("unit", "", ""))]).to_csv(path, index=False)
    found = read_windows(path)
    (whole,), (half,) = found["fig1"], found["fig7"]
    assert whole.ranges == {"nc1": (2, 5), "transfer_accuracy": (66, 78)}
    assert (half.panel, half.title, half.ranges) == ("a", "CIFAR-10", {"transfer_accuracy": (66, 78)})


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (window().drop(columns="ordinate_low"), "no column 'ordinate_low'; it has: figure, panel"),
        (window(x=("nc1", 5, 2)), "line 2: allowed are a low end and a higher one"),
        (window(x=("nc1", "few", "many")), "line 2: allowed are a low end and a higher one"),
        (window(x=("nc1", 5, "")), "line 2: allowed are a low end and a higher one"),
    ],
)
def test_a_file_that_holds_no_windows_is_named_with_what_is_allowed(tmp_path, table, words):
    path = tmp_path / "own.csv"
    table.to_csv(path, index=False)
    with pytest.raises(ConfigError, match=r"style\.windows: .*own\.csv: ") as caught:
        read_windows(path)
    assert words in str(caught.value)


def test_config_yaml_draws_the_papers_windows_and_an_overlay_can_leave_them_out(tmp_path):
    overlay = tmp_path / "own.yaml"
    overlay.write_text("study: own\nstyle: {windows: null}\n")
    other = Plan(load(ROOT / "config.yaml", [overlay]), ROOT)
    titles = [window.title for window in paper().figure("fig3").settings.windows]
    assert titles == ["ResNet34 on CIFAR-10", "ViT-B/32 on CIFAR-10"]
    assert other.figure("fig3").settings.windows == ()
    absent = Plan(load(ROOT / "config.yaml", [], ["style={windows: nowhere.csv}"]), ROOT)
    with pytest.raises(ConfigError, match=r"style\.windows: no file 'nowhere\.csv'"):
        absent.figure("fig3")
