"""Figures and tables of pre-trained models: the numbers, what is drawn of them, and panels with little to draw."""

import importlib
import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from pictures import drawn, unsigned, words, written_twice_alike
from project import STYLE
from scipy import stats

from nctransfer import variants
from nctransfer.errors import DegenerateInputError
from nctransfer.reporting.figures.across_datasets import figure as across_datasets
from nctransfer.reporting.figures.comparison import figure as comparison
from nctransfer.reporting.figures.over_training import figure as over_training
from nctransfer.reporting.figures.transfer import figure as transfer
from nctransfer.reporting.points import points_table
from nctransfer.reporting.tables.pretraining import table as pretraining

TEN = [
    {"series": series, "label": str(level), "model": f"{series}{level}"}
    for series in ("Aug.", "Adv.")
    for level in range(1, 6)
]
LEVELS = [f"{series} {level}" for series in ("Aug.", "Adv.") for level in range(1, 6)]
SOURCE_NC1 = dict(
    zip([point["model"] for point in TEN], [0.25, 0.4, 0.6, 0.9, 1.0, 0.5, 0.8, 1.1, 1.4, 1.75], strict=True)
)
HEADS = {"CE": ["none", "MLP-1"], "MSE": ["none", "MLP-1"], "SupCon": ["linear", "MLP-1", "MLP-2"]}


def metrics(model, view, values):
    """Collapse of a model: the penultimate feature on training data, and decoys that no figure may show."""
    rows = []
    for (metric, value), (split, module, decoy) in itertools.product(
        values.items(),
        [("train", "penultimate", 0), ("test", "penultimate", 100), ("train", "layer4.1", 200)],
    ):
        rows.append(
            {"model": model, "view": view, "split": split, "unit": 9, "module": module,
             "pooling": "avg" if decoy == 200 else "", "metric": metric, "value": value + decoy,
             "samples": 500, "classes": 5, "dropped_classes": 0, "width": 16, "rank": 4}
        )  # fmt: skip
    return pd.DataFrame(rows)


def probes(model, view, accuracies):
    """Test accuracy by seed of the probes at (0.1, 1e-4), training 5 points higher, and decoys."""
    rows = []
    for rate, decay, module in [
        (0.1, 1e-4, "penultimate"),
        (0.05, 1e-4, "penultimate"),
        (0.1, 5e-4, "penultimate"),
        (0.1, 1e-4, "layer4.1"),
    ]:
        real = (rate, decay, module) == (0.1, 1e-4, "penultimate")
        for seed, accuracy in enumerate(accuracies):
            for split, more in (("train", 5.0), ("test", 0.0)):
                rows.append(
                    {"model": model, "view": view, "unit": 9, "module": module, "pooling": "", "solver": "sgd",
                     "learning_rate": rate, "weight_decay": decay, "seed": seed, "split": split,
                     "samples": 1000, "accuracy": accuracy + more if real else 1.0}
                )  # fmt: skip
    return pd.DataFrame(rows)


def settings(panels, curve="line", fit="nc1", kind=transfer, **more):
    asked = {"style": STYLE, "seed": 1, "fit": fit, "curve": curve} if hasattr(kind, "draw") else {}
    return kind.SETTINGS.read(
        {"kind": "any", "tables": [], "learning_rate": 0.1, "weight_decay": 1e-4, "panels": panels}
        | asked
        | more
    )


def panel(title, points, nc1_view="cifar100"):
    return {
        "title": title, "nc1_dataset": nc1_view, "split": "train",
        "points": [{**point, "view": title.lower(), "nc1_view": nc1_view} for point in points],
    }  # fmt: skip


def tables(panels, nc1=SOURCE_NC1.__getitem__, accuracy=lambda nc1: 78 - 10 * (nc1 - 1) ** 2, spread=(0.0,)):
    found = {}
    for point in [point for each in panels for point in each["points"]]:
        model = point["model"]
        value = nc1(model)
        found["metrics", model, point["nc1_view"]] = metrics(
            model, point["nc1_view"], {"nc1": value, "nc1_shuffled": 9.0, "cdnv": -1.0}
        )
        found["probes", model, point["view"]] = probes(
            model, point["view"], [accuracy(value) + more for more in spread]
        )
    return found


def heads(series=str):
    """Three panels, one a loss, and a NC1 for every model; config.yaml gives their series no name."""
    panels = [
        panel(loss, [{"series": series(loss), "label": head, "model": f"{loss}-{head}"} for head in names])
        for loss, names in HEADS.items()
    ]
    models = [point["model"] for part in panels for point in part["points"]]
    return panels, dict(zip(models, np.geomspace(0.01, 3, len(models)), strict=True))


def markers(axes):
    """Positions of the marks on axes, one collection each."""
    return np.concatenate(
        [found.get_offsets() for found in axes.collections if type(found).__name__ == "PathCollection"]
    )


