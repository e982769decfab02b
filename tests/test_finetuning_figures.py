"""Figures and tables of fine-tuning: the numbers, what is drawn of them, and what stands out in tables."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text
from pictures import drawn, unsigned, words, written_twice_alike
from project import STYLE
from scipy import stats

from nctransfer import variants
from nctransfer.errors import DegenerateInputError
from nctransfer.finetuning import methods as finetuning_methods
from nctransfer.finetuning.method import method_facts
from nctransfer.reporting.figures.collapse_by_unit import figure as collapse_by_unit
from nctransfer.reporting.figures.samples import figure as samples
from nctransfer.reporting.figures.tuned_unit_law import figure as tuned_unit_law
from nctransfer.reporting.figures.tuned_units import figure as tuned_units
from nctransfer.reporting.finetuning_runs import name_series, over_seeds, runs_table
from nctransfer.reporting.fits import crossing
from nctransfer.reporting.output import save_table
from nctransfer.reporting.series_style import looks_of_runs
from nctransfer.reporting.settings import FigureSettings, RunsPanel, Window
from nctransfer.reporting.table_cells import Cell, Emphasis, emphasised, seeds_in_words, spread
from nctransfer.reporting.tables.methods import table as methods
from nctransfer.reporting.tables.search import table as search
from nctransfer.reporting.tables.tasks import table as tasks
from nctransfer.reporting.tuning_methods import facts_of

DASH = "\N{EN DASH}"
METHODS = variants.names(finetuning_methods)
TUNES = ("layer_ft", "scl_ft", "layer_lp", "layer_lora")


class Study:
    """Panels of runs, and the tables that they leave."""

    def __init__(self):
        self.panels, self.tables, self.style = [], {}, STYLE

    def panel(self, title, model="r18", dataset="Aircraft", depth=4, pooling="avg", abscissa=None, **more):
        self.panels.append(
            {"title": title, "model": model, "dataset": dataset, "view": dataset.lower(), "pooling": pooling,
             "depth": depth, "abscissa": abscissa, "runs": [], **more}
        )  # fmt: skip
        return self

    def run(self, method, accuracy=50.0, units=None, nc1=None, summed=None, share=5.0, **more):
        """Add a run to the last panel; nc1 by unit (a mapping) or of the penultimate feature alone."""
        panel = self.panels[-1]
        units = ([2] if method in TUNES else []) if units is None else units
        asked = {
            "per_class": None,
            "learning_rate": 0.05,
            "weight_decay": 1e-4,
            "rank": None,
            "seed": 0,
        } | more
        told = {"statistics": "running", "epochs": 200} | {
            key: asked.pop(key) for key in ("statistics", "epochs") if key in asked
        }
        key = f"run{len(self.tables)}"
        panel["runs"].append({"run": key, "model": key, "method": method, "units": units, **asked})
        row = {
            "run": key, "model": panel["model"], "dataset": panel["dataset"], "method": method,
            "units": " ".join(map(str, units)), **{k: asked[k] for k in ("per_class", "learning_rate")},
            "weight_decay": asked["weight_decay"], "seed": asked["seed"], **told, "trained": int(share * 1000),
            "parameters": 100_000, "share": share,
        }  # fmt: skip
        self.tables["finetuning", key, ""] = pd.DataFrame(
            [row | {"split": "train", "samples": 800, "accuracy": accuracy + 8, "loss": 0.1},
             row | {"split": "test", "samples": 400, "accuracy": accuracy, "loss": 1.0}]
        )  # fmt: skip
        if nc1 is not None:
            self.tables["metrics", key, panel["view"]] = metrics(panel, nc1, summed)
        return self

    def settings(self):
        shared = {"kind": "any", "panels": self.panels, "tables": []}
        if "rates" in self.panels[0]:
            return search.SETTINGS.read(shared)
        return FigureSettings[RunsPanel].read(shared | {"seed": 1, "style": self.style})

    def both(self):
        return self.settings(), self.tables

    def draw(self, kind):
        """Numbers and picture."""
        return drawn(kind, *self.both())


def metrics(panel, nc1, summed=None):
    """Collapse of a run's features, and decoys that no figure may show."""
    last = panel["depth"] + 1
    by_unit = nc1 if isinstance(nc1, dict) else {"penultimate": nc1}
    rows = [
        {"unit": last if unit == "penultimate" else unit, "pooling": "" if unit == "penultimate" else panel["pooling"],
         "module": {"penultimate": unit, 0: "stem"}.get(unit, f"u{unit}"), "metric": metric, "value": value + more}
        for unit, value in by_unit.items()
        for metric, more in [("nc1", 0.0), ("nc1_shuffled", 50.0), ("cdnv", 0.5)]
    ]  # fmt: skip
    rows += [row | {"pooling": "max", "value": 999.0} for row in rows if row["pooling"]]
    if summed is not None:
        rows.append({"unit": last, "pooling": "", "module": "summed", "metric": "nc1", "value": summed})
    sizes = {"samples": 500, "classes": 5, "dropped_classes": 0, "width": 16, "rank": 4}
    return pd.DataFrame(
        [row | sizes | {"split": split, "value": row["value"] + more}
         for row in rows for split, more in (("train", 0.0), ("test", 777.0))]
    )  # fmt: skip