def label(axes):
    """Label of the horizontal axis, on however many lines."""
    return " ".join(axes.get_xlabel().split())


def boxes(figure):
    return [axes.get_window_extent() for axes in figure.axes]


def shown(panels, found=None, kind=transfer, **options):
    """Numbers and picture of panels, of the ten models if no tables are given."""
    return drawn(kind, settings(panels, kind=kind, **options), tables(panels) if found is None else found)


def test_points_hold_the_penultimate_feature_at_the_probes_asked_for():
    panels = [panel("A", TEN), panel("B", TEN[:3])]
    table = points_table(settings(panels), tables(panels, spread=(0.0, 1.0, 5.0)))
    assert list(table["panel"]) == ["a"] * 10 + ["b"] * 3
    assert list(table["order"]) == [*range(5), *range(5), 0, 1, 2]
    expected = np.array([SOURCE_NC1[model] for model in table["model"]])
    np.testing.assert_allclose(table["nc1"], expected)
    np.testing.assert_allclose(table["nc1_shuffled"], 9)
    np.testing.assert_allclose(table["transfer_accuracy"], 78 - 10 * (expected - 1) ** 2 + 2)
    np.testing.assert_allclose(table["train_accuracy"], table["transfer_accuracy"] + 5)
    np.testing.assert_allclose(table["transfer_accuracy_std"], np.std([0, 1, 5], ddof=1))
    assert set(table["seeds"]) == {3}
    assert table.loc[0, ["samples", "classes", "width", "rank"]].tolist() == [500, 5, 16, 4]
    single = points_table(settings(panels), tables(panels))
    assert single["transfer_accuracy_std"].isna().all()  # unknown of one seed
    assert set(single["seeds"]) == {1}


def test_a_point_without_nc1_is_named_with_what_there_is():
    panels = [panel("A", TEN)]
    found = tables(panels)
    found["metrics", "Adv.2", "cifar100"] = found["metrics", "Adv.2", "cifar100"].query("metric != 'nc1'")
    with pytest.raises(DegenerateInputError, match=r"'A', point 'Adv\. 2'.*no nc1 .*nc1_shuffled, cdnv"):
        points_table(settings(panels), found)


def test_a_point_without_a_probe_is_named_with_the_settings_there_are():
    panels = [panel("A", TEN)]
    chosen = settings(panels, learning_rate=0.2)
    with pytest.raises(DegenerateInputError, match=r"'Aug\. 1'.*0\.2.*0\.0001.*0\.1 and 0\.0001, 0\.05"):
        points_table(chosen, tables(panels))


def test_a_transfer_table_repeats_the_fits_of_its_panel():
    panels = [panel("A", TEN), panel("B", TEN[:4])]
    table = transfer.tabulate(settings(panels), tables(panels))
    for _, part in table.groupby("panel"):
        for fit, x in (("nc1", part["nc1"]), ("log_nc1", np.log10(part["nc1"]))):
            line = stats.linregress(x, part["transfer_accuracy"])
            np.testing.assert_allclose(part[f"{fit}_slope"], line.slope)
            np.testing.assert_allclose(part[f"{fit}_pearson"], line.rvalue)
            assert part[f"{fit}_pearson_low"].nunique() == 1
            rho = stats.spearmanr(part["nc1"], part["transfer_accuracy"]).statistic
            np.testing.assert_allclose(part[f"{fit}_spearman"], rho)
    first = table[table["panel"] == "a"].iloc[0]
    assert first["nc1_parabola_turn"] == pytest.approx(1)
    assert first["nc1_parabola_curvature"] == pytest.approx(-10)
    assert first["nc1_parabola_maximum"]
    assert first["nc1_parabola_inside"]
    log = np.polynomial.Polynomial.fit(
        *np.log10(list(SOURCE_NC1.values()))[None],
        78 - 10 * (np.array(list(SOURCE_NC1.values())) - 1) ** 2,
        2,
    )
    assert first["log_nc1_parabola_turn"] == pytest.approx(10 ** log.convert().deriv().roots()[0])


@pytest.mark.parametrize("fit", ["nc1", "log_nc1"])
def test_a_transfer_figure_shows_every_point_and_the_line(fit):
    panels = [panel(title, TEN) for title in ("A", "B", "C", "D")]
    falling = tables(panels, spread=(-1.0, 1.0), accuracy=lambda nc1: 78 - 10 * nc1**2)
    table, figure = shown(panels, falling, fit=fit)
    assert len({axes.get_position().y0 for axes in figure.axes}) == 1  # four in a row
    assert len(figure.axes) == 4
    for axes, (name, part) in zip(figure.axes, table.groupby("panel"), strict=True):
        np.testing.assert_allclose(markers(axes), part[["nc1", "transfer_accuracy"]])
        assert axes.get_title(loc="left") == f"({name}) {name.upper()}"
        assert label(axes).endswith("on cifar100 training data")
        assert axes.get_xscale() == ("log" if fit == "log_nc1" else "linear")
        (bars,) = [found for found in axes.collections if type(found).__name__ == "LineCollection"]
        spans = [np.ptp(segment[:, 1]) for segment in bars.get_segments()]
        np.testing.assert_allclose(spans, 2 * np.std([-1, 1], ddof=1))
        line = next(found for found in axes.lines if len(found.get_xdata()) == 200).get_xydata()
        x = np.log10(line[:, 0]) if fit == "log_nc1" else line[:, 0]
        row = part.iloc[0]
        np.testing.assert_allclose(line[:, 1], row[f"{fit}_intercept"] + row[f"{fit}_slope"] * x)
        (note,) = axes.texts
        text = unsigned(note)
        interval = f"[{row[f'{fit}_pearson_low']:.2f}, {row[f'{fit}_pearson_high']:.2f}]"
        assert f"r = {row[f'{fit}_pearson']:.2f}\n{interval}" in text
        assert "n = 10" in text
        inner, frame = note.get_window_extent(), axes.get_window_extent()
        assert frame.x0 <= inner.x0
        assert inner.x1 <= frame.x1


@pytest.mark.parametrize("fit", ["nc1", "log_nc1"])
def test_no_line_is_drawn_where_the_correlations_interval_contains_0(fit):
    panels = [panel("A", TEN), panel("B", TEN[:3])]  # unrelated, and too few for an interval
    noise = dict(zip(SOURCE_NC1.values(), [1, 2, 3, 2, 1, 3, 2, 1, 2, 2.1], strict=True))
    table, figure = shown(panels, tables(panels, accuracy=noise.__getitem__), fit=fit)
    unrelated, few = table.drop_duplicates("panel").to_dict("records")
    assert unrelated[f"{fit}_pearson_low"] < 0 < unrelated[f"{fit}_pearson_high"]
    assert few[f"{fit}_pearson"] > 0.9
    first, second = figure.axes
    assert len(first.lines) == len(second.lines) == 0
    assert "r = " in first.texts[0].get_text()
    assert second.texts[0].get_text() == "n = 3"


@pytest.mark.parametrize(("width", "rows"), [(6.75, 1), (6.5, 1), (3.25, 2)])
def test_four_panels_stand_in_a_row_at_the_papers_width(width, rows):
    panels = [panel(title, TEN) for title in ("CIFAR-10", "Aircraft", "DTD", "Pet")]
    _, figure = shown(panels, curve="none", style=STYLE | {"width": width})
    assert len({round(axes.get_position().y0, 3) for axes in figure.axes}) == rows
    for axes in figure.axes:
        assert len(axes.lines) == 0  # no curve
        frame = axes.get_window_extent()
        assert frame.height > 1.0 * figure.dpi
        for said in (axes.xaxis.label, axes.texts[0]):
            assert said.get_window_extent().width <= frame.width
        numbers = [tick.get_window_extent() for tick in axes.get_xticklabels() if tick.get_text()]
        assert not any(left.overlaps(right) for left, right in itertools.pairwise(numbers))


def test_the_legend_names_every_point_once_outside_the_axes():
    panels = [panel(title, TEN) for title in ("A", "B")]
    _, figure = shown(panels)
    assert sorted(words(figure)) == sorted(LEVELS)
    legend = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 <= legend.x0
    assert legend.x1 <= figure.bbox.x1
    assert figure.bbox.y0 <= legend.y0
    assert not any(legend.overlaps(box) for box in boxes(figure))


@pytest.mark.parametrize("panel_count", [1, 2])
def test_a_shorter_series_loses_and_takes_no_name_in_the_legend(panel_count):
    panels = [panel("A", TEN[:5] + TEN[5:7])] * panel_count
    _, figure = shown(panels)
    assert sorted(words(figure)) == sorted(LEVELS[:7])
    places = {text.get_text(): text.get_window_extent() for text in figure.legends[0].get_texts()}
    along, across = (
        ("y0", "x0") if panel_count == 1 else ("x0", "y0")
    )  # beside a column a series, below a row
    for series in ("Aug.", "Adv."):
        ranks = {round(getattr(box, across)) for name, box in places.items() if name.startswith(series)}
        assert len(ranks) == 1
    assert getattr(places["Aug. 2"], along) == pytest.approx(getattr(places["Adv. 2"], along), abs=1)


@pytest.mark.parametrize(("slope", "right", "top"), [(10, False, True), (10, True, False), (-10, True, True)])
def test_a_note_stands_in_the_emptiest_corner(slope, right, top):
    points = [{"series": "s", "label": str(i), "model": str(i)} for i in range(9)]
    nc1 = {str(i): 1 + i / 2 for i in range(9)}
    # a line of points, and one more in the other free corner
    other = {(10, False, True): (4.9, 12.0), (10, True, False): (1.1, 48.0), (-10, True, True): (1.1, -38.0)}
    nc1["0"], height = other[slope, right, top]
    panels = [panel("A", points)]
    found = tables(
        panels, nc1=nc1.__getitem__, accuracy=lambda nc1: height if nc1 in (1.1, 4.9) else slope * nc1
    )
    (axes,) = shown(panels, found, curve="none")[1].axes
    assert axes.texts[0].get_ha() == ("right" if right else "left")
    assert axes.texts[0].get_va() == ("top" if top else "bottom")