def curves(axes):
    """Labelled lines of axes by label."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def nothing_is_cut_off(figure):
    """Legend below all axes, and titles, labels and legend within the figure."""
    legend = figure.legends[0].get_window_extent()
    said = {axes.get_title(loc="left") for axes in figure.axes}
    said |= {
        label.get_text()
        for axes in figure.axes
        for label in (axes.xaxis.label, axes.yaxis.label, *axes.texts)
    }
    texts = [text for text in figure.findobj(Text) if text.get_text() in said]
    for box in [legend, *(text.get_window_extent() for text in texts if text.get_text())]:
        assert box.x0 >= figure.bbox.x0
        assert box.x1 <= figure.bbox.x1
        assert box.y0 >= figure.bbox.y0
        assert box.y1 <= figure.bbox.y1
    assert not any(legend.overlaps(axes.get_window_extent()) for axes in figure.axes)


# ---------------------------------------------------------------- runs


def test_a_run_holds_its_coordinates_accuracies_and_the_penultimate_features_collapse():
    study = Study().panel("A").run("lp", 40.0, nc1={0: 9.0, 4: 8.0, "penultimate": 7.0}, seed=2)
    study.run("scl_ft", 45.0, [1, 3], nc1=2.0, summed=3.0, share=6.52, per_class=10, rank=None)
    study.run("zero_shot", 30.0, learning_rate=None, weight_decay=None, share=0.0)
    table = runs_table(*study.both())
    lp, scl, zero = table.to_dict("records")
    assert (lp["panel"], lp["title"], lp["model"], lp["dataset"], lp["view"]) == (
        "a", "A", "r18", "Aircraft", "aircraft",
    )  # fmt: skip
    assert (lp["name"], lp["units"], lp["seed"], lp["learning_rate"]) == ("LP", "", 2, 0.05)
    assert (lp["train_accuracy"], lp["transfer_accuracy"]) == (48, 40)
    assert (lp["nc1"], lp["nc1_shuffled"], lp["cdnv"]) == (7, 57, 7.5)
    assert (lp["samples"], lp["classes"], lp["width"], lp["feature_rank"]) == (500, 5, 16, 4)
    assert np.isnan(lp["nc1_summed"])
    assert pd.isna(lp["per_class"])
    assert (scl["name"], scl["units"], scl["nc1"], scl["nc1_summed"]) == ("SCL FT", "1 3", 2, 3)
    assert (scl["per_class"], scl["share"], scl["trained"], scl["parameters"]) == (10, 6.52, 6520, 100_000)
    assert zero["name"] == "Zero-shot"
    assert np.isnan([zero["nc1"], zero["learning_rate"]]).all()
    assert pd.isna(zero["rank"])


def test_a_method_without_a_name_is_shown_by_its_own():
    assert runs_table(*Study().panel("A").run("prompt_ft").both())["name"].tolist() == ["prompt_ft"]
    by_place = sorted(map(method_facts, METHODS), key=lambda facts: facts.place)
    assert [facts.title for facts in by_place][:4] == ["LP", "MLP", "Layer FT", "SCL FT"]


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_run_without_accuracy_is_named(split):
    study = Study().panel("A").run("lp").run("full_ft")
    study.tables["finetuning", "run1", ""] = study.tables["finetuning", "run1", ""].query(
        f"split != '{split}'"
    )
    with pytest.raises(DegenerateInputError, match=rf"'A', run 'run1': no accuracy on the {split} split"):
        runs_table(*study.both())


def test_metrics_without_nc1_are_named_with_what_there_is():
    study = Study().panel("A").run("lp", nc1=3.0)
    key = next(key for key in study.tables if key[0] == "metrics")
    study.tables[key] = study.tables[key].query("metric != 'nc1'")
    with pytest.raises(DegenerateInputError, match=r"'A', run 'run0'.*no nc1 .*nc1_shuffled, cdnv"):
        runs_table(*study.both())


@pytest.mark.parametrize("kind", [collapse_by_unit, tuned_unit_law, methods])
def test_a_run_without_metrics_is_named_with_the_features_to_measure(kind):
    study = Study().panel("A").run("layer_ft", nc1={1: 2.0, "penultimate": 1.0}).run("layer_ft", seed=1)
    with pytest.raises(DegenerateInputError, match=r"'A', run 'run2': no metrics of 'run2' on 'aircraft'"):
        kind.tabulate(*study.both())


def test_seeds_are_averaged_and_one_has_no_spread():
    study = Study().panel("A").run("lp", 40.0).run("layer_ft", 50.0)
    for seed in (1, 2):
        study.run("layer_ft", 50.0 + seed, seed=seed)
    table = over_seeds(name_series(runs_table(*study.both())), ("transfer_accuracy", "nc1"))
    assert table["transfer_accuracy"].tolist() == [40, 51]
    np.testing.assert_allclose(table["transfer_accuracy_std"], [np.nan, 1])
    assert table["seeds"].tolist() == [1, 3]
    assert table[["nc1", "nc1_std"]].isna().all(axis=None)


def test_runs_of_one_place_that_are_no_seeds_of_one_another_are_refused():
    twice = Study().panel("A").run("lp").run("lp")
    with pytest.raises(
        DegenerateInputError, match=r"'A', runs 'run0', 'run1': one method, one place and one seed"
    ):
        over_seeds(runs_table(*twice.both()), ("transfer_accuracy",))
    apart = Study().panel("A").run("layer_ft", units=[1]).run("layer_ft", units=[2], seed=1)
    with pytest.raises(DegenerateInputError, match=r"their units differ: 1, 2"):
        over_seeds(runs_table(*apart.both()), ("transfer_accuracy",))


def test_names_say_what_sets_runs_of_a_panel_apart_and_no_more():
    study = (
        Study().panel("A").run("layer_ft", units=[1]).run("layer_ft", units=[3, 4]).run("lp").run("full_ft")
    )
    study.run("full_ft", learning_rate=0.1, statistics="frozen")
    study.panel("B").run("layer_ft", units=[4]).run("lp", learning_rate=1.0).run("layer_lora", rank=8)
    assert name_series(runs_table(*study.both()))["name"].tolist() == [
        "Layer FT (unit 1)", "Layer FT (units 3 4)", "LP", "Full FT (learning rate 0.05, statistics running)",
        "Full FT (learning rate 0.1, statistics frozen)", "Layer FT (unit 4)", "LP", "Layer LoRA (rank 8)",
    ]  # fmt: skip
    study = Study().panel("A").run("layer_ft", units=[1]).panel("B").run("layer_ft", units=[4])
    assert set(name_series(runs_table(*study.both()))["name"]) == {"Layer FT"}


# ---------------------------------------------------------------- looks


def test_a_method_looks_the_same_in_every_figure():
    def looks(*names):
        return looks_of_runs(
            pd.DataFrame({"name": [facts_of(name).title for name in names], "method": names})
        )

    everything, few = looks(*METHODS, "prompt_ft", "own_ft"), looks("full_ft", "lp")
    assert few["LP"] == everything["LP"]
    assert few["Full FT"] == everything["Full FT"]
    assert len({(look.color, look.marker) for look in everything.values()}) == len(METHODS) + 2
    assert list(few) == ["Full FT", "LP"]


def test_series_of_one_method_share_its_colour_and_differ_in_dashes():
    table = pd.DataFrame({"name": [f"Layer FT (unit {unit})" for unit in range(6)], "method": "layer_ft"})
    looks = looks_of_runs(table).values()
    assert len({look.color for look in looks}) == 1
    assert len({(look.marker, look.dashes) for look in looks}) == 6


# ---------------------------------------------------------------- collapse by unit

DROP = {"lp": 1.0, "layer_ft": 0.3, "scl_ft": 0.2, "full_ft": 0.05}


def by_unit(study, method, stem=True, depth=4, **more):
    nc1 = {
        unit: 40 * DROP[method] ** (unit / depth) * 0.8**unit for unit in range(0 if stem else 1, depth + 1)
    }
    return study.run(method, nc1=nc1 | {"penultimate": DROP[method]}, **more)


def collapses(datasets=("Aircraft",), units=(1, 3), seeds=1, stem=True, depth=4):
    study = Study()
    for dataset, unit in itertools.product(datasets, units):
        study.panel(f"{dataset}, unit {unit}", dataset=dataset, depth=depth)
        for method, seed in itertools.product(DROP, range(seeds)):
            by_unit(study, method, stem, depth, units=[unit] if method in TUNES else [], seed=seed)
    return study


def test_collapse_is_tabulated_by_unit_with_the_penultimate_feature_last():
    table = collapse_by_unit.tabulate(*collapses(seeds=2).both())
    assert len(table) == 2 * 4 * 6
    for (_, method), part in table.groupby(["panel", "method"]):
        assert part["unit"].tolist() == [0, 1, 2, 3, 4, 5]
        assert part["module"].tolist() == ["stem", "u1", "u2", "u3", "u4", "penultimate"]
        expected = [40 * DROP[method] ** (unit / 4) * 0.8**unit for unit in range(5)]
        np.testing.assert_allclose(part["nc1"], [*expected, DROP[method]])
        np.testing.assert_allclose(part["nc1_shuffled"] - part["nc1"], 50)
        np.testing.assert_allclose(part["nc1_std"], 0, atol=1e-12)
        assert set(part["seeds"]) == {2}
    assert table.groupby("panel")["tuned"].unique().map(list).tolist() == [["1"], ["3"]]


def test_collapse_is_drawn_on_a_log_axis_with_the_tuned_unit_marked():
    table, figure = collapses().draw(collapse_by_unit)
    assert words(figure) == ["LP", "Layer FT", "SCL FT", "Full FT", "tuned unit"]
    for axes, (name, part), tuned in zip(figure.axes, table.groupby("panel"), (1, 3), strict=True):
        assert axes.get_yscale() == "log"
        assert axes.get_title(loc="left") == f"({name}) Aircraft, unit {tuned}"
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "1", "2", "3", "4", "pen."]
        drawn = curves(axes)
        assert set(drawn["tuned unit"].get_xdata()) == {tuned}
        apart = axes.get_xticks()[-1]
        for series, rows in part.groupby("name"):
            np.testing.assert_allclose(drawn[series].get_xydata(), rows[["unit", "nc1"]].iloc[:-1])
            (last,) = [line for line in axes.lines if line.get_label() == f"_{series}"]
            np.testing.assert_allclose(last.get_xydata(), [[apart, rows["nc1"].iloc[-1]]])
            assert last.get_color() == drawn[series].get_color()
        assert apart > 5
        low, high = axes.get_ylim()
        assert low < part["nc1"].min()
        assert part["nc1"].max() < high
    assert "stem" in figure.axes[0].get_xlabel()
    nothing_is_cut_off(figure)


def test_collapse_without_a_stem_starts_at_the_first_unit():
    (axes,) = collapses(stem=False, units=(2,)).draw(collapse_by_unit)[1].axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "2", "3", "4", "pen."]
    drawn = curves(axes)["LP"].get_xydata()
    assert drawn[np.isfinite(drawn[:, 1]), 0].tolist() == [1, 2, 3, 4]
    assert axes.get_xlabel() == "Unit"


def test_data_sets_of_as_many_panels_have_a_row_each_that_shares_its_axis():
    _, figure = collapses(("DTD", "Pet"), (1, 2, 3, 4)).draw(collapse_by_unit)
    tops = [round(axes.get_position().y1, 3) for axes in figure.axes]
    assert len(set(tops[:4])) == len(set(tops[4:])) == 1
    assert tops[0] > tops[4]
    assert len({axes.get_ylim() for axes in figure.axes[:4]}) == 1
    assert [bool(axes.get_ylabel()) for axes in figure.axes] == [True, False, False, False] * 2
    nothing_is_cut_off(figure)


def test_seeds_show_as_a_band_that_a_log_axis_can_hold():
    study = Study().panel("A")
    for seed, factor in enumerate((0.1, 1, 9)):  # spread wider than the mean
        study.run(
            "lp", nc1={unit: factor * unit for unit in (1, 2, 3, 4)} | {"penultimate": factor}, seed=seed
        )
    table, figure = study.draw(collapse_by_unit)
    np.testing.assert_allclose(table["nc1_std"].iloc[-1], np.std([0.1, 1, 9], ddof=1))
    (axes,) = figure.axes
    (band,) = [found for found in axes.collections if type(found).__name__ == "FillBetweenPolyCollection"]
    vertices = band.get_paths()[0].vertices
    mean, std = table["nc1"].iloc[3], table["nc1_std"].iloc[3]
    assert vertices[:, 1].min() > 0
    assert vertices[:, 1].max() == pytest.approx(mean + std)
    assert axes.get_ylim()[0] > 0


def test_layer_lp_ends_at_its_tuned_unit_and_a_unit_without_nc1_is_a_gap():
    study = Study().panel("A").run("layer_lp", nc1={1: 9.0, 2: 8.0, "penultimate": 7.0})
    study.run("full_ft", nc1={0: 9.0, 1: 8.0, 3: 6.0, 4: 5.0, "penultimate": 4.0})
    (axes,) = study.draw(collapse_by_unit)[1].axes
    np.testing.assert_allclose(curves(axes)["Layer LP"].get_ydata(), [np.nan, 9, 8, np.nan, np.nan])
    np.testing.assert_allclose(curves(axes)["Full FT"].get_ydata(), [9, 8, np.nan, 6, 5])


def test_units_of_another_pooling_are_no_collapse_by_unit():
    study = collapses(units=(1,))
    study.panels[0]["pooling"] = "cls"
    with pytest.raises(
        DegenerateInputError, match=r"'Aircraft, unit 1', run 'run0'.*no nc1 of units pooled by 'cls'"
    ):
        collapse_by_unit.tabulate(*study.both())


def test_lines_that_hide_each_other_are_told_apart_by_their_widths():
    same = {unit: 9.0 - unit for unit in range(5)} | {"penultimate": 4.0}
    study = Study().panel("A")
    for method in ("lp", "layer_ft", "scl_ft", "full_ft"):
        study.run(method, nc1=same)
    (axes,) = study.draw(collapse_by_unit)[1].axes
    drawn = [line for name, line in curves(axes).items() if name != "tuned unit"]
    widths, marks = ([getattr(line, of)() for line in drawn] for of in ("get_linewidth", "get_markersize"))
    assert len(drawn) == 4
    assert all(
        wide - narrow > 0.7 for wide, narrow in itertools.pairwise(widths)
    )  # points: seen on its sides
    assert all(large > small for large, small in itertools.pairwise(marks))
    # each looks like its line in the legend
    handles = {line.get_label(): line for line in axes.figure.legends[0].get_lines()}
    assert [handles[line.get_label()].get_linewidth() for line in drawn] == widths


@pytest.mark.parametrize(("width", "rows"), [(6.75, 2), (3.25, 4)])
def test_titles_of_the_papers_panels_fit_on_one_line(width, rows):
    study = collapses(("Aircraft", "Pet"), (2, 5, 8, 11), depth=12)
    study.style = STYLE | {"width": width}
    _, figure = study.draw(collapse_by_unit)
    assert figure.axes[3].get_title(loc="left") == "(d) Aircraft, unit 11"
    assert not any("\n" in axes.get_title(loc="left") for axes in figure.axes)
    assert len({round(axes.get_position().y0, 3) for axes in figure.axes}) == rows
    nothing_is_cut_off(figure)


def test_a_title_wider_than_its_axes_is_broken():
    study = collapses(units=(1, 2, 3, 4))
    study.panels[1]["title"] = "ResNet18 from ImageNet-1k on Aircraft, unit 2"
    _, figure = study.draw(collapse_by_unit)
    title = figure.axes[1].get_title(loc="left")
    assert title.count("\n") >= 1
    assert title.replace("\n", " ") == "(b) ResNet18 from ImageNet-1k on Aircraft, unit 2"
    assert "\n" not in figure.axes[0].get_title(loc="left")
    nothing_is_cut_off(figure)


@pytest.mark.parametrize(
    ("kind", "drawn", "column", "ranges", "lines"),
    [
        ("collapse_by_unit", "collapses", "unit", {"nc1": (0.01, 900)}, 2),
        ("samples", "sampled", "per_class", {"per_class": (3, 316), "transfer_accuracy": (1, 99)}, 1),
        ("tuned_units", "tuned", "tuned", {"tuned": (1, 12), "transfer_accuracy": (1, 99)}, 1),
        ("tuned_unit_law", "law", "tuned", {"nc1": (0.01, 900), "transfer_accuracy": (1, 99)}, 4),
    ],
)
def test_a_published_window_frames_the_first_panel(kind, drawn, column, ranges, lines):
    module = globals()[kind]
    chosen, tables = globals()[drawn]().both()
    window = Window(panel="a", title=chosen.panels[0].title, ranges=ranges)
    framed = chosen.model_copy(update={"windows": (window,)})
    numbers = module.tabulate(chosen, tables)
    without, figure = (module.draw(numbers, settings) for settings in (chosen, framed))
    frames = [line for axes in figure.axes for line in axes.lines if line.get_gid() == "window"]
    assert len(frames) == lines
    for line in frames:
        low, high = line.axes.get_ylim()
        assert low <= min(line.get_ydata()) <= max(line.get_ydata()) <= high
    named = [
        [text.get_text() for legend in each.legends for text in legend.texts] for each in (without, figure)
    ]
    assert named[0] == named[1]  # a frame has no name


# ---------------------------------------------------------------- samples


def sampled(seeds=(0.0,)):
    study = Study()
    full = {3: 30.0, 10: 50.0, 100: 90.0}
    study.panel("ResNet18 on CIFAR-10")
    for n, seed in itertools.product(full, range(len(seeds))):
        study.run("full_ft", full[n] + seeds[seed], per_class=n, seed=seed)
        study.run("layer_ft", {3: 40.0, 10: 60.0, 100: 80.0}[n] + seeds[seed], per_class=n, seed=seed)
        study.run("lp", 95.0, per_class=n, seed=seed)
    study.panel("CLIP on CIFAR-100").run("zero_shot", 62.0, learning_rate=None, weight_decay=None)
    for n in (7, 17, 200):
        study.run("full_ft", 20.0 + n / 4, per_class=n).run("layer_ft", 10.0 + n / 4, per_class=n)
    return study


def test_samples_are_tabulated_with_where_full_fine_tuning_gets_ahead():
    table = samples.tabulate(*sampled((0.0, 1.0, 5.0)).both())
    part = table[(table["panel"] == "a") & (table["name"] == "Layer FT")]
    assert part["per_class"].tolist() == [3, 10, 100]
    np.testing.assert_allclose(part["transfer_accuracy"], [42, 62, 82])
    np.testing.assert_allclose(part["transfer_accuracy_std"], np.std([0, 1, 5], ddof=1))
    ahead = table.groupby(["panel", "name"])["full_ft_ahead_from"].first()
    assert ahead["a", "Layer FT"] == pytest.approx(10**1.5)  # half-way from 10 behind to 10 ahead
    assert np.isnan(ahead["a", "LP"])
    assert ahead["b", "Layer FT"] == 7
    assert np.isnan(ahead["b", "Zero-shot"])


@pytest.mark.parametrize(
    ("lead", "expected"), [([1, 1, 1], 1), ([-1, 1, -1], np.nan), ([-1, -1, 0], 100), ([1, -1, 1], 10**1.5)]
)
def test_full_fine_tuning_is_ahead_from_its_last_crossing(lead, expected):
    at = [1, 10, 100]
    np.testing.assert_allclose(crossing(np.array(at), -np.array(lead, float)), expected)


def test_samples_are_drawn_on_a_log_axis_ticked_at_their_numbers():
    _, figure = sampled((-1.0, 1.0)).draw(samples)
    left, right = figure.axes
    assert left.get_position().y0 == pytest.approx(right.get_position().y0)
    assert words(figure) == ["Full FT", "Layer FT", "LP", "Zero-shot"]
    for axes, numbers in ((left, [3, 10, 100]), (right, [7, 17, 200])):
        assert axes.get_xscale() == "log"
        assert axes.get_xticks().tolist() == numbers
        assert [tick.get_text() for tick in axes.get_xticklabels()] == [str(number) for number in numbers]
        assert len(axes.get_xticks(minor=True)) == 0
    np.testing.assert_allclose(curves(left)["Layer FT"].get_xydata(), [[3, 40], [10, 60], [100, 80]])
    level = curves(right)["Zero-shot"]
    assert set(level.get_ydata()) == {62}
    assert level.get_linestyle() == "--"
    assert left.get_ylim()[1] > 95
    bars = [found for found in left.collections if type(found).__name__ == "LineCollection"]
    spans = [np.ptp(segment[:, 1]) for found in bars for segment in found.get_segments()]
    np.testing.assert_allclose(sorted(spans), [0] * 3 + [2 * np.sqrt(2)] * 6, atol=1e-9)
    nothing_is_cut_off(figure)


def test_a_panel_says_what_it_is_told_to_say():
    study = (
        Study()
        .panel("A", note="no zero-shot without a text tower")
        .run("lp", per_class=3)
        .panel("B")
        .run("lp")
    )
    first, second = study.draw(samples)[1].axes
    assert [text.get_text() for text in first.texts] == ["no zero-shot without a text tower"]
    assert [text.get_text() for text in second.texts if text.get_text()] == []


def test_a_training_on_all_data_is_a_level_of_its_own():
    study = sampled()
    study.run("full_ft", 80.0)
    _, figure = study.draw(samples)
    drawn = curves(figure.axes[1])
    assert set(drawn["Full FT, all data"].get_ydata()) == {80}
    assert drawn["Full FT, all data"].get_color() == drawn["Full FT"].get_color()
    assert len(drawn["Full FT"].get_xdata()) == 3


# ---------------------------------------------------------------- tuned units


def tuned(seeds=1):
    study = Study().panel("Layer FT against Layer LP", depth=6, abscissa="unit")
    for unit, seed in itertools.product((5, 1, 3), range(seeds)):
        study.run("layer_ft", 80.0 + unit + seed, [unit], seed=seed)
        study.run("layer_lp", 60.0 + 4 * unit, [unit], seed=seed)
    study.panel("Number of tuned layers", depth=6, abscissa="count")
    study.run("full_ft", 92.0, share=100.0).run("scl_ft", 90.5, [4], share=8.0).run("lp", 84.0, share=0.1)
    return study.run("layer_ft", 91.0, [5, 6], share=16.0).run("layer_ft", 90.0, [4], share=8.0)


def test_units_are_tabulated_by_unit_or_by_count():
    table = tuned_units.tabulate(*tuned(seeds=2).both())
    unit, count = (part for _, part in table.groupby("abscissa", sort=False))
    assert unit[unit["method"] == "layer_ft"].set_index("tuned")["transfer_accuracy"].to_dict() == {
        5: 85.5, 1: 81.5, 3: 83.5,
    }  # fmt: skip
    assert sorted(zip(count["name"], count["tuned"], strict=True)) == [
        ("Full FT", 6), ("LP", 0), ("Layer FT", 1), ("Layer FT", 2), ("SCL FT", 1),
    ]  # fmt: skip


def test_accuracy_by_tuned_unit_is_a_line_a_method():
    left = tuned(seeds=2).draw(tuned_units)[1].axes[0]
    np.testing.assert_allclose(curves(left)["Layer FT"].get_xydata(), [[1, 81.5], [3, 83.5], [5, 85.5]])
    np.testing.assert_allclose(curves(left)["Layer LP"].get_xydata(), [[1, 64], [3, 72], [5, 80]])
    assert all(float(tick).is_integer() for tick in left.get_xticks())


def test_accuracy_by_count_has_the_share_on_a_second_axis_and_scl_as_a_star():
    _, figure = tuned().draw(tuned_units)
    _, axes, other = figure.axes
    path = next(line for line in axes.lines if len(line.get_xdata()) == 4)
    np.testing.assert_allclose(path.get_xydata(), [[0, 84], [1, 90], [2, 91], [6, 92]])
    np.testing.assert_allclose(other.lines[0].get_xydata(), [[0, 0.001], [1, 0.08], [2, 0.16], [6, 1]])
    assert other.get_ylim() == (0, 1.05)
    (star,) = [line for line in axes.lines if line.get_marker() == "*"]
    np.testing.assert_allclose(star.get_xydata(), [[1, 90.5]])
    assert sorted(words(figure)) == ["Full FT", "LP", "Layer FT", "Layer LP", "SCL FT", "share of parameters"]
    nothing_is_cut_off(figure)


def test_what_tunes_no_single_unit_is_a_level_by_unit_and_several_units_are_refused():
    study = (
        Study().panel("A", abscissa="unit").run("layer_ft", 80.0, [1]).run("lp", 70.0).run("full_ft", 90.0)
    )
    (axes,) = study.draw(tuned_units)[1].axes
    assert set(curves(axes)["LP"].get_ydata()) == {70}
    assert set(curves(axes)["Full FT"].get_ydata()) == {90}
    study.run("layer_ft", 80.0, [1, 2])
    with pytest.raises(DegenerateInputError, match=r"'A', run 'run3': tunes units 1 2; it must tune one"):
        tuned_units.tabulate(*study.both())


def test_two_units_of_one_count_cannot_be_told_apart():
    study = Study().panel("A", abscissa="count").run("layer_ft", 80.0, [1]).run("layer_ft", 81.0, [2])
    with pytest.raises(DegenerateInputError, match=r"'A', runs 'run0', 'run1'"):
        tuned_units.tabulate(*study.both())


# ---------------------------------------------------------------- the law over tuned units


def law(count=4, units=6, seeds=(-0.1, 0.1)):
    rng = np.random.default_rng(0)
    study = Study()
    for name in ("Aircraft", "DTD", "Pet", "CIFAR-100")[:count]:
        study.panel(name, dataset=name, depth=units)
        for unit, nc1 in zip(range(units, 0, -1), rng.uniform(1, 2, units), strict=True):
            for seed, more in enumerate(seeds):
                study.run("layer_ft", 80 - 5 * nc1 + rng.normal() + more, [unit], nc1=nc1 + more, seed=seed)
    return study


def test_the_law_correlates_means_over_units():
    table = tuned_unit_law.tabulate(*law().both())
    for _, part in table.groupby("panel"):
        assert part["tuned"].tolist() == [1, 2, 3, 4, 5, 6]
        assert set(part["seeds"]) == {2}
        np.testing.assert_allclose(part["nc1_std"], np.std([-0.1, 0.1], ddof=1))
        r = stats.pearsonr(part["nc1"], part["transfer_accuracy"])
        np.testing.assert_allclose(part["pearson"], r.statistic)
        np.testing.assert_allclose(part["pearson_low"], r.confidence_interval().low)
        rho = stats.spearmanr(part["nc1"], part["transfer_accuracy"]).statistic
        np.testing.assert_allclose(part["spearman"], rho)


def test_the_law_is_drawn_on_two_axes_with_its_correlation():
    table, figure = law().draw(tuned_unit_law)
    firsts, seconds = figure.axes[:4], figure.axes[4:]
    assert len({round(axes.get_position().x0, 2) for axes in firsts}) == 2  # 2 x 2
    for axes, other, (_, part) in zip(firsts, seconds, table.groupby("panel"), strict=True):
        np.testing.assert_allclose(axes.lines[0].get_xydata(), part[["tuned", "nc1"]])
        np.testing.assert_allclose(other.lines[0].get_xydata(), part[["tuned", "transfer_accuracy"]])
        assert to_hex(axes.lines[0].get_color()) == STYLE["nc1_color"].lower()
        assert to_hex(other.yaxis.label.get_color()) == STYLE["accuracy_color"].lower()
        (note,) = axes.texts
        row = part.iloc[0]
        interval = f"[{row['pearson_low']:.2f}, {row['pearson_high']:.2f}]"
        assert unsigned(note) == f"r = {row['pearson']:.2f} {interval}, n = 6"
        box = note.get_window_extent()
        for side, value in ((axes, "nc1"), (other, "transfer_accuracy")):
            tops = part[["tuned"]].assign(top=part[value] + part[f"{value}_std"]).to_numpy(float)
            assert side.transData.transform(tops)[:, 1].max() < box.y0
    assert len(words(figure)) == 2
    nothing_is_cut_off(figure)


def test_a_law_of_one_unit_has_no_correlation_and_still_draws():
    _, figure = law(count=1, units=1).draw(tuned_unit_law)
    assert figure.axes[0].texts[0].get_text() == "n = 1"


@pytest.mark.parametrize(("units", "said"), [(3, False), (4, True)])
def test_a_law_of_fewer_than_four_units_tells_no_correlation(units, said):
    _, figure = law(count=1, units=units).draw(tuned_unit_law)
    assert ("r = " in figure.axes[0].texts[0].get_text()) == said


def test_a_law_takes_one_method_that_tunes_one_unit():
    study = law(count=1).run("full_ft", nc1=1.0)
    with pytest.raises(DegenerateInputError, match=r"'Aircraft', run .*: tunes no unit; it must tune one"):
        tuned_unit_law.tabulate(*study.both())
    study = law(count=1).run("scl_ft", nc1=1.0)
    with pytest.raises(DegenerateInputError, match=r"'Aircraft': shows one method, not Layer FT, SCL FT"):
        tuned_unit_law.tabulate(*study.both())


# ---------------------------------------------------------------- tables


def written(kind, study, folder):
    """Numbers, what a reader sees, rows of the Markdown, and the LaTeX."""
    chosen, found = study.both()
    numbers = kind.tabulate(chosen, found)
    readable = kind.present(numbers, chosen)
    paths = [folder / f"table.{suffix}" for suffix in ("csv", "md", "tex")]
    save_table(numbers, readable, *paths, "abc123")
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in paths[1].read_text("utf-8").splitlines()
        if line.startswith("|")
    ]
    return numbers, readable, [rows[0], *rows[2:]], paths[2].read_text("utf-8")


def compared(seeds=3):
    """Table 3 of the paper for two of its columns, and a zero-shot accuracy in one of them."""
    study = Study()
    for title, dataset, rows in (
        ("ResNet50, CIFAR-10", "CIFAR-10", {"lp": (85.41, 1.81, 0.09), "layer_ft": (94.6, 0.29, 6.52), "full_ft": (95.25, 0.04, 100.0)}),
        ("ViT_B & co, Pet", "Pet", {"lp": (92.67, 0.66, 0.03), "layer_ft": (93.28, 0.33, 8.13), "full_ft": (93.28, 0.14, 100.0)}),
    ):  # fmt: skip
        study.panel(title, dataset=dataset)
        for (method, (accuracy, nc1, share)), seed in itertools.product(rows.items(), range(seeds)):
            study.run(method, accuracy + 0.1 * (seed - seeds // 2), nc1=nc1, share=share, seed=seed)
    return study.run("zero_shot", 80.0, learning_rate=None, weight_decay=None, share=0.0)


def test_the_methods_table_has_three_blocks_with_the_best_and_second_marked(tmp_path):
    _, _, rows, latex = written(methods, compared(), tmp_path)
    assert rows[0] == ["Method", "ResNet50, CIFAR-10", "ViT_B & co, Pet"]
    assert [row[0] for row in rows[1:]] == [
        "*Transfer accuracy (%), mean ± std over 3 seeds*", "LP", "Layer FT", "Full FT", "Zero-shot",
        "*NC1 of the penultimate feature on the training data*", "LP", "Layer FT", "Full FT", "Zero-shot",
        "*Share of parameters trained (%)*", "LP", "Layer FT", "Full FT", "Zero-shot",
    ]  # fmt: skip
    accuracy, nc1, share = rows[2:6], rows[7:11], rows[12:16]
    assert [row[1] for row in accuracy] == ["85.41 ± 0.10", "<u>94.60 ± 0.10</u>", "**95.25 ± 0.10**", DASH]
    # two are best, so there is no second
    assert [row[2] for row in accuracy] == [
        "92.67 ± 0.10",
        "**93.28 ± 0.10**",
        "**93.28 ± 0.10**",
        "80.00 [75.80, 83.63]",
    ]
    assert [row[1] for row in nc1] == ["1.81 ± 0.00", "<u>0.290 ± 0.000</u>", "**0.0400 ± 0.0000**", DASH]
    assert [row[2] for row in nc1][-1] == DASH
    assert [row[2] for row in share] == ["0.03", "8.13", "100.00", "0.00"]
    assert r"Method & ResNet50, CIFAR-10 & ViT\_B \& co, Pet \\" in latex
    assert r"\multicolumn{3}{l}{\textit{Transfer accuracy (\%), mean $\pm$ std over 3 seeds}} \\" in latex
    assert r"Layer FT & \underline{94.60 $\pm$ 0.10} & \textbf{93.28 $\pm$ 0.10} \\" in latex
    assert latex.count(r"\midrule") == 3
    assert "digest abc123" in latex


def test_the_methods_csv_holds_both_features_of_scl_and_the_correlation():
    study = compared().panel("SCL").run("scl_ft", 90.0, nc1=1.0, summed=3.0).run("lp", 80.0, nc1=2.0)
    table = methods.tabulate(*study.both())
    scl = table[table["method"] == "scl_ft"].iloc[0]
    assert scl[["samples", "classes", "width"]].tolist() == [500, 5, 16]
    assert (scl["nc1"], scl["nc1_summed"], scl["cdnv"], scl["seeds"]) == (1, 3, 1.5, 1)
    first = table[table["panel"] == "a"]
    np.testing.assert_allclose(
        first["pearson"], stats.pearsonr(first["nc1"], first["transfer_accuracy"]).statistic
    )
    second = table[table["panel"] == "b"]  # zero-shot has no NC1
    there = second.dropna(subset="nc1")
    np.testing.assert_allclose(
        second["spearman"], stats.spearmanr(there["nc1"], there["transfer_accuracy"]).statistic
    )
    assert table[table["panel"] == "c"]["pearson"].isna().all()


def test_a_methods_table_of_one_seed_has_intervals_over_test_images(tmp_path):
    _, _, rows, _ = written(methods, compared(seeds=1), tmp_path)
    assert rows[1][0] == "*Transfer accuracy (%)*"
    assert [cell.partition(" ")[0] for cell in rows[2][1:]] == ["85.41", "92.67"]
    assert rows[2][1] == "85.41 [81.61, 88.53]"  # Wilson's, of 400 images


def test_an_nc1_too_small_for_decimals_is_no_zero():
    study = Study().panel("A").run("lp", nc1=0.00012).run("full_ft", nc1=0.00011)
    readable = methods.present(methods.tabulate(*study.both()), study.settings())
    assert [str(cell) for cell in readable["A"]][4:6] == ["1.2e-04", "1.1e-04"]
    assert readable["A"][5] == Cell("1.1e-04", Emphasis.BEST)


RATES = {  # in use, and published
    "layer_ft": {"in_use": (0.05, 5e-4), "published": (0.05, 1e-4)},
    "lp": {"in_use": (0.05, 1e-4), "published": (0.05, 1e-4)},
}


@pytest.mark.parametrize("kind", [methods, search, tasks])
def test_two_panels_of_one_title_are_refused(kind):
    more = {"validation": 9, "rates": RATES} if kind is search else {}
    study = Study().panel("A", **more).run("lp", nc1=1.0).panel("A", **more).run("lp", nc1=1.0)
    with pytest.raises(DegenerateInputError, match="two panels have the title 'A'"):
        kind.tabulate(*study.both())


def searched():
    study = Study()
    for panel, best in (("ResNet50", (0.05, 5e-4)), ("ViT", None)):
        study.panel(panel, dataset="CIFAR-10", validation=500, rates=RATES)
        for (rate, decay), seed in itertools.product(itertools.product((0.1, 0.05), (5e-4, 1e-4)), (0, 1)):
            asked = {"learning_rate": rate, "weight_decay": decay, "seed": seed}
            study.run("layer_ft", 90.0 + ((rate, decay) == best) + seed, **asked)
            study.run("lp", (0.1 + 0.2 if seed else 0.3) + 80, **asked)
    return study


def test_a_search_chooses_the_best_mean_and_of_ties_the_smaller_values(tmp_path):
    table, _, rows, latex = written(search, searched(), tmp_path)
    assert len(table) == 16
    chosen = table[table["chosen"]].set_index(["panel", "method"])
    assert chosen.loc[("a", "layer_ft"), ["learning_rate", "weight_decay"]].tolist() == [0.05, 5e-4]
    for tie in [("b", "layer_ft"), ("a", "lp"), ("b", "lp")]:
        assert chosen.loc[tie, ["learning_rate", "weight_decay"]].tolist() == [0.05, 1e-4]
    assert set(table["seeds"]) == {2}
    assert rows[0] == ["Method", "Learning rate", "Weight decay", "Validation accuracy (%), mean ± std over 2 seeds",
                       "Over the grid (%)", "Grid", "Published", "In use"]  # fmt: skip
    where = "chosen on 500 images held out of the training split of CIFAR-10"
    assert rows[1] == [f"*ResNet50: {where}*", *[""] * 7]
    grid = "{0.05, 0.1} x {0.0001, 0.0005}"
    assert rows[2] == ["Layer FT", "0.05", "0.0005", "91.50 ± 0.71", "90.50 to 91.50", grid, "0.05, 0.0001",
                       "0.05, 0.0005 (ours)"]  # fmt: skip
    assert rows[5][:3] == ["Layer FT", "0.05", "0.0001"]
    assert rows[5][-1] == "0.05, 0.0005 (other)"
    assert rows[3][-1] == "0.05, 0.0001 (ours and published)"
    assert rf"\textit{{ViT: {where}}}" in latex


def test_a_searchs_csv_says_where_each_pair_comes_from():
    table = search.tabulate(*searched().both())
    assert (table["split"] == "held out of train").all()
    assert (table["validation"] == 500).all()
    assert "transfer_accuracy" not in table  # the test split has no part in a choice
    first = table[(table["panel"] == "a") & (table["method"] == "layer_ft")]
    assert first["in_use_weight_decay"].unique().tolist() == [5e-4]
    assert first["published_weight_decay"].unique().tolist() == [1e-4]
    study = searched()
    for panel in study.panels:
        panel["rates"] = {method: {"in_use": None, "published": None} for method in RATES}
    numbers = search.tabulate(*study.both())
    assert numbers["in_use_learning_rate"].isna().all()
    assert set(search.present(numbers, study.settings())["In use"]) == {"", DASH}


def vtab(seeds=1, methods=("layer_ft", "layer_lora")):
    accuracies = {
        "Cifar100": (56.7, 64.3, 50.0),
        "Caltech101": (95.0, 94.7, 94.9),
        "DTD": (67.3, 67.34, 60.0),
    }
    study = Study()
    for task, values in accuracies.items():
        study.panel(task, dataset=task)
        for (method, value), seed in itertools.product(zip(methods, values, strict=False), range(seeds)):
            study.run(method, value + seed, rank=96 if method == "layer_lora" else None, seed=seed)
    return study


def test_the_tasks_table_compares_methods_task_by_task_and_on_average(tmp_path):
    table, _, rows, latex = written(tasks, vtab(), tmp_path)
    assert rows == [
        ["Transfer accuracy (%)", "Layer FT", "Layer LoRA (rank 96)"],
        ["Cifar100", "56.7 [51.8, 61.5]", "**64.3 [59.5, 68.8]**"],
        ["Caltech101", "**95.0 [92.4, 96.7]**", "94.7 [92.0, 96.5]"],
        ["DTD", "**67.3 [62.6, 71.7]**", "**67.3 [62.6, 71.8]**"],  # equal as shown
        ["Average", "73.0", "**75.4**"],
    ]
    lora = table[table["method"] == "layer_lora"]
    np.testing.assert_allclose(lora["difference"], [-7.6, 0.3, -0.04, -7.34 / 3], atol=1e-9)
    assert table[table["method"] == "layer_ft"]["difference"].isna().all()
    assert r"Cifar100 & 56.7 [51.8, 61.5] & \textbf{64.3 [59.5, 68.8]} \\" in latex


def test_a_second_best_task_is_marked_among_three_methods_only(tmp_path):
    _, _, rows, _ = written(tasks, vtab(methods=("layer_ft", "layer_lora", "full_ft")), tmp_path)
    assert rows[1][1:] == ["<u>56.7 [51.8, 61.5]</u>", "**64.3 [59.5, 68.8]**", "50.0 [45.1, 54.9]"]
    assert rows[2][1].startswith("**95.0 ")
    assert rows[2][3].startswith("<u>94.9 ")


def test_an_average_spreads_over_seeds_and_needs_every_task(tmp_path):
    study = vtab(seeds=3)
    table, _, rows, _ = written(tasks, study, tmp_path)
    average = table[table["title"] == "Average"]
    np.testing.assert_allclose(average["transfer_accuracy_std"], 1)
    assert rows[-1] == ["Average", "74.0 ± 1.0", "**76.4 ± 1.0**"]
    study.panels[0]["runs"] = [run for run in study.panels[0]["runs"] if run["method"] != "layer_lora"]
    _, _, rows, _ = written(tasks, study, tmp_path)
    assert rows[1][1:] == ["57.7 ± 1.0", DASH]
    assert rows[-1][1:] == ["74.0 ± 1.0", DASH]


def test_one_task_has_no_average():
    study = vtab()
    study.panels = study.panels[:1]
    assert "Average" not in set(tasks.tabulate(*study.both())["title"])


@pytest.mark.parametrize(
    ("scores", "reasons"),
    [
        ([1, 3, 2], [None, Emphasis.BEST, Emphasis.SECOND]),
        ([1, 2], [None, Emphasis.BEST]),
        ([3], [None]),
        ([2, 3, 3], [None, Emphasis.BEST, Emphasis.BEST]),
        ([2, 3, 2], [Emphasis.SECOND, Emphasis.BEST, Emphasis.SECOND]),
        ([np.nan, 1, np.nan], [None, None, None]),
        ([np.nan, -1, -2, -3], [None, Emphasis.BEST, Emphasis.SECOND, None]),
        ([], []),
    ],
)
def test_cells_are_emphasised_by_rank(scores, reasons):
    cells = emphasised([str(score) for score in scores], scores)
    assert [getattr(cell, "emphasis", None) for cell in cells] == reasons
    assert [str(cell) for cell in cells] == [str(score) for score in scores]


def test_a_cell_says_its_spread_or_that_it_has_none():
    assert spread(1.25, 0.5, 2, ".1f") == "1.2 ± 0.5"
    assert spread(1.25, 0.0, 1, ".2f") == "1.25"
    assert spread(np.nan, np.nan, 3, ".2f") == DASH
    assert [seeds_in_words(seeds) for seeds in ([1, 1], [3, 3], [1, 3], [2, 3])] == [
        "", ", mean ± std over 3 seeds", ", mean ± std over 3 seeds", ", mean ± std over 2 to 3 seeds",
    ]  # fmt: skip


def test_a_marked_cell_is_escaped_like_any_other(tmp_path):
    readable = pd.DataFrame(
        {"a_b": [Cell("x & y_1", Emphasis.HEADING), "50 % {c}"], "#": ["", Cell("5 % ± 1", Emphasis.BEST)]}
    )
    paths = [tmp_path / f"table.{suffix}" for suffix in ("csv", "md", "tex")]
    save_table(readable, readable, *paths, "abc123")
    latex = paths[2].read_text("utf-8").splitlines()
    assert latex[3] == r"a\_b & \# \\"
    assert latex[5] == r"\multicolumn{2}{l}{\textit{x \& y\_1}} \\"
    assert latex[6] == r"50 \% \{c\} & \textbf{5 \% $\pm$ 1} \\"


# ---------------------------------------------------------------- files

FIGURES = {
    "collapse": (collapse_by_unit, lambda: collapses(seeds=2)),
    "samples": (samples, lambda: sampled((0.0, 1.0))),
    "tuned_units": (tuned_units, lambda: tuned(seeds=2)),
    "law": (tuned_unit_law, lambda: law(count=1)),
}
TABLES = {"methods": (methods, compared), "search": (search, searched), "tasks": (tasks, vtab)}


@pytest.mark.parametrize("name", FIGURES | TABLES)
def test_figures_and_tables_are_the_same_bytes_every_time(name, tmp_path):
    kind, study = (FIGURES | TABLES)[name]
    numbers, path = written_twice_alike(kind, lambda: study().both(), tmp_path)
    accuracy = "validation_accuracy" if name == "search" else "transfer_accuracy"
    np.testing.assert_allclose(pd.read_csv(path.with_suffix(".csv"))[accuracy], numbers[accuracy])


def test_a_legend_of_long_names_stays_within_the_figure():
    study = Study()
    for title in "AB":
        study.panel(title)
        for unit, rate, n in itertools.product((1, 2, 3), (0.1, 0.05), (3, 10)):
            study.run("layer_ft", 50.0 + unit, [unit], learning_rate=rate, per_class=n)
    _, figure = study.draw(samples)
    assert "Layer FT (unit 1, learning rate 0.1)" in words(figure)
    nothing_is_cut_off(figure)