def test_series_have_markers_and_levels_grow_darker():
    panels = [panel("A", TEN)]
    (axes,) = shown(panels)[1].axes
    points = {found.get_label(): found for found in axes.collections if found.get_label() in LEVELS}
    assert list(points) == LEVELS
    shapes = [len(found.get_paths()[0].vertices) for found in points.values()]
    assert len(set(shapes[:5])) == len(set(shapes[5:])) == 1
    assert shapes[0] != shapes[5]
    light = [found.get_facecolor()[0, :3].sum() for found in points.values()]
    assert (np.diff(light[:5]) < 0).all()
    assert (np.diff(light[5:]) < 0).all()
    assert len({to_hex(found.get_edgecolor()[0]) for found in points.values()}) == 2


@pytest.mark.parametrize("series", [str, lambda loss: ""])
def test_panels_of_a_loss_each_share_a_legend_of_heads_and_join_them(series):
    panels, nc1 = heads(series)
    table, figure = shown(panels, tables(panels, nc1=nc1.__getitem__), curve="path")
    assert words(figure) == ["none", "linear", "MLP-1", "MLP-2"]
    looks = {}
    for axes, (_, part) in zip(figure.axes, table.groupby("panel"), strict=True):
        (path,) = axes.lines
        np.testing.assert_allclose(path.get_xydata(), part[["nc1", "transfer_accuracy"]])
        for found in axes.collections[-len(part) :]:
            looks.setdefault(found.get_label(), set()).add(to_hex(found.get_facecolor()[0]))
    assert sorted(looks) == ["MLP-1", "MLP-2", "linear", "none"]
    assert all(len(colors) == 1 for colors in looks.values())  # the same head, the same colour
    assert len(set.union(*looks.values())) == 4


def test_a_parabolas_turn_is_marked_only_where_it_lies_among_the_points():
    panels = [panel("A", TEN), panel("B", TEN[:3])]  # B ends at 0.6, before the turn at 1
    _, figure = shown(panels, curve="parabola")
    with_turn, without = figure.axes
    (mark,) = [line for line in with_turn.lines if line.get_linestyle() == ":"]
    np.testing.assert_allclose(mark.get_xdata(), 1)
    assert "maximum at 1 [1, 1]" in with_turn.texts[0].get_text()
    assert "r =" not in with_turn.texts[0].get_text()  # of what rises and falls
    assert not [line for line in without.lines if line.get_linestyle() == ":"]
    assert "no turning point in range" in without.texts[0].get_text()
    curve = with_turn.lines[0].get_xydata()
    np.testing.assert_allclose(curve[:, 1], 78 - 10 * (curve[:, 0] - 1) ** 2)


def test_the_points_of_narrow_panels_with_a_parabola_keep_a_third_of_the_height():
    panels = [panel(name, TEN) for name in "ABCD"]
    numbers, figure = shown(
        panels, tables(panels, accuracy=lambda nc1: 60 - 40 * (nc1 - 1) ** 2), curve="parabola"
    )
    for axes, (_, part) in zip(figure.axes, numbers.groupby("panel"), strict=True):
        assert np.ptp(part["transfer_accuracy"]) > np.ptp(axes.get_ylim()) / 3


def test_no_tick_is_above_100_percent_where_a_note_stands_there():
    panels = [panel(name, TEN) for name in "ABCD"]  # narrow, and with points near every corner
    high = {0.25, 0.6, 1.0, 1.4, 1.75}
    found = tables(panels, accuracy=lambda nc1: 96 if nc1 in high else 66)
    _, figure = shown(panels, found, curve="none")
    for axes in figure.axes:
        assert axes.get_ylim()[1] > 101
        assert len(axes.get_yticks()) >= 2
        assert max(axes.get_yticks()) <= 100


def test_groups_that_are_more_than_their_marks_have_a_column_each_below():
    sizes = {"A": 2, "B": 3, "C": 1, "D": 1}
    points = [
        {"series": name, "label": str(i), "model": f"{name}{i}"}
        for name, n in sizes.items()
        for i in range(n)
    ]
    nc1 = {point["model"]: 1 + i / 3 for i, point in enumerate(points)}
    panels = [panel(title, points) for title in ("P", "Q")]
    _, figure = shown(panels, tables(panels, nc1=nc1.__getitem__))
    assert sorted(words(figure)) == sorted(f"{point['series']} {point['label']}" for point in points)
    places = {text.get_text(): text.get_window_extent() for text in figure.legends[0].get_texts()}
    for name in sizes:
        assert len({round(box.x0) for text, box in places.items() if text.startswith(name)}) == 1
    assert len({round(places[f"{name} 0"].y0) for name in sizes}) == 1
    legend = figure.legends[0].get_window_extent()
    assert not any(legend.overlaps(box) for box in boxes(figure))


SIX = {
    "CIFAR-10": (1.0, 99.0, 90.0),
    "CIFAR-100": (2.0, 92.0, 75.0),
    "DTD": (1.5, 99.5, 74.0),
    "Aircraft": (5.0, 88.0, 50.0),
    "Flowers102": (1.2, 100.0, 95.0),
    "SUN397": (3.0, 95.0, 70.0),
}


def across(six=SIX, **options):
    """Both panels of Figure 4, and the tables behind them: NC1, training and test accuracy by data set."""
    points = [
        {"series": "", "label": name, "model": "clip", "view": f"{name}-px", "nc1_view": f"{name}-px"}
        for name in six
    ]
    of_panel = {"title": "CLIP", "nc1_dataset": None, "split": "train", "points": points}
    panels = [{**of_panel, "abscissa": abscissa} for abscissa in ("nc1", "train_accuracy")]
    found = {}
    for name, (nc1, train, test) in six.items():
        view = f"{name}-px"
        found["metrics", "clip", view] = metrics("clip", view, {"nc1": nc1, "nc1_shuffled": 9 * nc1})
        accuracies = probes("clip", view, [test])
        real = (accuracies["accuracy"] > 1) & (accuracies["split"] == "train")
        found["probes", "clip", view] = accuracies.assign(accuracy=accuracies["accuracy"].mask(real, train))
    return settings(panels, kind=across_datasets, **options), found


def test_a_table_across_data_sets_holds_what_nc1_depends_on_and_both_correlations():
    chosen, found = across()
    table = across_datasets.tabulate(chosen, found)
    assert list(table["panel"]) == ["a"] * 6 + ["b"] * 6
    assert list(table["abscissa"]) == ["nc1"] * 6 + ["train_accuracy"] * 6
    assert list(table["label"]) == list(table["nc1_dataset"]) == [*SIX, *SIX]
    values = np.array(list(SIX.values()))
    for _, part in table.groupby("panel"):
        np.testing.assert_allclose(part[["nc1", "train_accuracy", "transfer_accuracy"]], values)
        np.testing.assert_allclose(part["nc1_shuffled"], 9 * values[:, 0])
        assert (part[["samples", "classes", "width", "rank"]] == [500, 5, 16, 4]).all(axis=None)
        for name, x in (
            ("nc1", values[:, 0]),
            ("log_nc1", np.log10(values[:, 0])),
            ("train_accuracy", values[:, 1]),
        ):
            r = stats.pearsonr(x, values[:, 2])
            low, high = r.confidence_interval(0.95)
            for field, expected in (("", r.statistic), ("_low", low), ("_high", high)):
                np.testing.assert_allclose(part[f"{name}_pearson{field}"], expected)
            np.testing.assert_allclose(part[f"{name}_spearman"], stats.spearmanr(x, values[:, 2]).statistic)
            np.testing.assert_allclose(part[f"{name}_slope"], stats.linregress(x, values[:, 2]).slope)


@pytest.mark.parametrize("fit", ["nc1", "log_nc1"])
def test_a_figure_across_data_sets_says_which_split_each_number_is_from(fit):
    table, figure = drawn(across_datasets, *across(fit=fit))
    left, right = figure.axes
    assert label(left).endswith("on each data set's training data")
    assert right.get_xlabel() == "Accuracy on training data (%)"
    assert left.get_ylabel() == "Transfer accuracy on test data (%)"
    assert (left.get_xscale(), right.get_xscale()) == ("log" if fit == "log_nc1" else "linear", "linear")
    assert words(figure) == list(SIX)
    assert left.get_ylim() == right.get_ylim()  # a data set at one height in both
    shown = ((left, "nc1", fit), (right, "train_accuracy", "train_accuracy"))
    for (axes, column, name), (_, part) in zip(shown, table.groupby("panel"), strict=True):
        np.testing.assert_allclose(markers(axes), part[[column, "transfer_accuracy"]])
        row = part.iloc[0]
        text = unsigned(axes.texts[0])
        interval = f"[{row[f'{name}_pearson_low']:.2f}, {row[f'{name}_pearson_high']:.2f}]"
        assert f"r = {row[f'{name}_pearson']:.2f} {interval}" in text.replace("\n[", " [")
        assert "n = 6" in text
        box = axes.texts[0].get_window_extent()
        assert not any(box.contains(*axes.transData.transform(place)) for place in markers(axes))
        (line,) = axes.lines
        x, y = line.get_xydata().T
        x = np.log10(x) if name == "log_nc1" else x
        np.testing.assert_allclose(y, row[f"{name}_intercept"] + row[f"{name}_slope"] * x)
    looks = [
        {
            found.get_label(): to_hex(found.get_facecolor()[0])
            for found in axes.collections
            if found.get_label() in SIX
        }
        for axes in figure.axes
    ]
    assert looks[0] == looks[1]
    assert len(set(looks[0].values())) == 6


def test_training_accuracies_that_are_all_the_same_have_no_correlation():
    left, right = drawn(
        across_datasets, *across({name: (nc1, 100.0, test) for name, (nc1, _, test) in SIX.items()})
    )[1].axes
    assert "r = " in left.texts[0].get_text()
    assert right.texts[0].get_text() == "r undefined\nn = 6"
    assert len(right.lines) == 0


def test_an_axis_has_three_numbers_at_least():
    for axes in drawn(
        across_datasets, *across({name: (1 + i, 62 + 4.4 * i, 63 + 4 * i) for i, name in enumerate(SIX)})
    )[1].axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = axis.get_view_interval()
            assert sum(low <= tick <= high for tick in axis.get_ticklocs()) >= 3


@pytest.mark.parametrize("fit", ["nc1", "log_nc1"])
def test_a_published_window_frames_its_panel_alone_and_the_axes_reach_it(fit):
    panels = [panel(title, TEN) for title in ("A", "B")]
    window = {"panel": "b", "title": "B", "ranges": {"nc1": [2, 5], "transfer_accuracy": [20, 30]}}
    first, second = shown(panels, fit=fit, windows=[window])[1].axes
    assert [line for line in first.lines if line.get_gid() == "window"] == []
    (drawn,) = [line for line in second.lines if line.get_gid() == "window"]
    assert {*map(tuple, drawn.get_xydata())} == {(2, 20), (5, 20), (5, 30), (2, 30)}
    assert second.get_xlim()[1] >= 5
    assert second.get_ylim()[0] <= 20
    assert first.get_xlim()[1] < 5


@pytest.mark.parametrize("seed", range(4))
def test_a_note_hides_no_point(seed):
    rng = np.random.default_rng(seed)
    points = [{"series": "s", "label": str(i), "model": str(i)} for i in range(40)]  # points in every corner
    nc1 = dict(zip(map(str, range(40)), rng.uniform(1, 5, 40), strict=True))
    accuracy = dict(zip(nc1.values(), rng.uniform(20, 80, 40), strict=True))
    panels = [panel("A", points), panel("B", points)]
    found = tables(panels, nc1=nc1.__getitem__, accuracy=accuracy.__getitem__)
    _, figure = shown(panels, found, curve="none")
    for axes in figure.axes:
        box = axes.texts[0].get_window_extent()
        inside = [box.contains(*axes.transData.transform(place)) for place in markers(axes)]
        assert not any(inside)
        assert axes.get_window_extent().containsx(box.x0)
        assert axes.get_window_extent().containsx(box.x1)
        assert axes.get_window_extent().containsy(box.y1)


@pytest.mark.parametrize("fit", ["nc1", "log_nc1"])
@pytest.mark.parametrize("curve", ["line", "parabola", "path", "none"])
@pytest.mark.parametrize("count", [1, 2, 10])
def test_a_panel_of_one_point_or_of_equal_points_still_draws(fit, curve, count):
    panels = [panel("A", TEN[:count])]
    _, figure = shown(
        panels, tables(panels, nc1=lambda model: 0.7, accuracy=lambda nc1: 50.0), curve=curve, fit=fit
    )
    (axes,) = figure.axes
    assert len(markers(axes)) == count
    # of fewer than four points, no correlation is given
    assert ("r undefined\n" if count > 3 else "") + f"n = {count}" in axes.texts[0].get_text()
    assert ("r undefined" in axes.texts[0].get_text()) == (count > 3)


def test_a_comparison_groups_losses_and_shows_each_value():
    panels, nc1 = heads()
    joined = [panel("A", [point for part in panels for point in part["points"]])]
    found = tables(joined, nc1=nc1.__getitem__, spread=(0.0, 1.0))
    table, figure = shown(joined, found, kind=comparison)
    left, right = figure.axes
    assert left.get_yscale() == "log"
    assert right.get_yscale() == "linear"
    for axes, column in ((left, "nc1"), (right, "transfer_accuracy")):
        places = markers(axes)
        np.testing.assert_allclose(places[:, 1], table[column])
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["CE", "MSE", "SupCon"]
        groups = np.array([["CE", "MSE", "SupCon"].index(name) for name in table["series"]])
        np.testing.assert_array_equal(np.round(places[:, 0]), groups)
        assert len(set(places[:, 0])) == len(table)
        for group in range(3):
            assert places[groups == group, 0].mean() == pytest.approx(group)
    assert [text.get_text() for text in left.texts] == [f"{value:.3g}" for value in table["nc1"]]
    assert [text.get_text() for text in right.texts] == [f"{v:.1f}" for v in table["transfer_accuracy"]]
    assert words(figure) == ["none", "linear", "MLP-1", "MLP-2"]


def test_numbers_in_a_full_comparison_do_not_overlap():
    points = [
        {"series": loss, "label": str(head), "model": f"{loss}{head}"} for loss in "ABC" for head in range(4)
    ]
    joined = [panel("A", points)]
    found = tables(joined, nc1=lambda model: 0.123, accuracy=lambda nc1: 77.77)  # all at one height
    _, figure = shown(joined, found, kind=comparison)
    for axes in figure.axes:
        extents = [text.get_window_extent() for text in axes.texts]
        assert not any(one.overlaps(other) for one, other in itertools.combinations(extents, 2))


def trainings(heads=(True, False), epochs=(1, 10, 100)):
    """Panels of pre-trainings with and without a classifier, and their tables."""
    found, panels = {}, []
    for index, has_head in enumerate(heads):
        model = f"m{index}"
        for epoch in epochs:
            snapshot = f"{model}.epoch{epoch}"
            found["metrics", snapshot, "c100"] = metrics(
                snapshot,
                "c100",
                {
                    "nc1": 1 / epoch,
                    "nc1_shuffled": 9.0,
                    "nc2_equinorm": 2 / epoch,
                    "nc2_equiangle": 3 / epoch,
                    "cdnv": 7.0,
                },
            )
            if has_head:
                found["head_metrics", snapshot, "c100"] = metrics(
                    snapshot, "c100", {"nc3": 4 / epoch, "nc4": 5 / epoch}
                )
        rows = [
            {"epoch": epoch, "split": split, "images": images, "learning_rate": 0.1, "loss": 1.0 / epoch,
             "accuracy": np.nan if epoch == 1 else float(epoch)}
            for epoch in range(1, 6)
            for split, images in [("train", "augmented"), ("test", "clean"), ("test", "adversarial")]
        ]  # fmt: skip
        rows.append(rows[-1] | {"split": "train", "images": "clean"})  # of the finished network: no line
        found["history", model, ""] = pd.DataFrame(rows)
        panels.append(
            {"title": f"M{index}", "view": "c100", "model": model,
             "snapshots": [{"epoch": epoch, "model": f"{model}.epoch{epoch}"} for epoch in epochs]}
        )  # fmt: skip
    return settings(panels, kind=over_training), found


def test_a_training_table_holds_each_quantity_of_each_snapshot():
    chosen, found = trainings()
    table = over_training.tabulate(chosen, found)
    for panel_name, quantities in (
        ("a", {"nc1": 1, "nc2_equinorm": 2, "nc2_equiangle": 3, "nc3": 4, "nc4": 5}),
        ("b", {"nc1": 1, "nc2_equinorm": 2, "nc2_equiangle": 3}),
    ):
        part = table[table["panel"] == panel_name]
        assert set(part["quantity"]) == {*quantities, "nc1_shuffled", "loss", "accuracy"}
        for quantity, factor in quantities.items():
            rows = part[part["quantity"] == quantity]
            assert list(rows["epoch"]) == [1, 10, 100]
            np.testing.assert_allclose(rows["value"], factor / rows["epoch"])
            assert set(rows["split"]) == {"train"}
    accuracy = table[(table["quantity"] == "accuracy") & (table["panel"] == "a")]
    assert sorted(set(accuracy["epoch"])) == [2, 3, 4, 5]  # epoch 1 has none
    assert len(accuracy) == 12


def test_a_training_figure_draws_the_curves_and_says_where_there_is_no_classifier():
    _, figure = drawn(over_training, *trainings())
    assert len(figure.axes) == 12
    first, second = figure.axes[:6], figure.axes[6:]
    assert first[0].get_yscale() == "log"
    np.testing.assert_allclose(first[0].lines[0].get_xydata(), [[1, 1], [10, 0.1], [100, 0.01]])
    assert [line.get_label() for line in first[1].lines] == ["equal norms", "equal angles"]
    np.testing.assert_allclose(first[2].lines[0].get_ydata(), [4, 0.4, 0.04])
    np.testing.assert_allclose(first[3].lines[0].get_ydata(), [5, 0.5, 0.05])
    assert [line.get_label() for line in first[5].lines] == ["train", "test", "test, adversarial"]
    np.testing.assert_allclose(first[5].lines[0].get_xydata(), [[n, n] for n in range(2, 6)])
    for axes in second[2:4]:
        assert not axes.lines
        assert "no classifier" in axes.texts[0].get_text()


def test_a_training_figure_without_any_classifier_leaves_no_axes_for_one():
    _, figure = drawn(over_training, *trainings(heads=(False,)))
    assert [axes.get_ylabel() for axes in figure.axes][2:] == ["Loss", "Accuracy (%)"]


def test_a_snapshot_without_nc1_is_named():
    chosen, found = trainings()
    found["metrics", "m0.epoch10", "c100"] = found["metrics", "m0.epoch10", "c100"].query("metric != 'nc1'")
    with pytest.raises(DegenerateInputError, match=r"'M0', snapshot 'm0\.epoch10'.*no nc1 "):
        over_training.tabulate(chosen, found)


def pretrainings(spread=(0.0,), values=(0.001, 0.7714)):
    rows = [
        {"series": "", "label": "MSE_a (w/o proj.)", "model": "mse"},
        {"series": "CE", "label": "w/o", "model": "ce"},
    ]
    panels = [panel("CIFAR-10", rows)]
    nc1 = dict(zip(("mse", "ce"), values, strict=True))
    return settings(panels, kind=pretraining), tables(panels, nc1=nc1.__getitem__, spread=spread)


def presented(*asked):
    return pretraining.present(pretraining.tabulate(*asked), asked[0])


def test_the_pretraining_table_reads_as_the_papers():
    readable = presented(*pretrainings())
    assert list(readable.columns) == [
        "Pre-training", "NC1 on cifar100 training data", "Transfer accuracy on CIFAR-10 (%)"
    ]  # fmt: skip
    # of 1,000 images
    assert readable.iloc[0].tolist() == ["MSE_a (w/o proj.)", "0.001", "68.02 [65.07, 70.84]"]
    assert readable.iloc[1].tolist()[:2] == ["CE w/o", "0.771"]


def test_a_table_of_several_seeds_shows_spread_and_number():
    readable = presented(*pretrainings(spread=(0.0, 1.0, 5.0)))
    mean, spread = 78 - 10 * 0.999**2 + 2, np.std([0, 1, 5], ddof=1)
    assert readable.iloc[0, 2] == f"{mean:.2f} ± {spread:.2f}"
    assert list(readable["Seeds on CIFAR-10"]) == ["3", "3"]


def test_a_table_of_several_panels_keeps_what_each_of_them_shows():
    rows = [{"series": "", "label": label, "model": label} for label in ("A", "B")]
    panels = [panel("CIFAR-10", rows), panel("DTD", rows[:1])]
    found = tables(panels, nc1={"A": 0.5, "B": 0.25}.__getitem__)
    readable = presented(settings(panels, kind=pretraining), found)
    assert list(readable.iloc[:, 1]) == ["0.500", "0.250"]  # on one data set: one column
    assert list(readable["Transfer accuracy on DTD (%)"].map(bool)) == [True, False]
    panels[1]["title"] = "CIFAR-10"
    with pytest.raises(DegenerateInputError, match="two panels have the title 'CIFAR-10'"):
        presented(settings(panels, kind=pretraining), found)


def test_an_nc1_too_small_for_three_decimals_is_no_zero():
    assert presented(*pretrainings(values=(0.00012, 0.5))).iloc[0, 1] == "1.2e-04"


def test_a_written_table_says_its_digest(tmp_path):
    table, path = written_twice_alike(pretraining, lambda: pretrainings(spread=(0.0, 1.0)), tmp_path)
    back = pd.read_csv(path.with_suffix(".csv"), keep_default_na=False)
    pd.testing.assert_frame_equal(back, table, check_dtype=False)
    latex, markdown = (path.with_suffix(suffix).read_text("utf-8") for suffix in (".tex", ".md"))
    for said in (r"MSE\_a (w/o proj.) & 0.001 &", r"(\%)", r"$\pm$", r"\toprule", "digest abc123"):
        assert said in latex
    lines = markdown.splitlines()
    assert [cell.strip() for cell in lines[2].split("|")][1:3] == ["MSE_a (w/o proj.)", "0.001"]
    assert "digest abc123" in lines[-1]


def parabolas(kind):
    panels = [panel("A", TEN)]
    return settings(panels, curve="parabola", kind=kind), tables(panels, spread=(0.0, 1.0))


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        (transfer, lambda: parabolas(transfer)),
        (comparison, lambda: parabolas(comparison)),
        (over_training, lambda: trainings(heads=(True,))),
        (across_datasets, lambda: across(curve="parabola")),
    ],
)
def test_figures_are_the_same_bytes_every_time(kind, make, tmp_path):
    written_twice_alike(kind, make, tmp_path)


def test_a_kind_may_be_a_folder_or_one_module(tmp_path, monkeypatch):
    for path, text in {
        "own_kinds/__init__.py": "", "own_kinds/alone.py": "SETTINGS, KIND = 1, 2",
        "own_kinds/folder/__init__.py": "", "own_kinds/folder/figure.py": "SETTINGS = 3",
    }.items():  # fmt: skip
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    package = importlib.import_module("own_kinds")
    assert variants.names(package) == ["alone", "folder"]
    assert variants.load(package, "alone", "figure").SETTINGS == 1
    assert variants.load(package, "alone", "kind").KIND == 2
    assert variants.load(package, "folder", "figure").SETTINGS == 3
    assert variants.module_name(package, "alone", "figure") == "own_kinds.alone"
    assert variants.module_name(package, "folder", "figure") == "own_kinds.folder.figure"
