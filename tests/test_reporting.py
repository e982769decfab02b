"""Fits against numpy and scipy, figure 3: the plotted numbers, and files that are the same every time."""

import csv
import json
import platform
import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from pictures import drawn, written_twice_alike
from project import STYLE
from scipy import stats

from nctransfer.errors import DegenerateInputError
from nctransfer.intervals import pearson_interval
from nctransfer.reporting import table_cells
from nctransfer.reporting.figures.layerwise import figure as layerwise
from nctransfer.reporting.fits import correlation, fit_line, fit_parabola
from nctransfer.reporting.output import save_figure, save_numbers, save_page, save_sidecar, save_table
from nctransfer.reporting.panels import break_texts
from nctransfer.reporting.scorecard.findings import read_numbers
from nctransfer.stamp import Stamp
from nctransfer.storage.files import file_checksum

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
VERSION = tomllib.loads(PROJECT.read_text())["project"]["version"]


def settings(panels=1, pooling="avg", **more):
    panel = {"model": "m", "view": "v", "pooling": pooling, "title": "M on V"}
    told = {"kind": "layerwise", "panels": [panel] * panels, "tables": [], "style": STYLE, "seed": 1}
    return layerwise.SETTINGS.read(told | {"learning_rate": 0.1, "weight_decay": 1e-4} | more)


def tables(units=6, seeds=(1, 2)):
    """Tables in which accuracy falls exactly linearly with NC1, with decoys that no figure may show."""
    collapse, accuracy = [], []
    for unit in range(units + 1):  # 0 is the stem
        nc1 = 2.0 * (units + 1 - unit)
        sizes = {"samples": 50, "classes": 5, "dropped_classes": 0, "width": 8, "rank": 4}
        for split, pooling, metric, value in [
            ("train", "avg", "nc1", nc1),
            ("train", "avg", "nc1_shuffled", 30.0),
            ("test", "avg", "nc1", -1.0),
            ("train", "cls", "nc1", -2.0),
            ("train", "avg", "cdnv", -3.0),
        ]:
            collapse.append(
                {"model": "m", "view": "v", "split": split, "unit": unit, "module": f"u{unit}", "pooling": pooling,
                 "metric": metric, "value": value, **sizes}
            )  # fmt: skip
        for rate, seed in [(0.1, seed) for seed in seeds] + [(0.5, 1)]:
            for split, value in [("train", 99.0), ("test", 90 - nc1 + seed if rate == 0.1 else 0.0)]:
                accuracy.append(
                    {"unit": unit, "module": f"u{unit}", "pooling": "avg", "learning_rate": rate,
                     "weight_decay": 1e-4, "seed": seed, "split": split, "samples": 500,
                     "accuracy": value, "right_with_last": 300}
                )  # fmt: skip
    return {("metrics", "m", "v"): pd.DataFrame(collapse), ("probes", "m", "v"): pd.DataFrame(accuracy)}


def test_a_fit_is_scipys_and_its_interval_covers_it():
    rng = np.random.default_rng(0)
    x = rng.normal(size=16)
    y = 3 - 2 * x + rng.normal(size=16)
    line, reference = fit_line(x, y), stats.linregress(x, y)
    assert line["slope"] == pytest.approx(reference.slope)
    assert line["intercept"] == pytest.approx(reference.intercept)
    assert line["r2"] == pytest.approx(reference.rvalue**2)
    assert line["r2_low"] < line["r2"] < line["r2_high"]


@pytest.mark.parametrize(("x", "y"), [([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [5, 5, 5]), ([1], [1])])
def test_a_constant_has_no_r2(x, y):
    assert np.isnan(fit_line(np.array(x), np.array(y))["r2"])


def test_a_parabola_is_numpys_and_turns_where_its_derivative_vanishes():
    rng = np.random.default_rng(1)
    x = rng.uniform(0.2, 1.8, 10)
    y = 78 - 10 * (x - 1) ** 2 + rng.normal(scale=0.5, size=10)
    parabola = fit_parabola(x, y, seed=0)
    reference = np.polynomial.Polynomial.fit(x, y, 2).convert()
    np.testing.assert_allclose(
        [parabola["constant"], parabola["slope"], parabola["curvature"]], reference.coef
    )
    assert parabola["turn"] == pytest.approx(reference.deriv().roots()[0])
    residual = y - reference(x)
    assert parabola["r2"] == pytest.approx(1 - (residual @ residual) / ((y - y.mean()) @ (y - y.mean())))
    assert parabola["turn_low"] < parabola["turn"] < parabola["turn_high"]
    assert parabola["maximum"]
    assert parabola["inside"]
    assert parabola == fit_parabola(x, y, seed=0)
    assert parabola["turn_low"] != fit_parabola(x, y, seed=1)["turn_low"]


def test_the_interval_of_a_turn_is_the_bootstraps_of_numpys_parabolas():
    rng = np.random.default_rng(2)
    x = rng.uniform(0, 2, 12)
    y = -((x - 1) ** 2) + rng.normal(scale=0.1, size=12)
    rows = np.random.default_rng(7).integers(0, 12, (400, 12))
    fits = [np.polynomial.Polynomial.fit(x[r], y[r], 2).convert() for r in rows]
    turns = np.array([fit.deriv().roots()[0] for fit in fits if fit.coef[2] < 0])
    parabola = fit_parabola(x, y, seed=7, resamples=400)
    np.testing.assert_allclose(
        [parabola["turn_low"], parabola["turn_high"]], np.percentile(turns, [2.5, 97.5]), rtol=1e-6
    )
    inside = (turns >= x.min()) & (turns <= x.max())
    assert parabola["turn_share"] == pytest.approx(inside.sum() / 400)
    assert parabola["turn_share"] > 0.95


def test_resamples_of_a_straight_line_do_not_agree_on_a_turn():
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 2, 10)
    shares = [
        fit_parabola(x, x + rng.normal(scale=0.3, size=10), seed=0, resamples=300)["turn_share"]
        for _ in range(20)
    ]
    assert np.mean(shares) < 0.6


def test_a_parabola_of_far_away_points_loses_no_digits():
    x = np.array([0.0, 1.0, 2.0, 4.0]) + 1e4
    parabola = fit_parabola(x, (x - 10001.5) ** 2, seed=0)
    assert parabola["turn"] == pytest.approx(10001.5)
    assert not parabola["maximum"]
    assert parabola["inside"]
    assert not fit_parabola(x, (x - 9000.0) ** 2, seed=0)["inside"]


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([0.1, 0.7, 0.1, 0.7, 0.1], [1, 2, 3, 4, 0]),
        ([1, 2, 1, 2], [1, 2, 3, 4]),
        ([1, 1, 1], [1, 2, 3]),
        ([1], [1]),
        ([1, 2, 3, 4], [5] * 4),
    ],
)
def test_a_parabola_without_a_turn_says_so(x, y):
    parabola = fit_parabola(np.array(x), np.array(y), seed=0)
    assert np.isnan([parabola["turn"], parabola["turn_low"], parabola["turn_high"], parabola["r2"]]).all()
    assert not parabola["inside"]
    assert not parabola["maximum"]


def test_three_points_have_a_turn_without_an_interval():
    parabola = fit_parabola(np.array([0.0, 1.0, 3.0]), np.array([1.0, 2.0, -4.0]), seed=0)
    assert parabola["r2"] == pytest.approx(1)
    assert np.isfinite(parabola["turn"])
    assert np.isnan(parabola["turn_low"])


def test_a_correlation_is_numpys_with_its_interval():
    rng = np.random.default_rng(4)
    x = rng.normal(size=10)
    y = -x + rng.normal(size=10)
    found = correlation(x, y)
    r = np.corrcoef(x, y)[0, 1]
    assert found["pearson"] == pytest.approx(r)
    assert (found["pearson_low"], found["pearson_high"]) == pearson_interval(found["pearson"], 10)
    ranks = np.argsort(np.argsort(x)), np.argsort(np.argsort(y))
    assert found["spearman"] == pytest.approx(np.corrcoef(*ranks)[0, 1])


@pytest.mark.parametrize(
    ("x", "y"),
    [([1, 1, 1, 1], [1, 2, 3, 4]), ([1, 2, 3], [0.1 + 0.2, 0.3, 0.3]), ([1, 2], [3, 4]), ([1], [1])],
)
def test_a_correlation_with_a_constant_or_of_two_points_has_no_value(x, y):
    found = correlation(np.array(x, float), np.array(y, float))
    assert np.isnan([found["pearson"], found["pearson_low"], found["pearson_high"], found["spearman"]]).all()


def test_the_numbers_are_those_of_the_units_asked_for():
    table = layerwise.tabulate(settings(), tables())
    assert list(table["unit"]) == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(table["nc1"], [12, 10, 8, 6, 4, 2])
    np.testing.assert_allclose(table["transfer_accuracy"], 90 - table["nc1"] + 1.5)  # mean over seeds 1 and 2
    np.testing.assert_allclose(table["transfer_accuracy_std"], np.std([1, 2], ddof=1))
    np.testing.assert_allclose(table["nc1_slope"], -1)
    np.testing.assert_allclose(table["nc1_r2"], 1)
    log = stats.linregress(np.log10(table["nc1"]), table["transfer_accuracy"])
    np.testing.assert_allclose(table["log_nc1_r2"], log.rvalue**2)


def test_a_pooling_without_units_is_named():
    with pytest.raises(DegenerateInputError, match=r"M on V.*patch_mean"):
        layerwise.tabulate(settings(pooling="patch_mean"), tables())


def shown(found=None, **asked):
    """Numbers and picture."""
    return drawn(layerwise, settings(**asked), tables() if found is None else found)


def dots(axes):
    """Points of axes, without their bars."""
    return [found for found in axes.collections if isinstance(found, PathCollection)]


@pytest.mark.parametrize("fit", ["nc1", "log_nc1"])
def test_the_picture_shows_the_numbers(fit):
    table, figure = shown(panels=2, fit=fit)
    left, right = figure.axes[0], figure.axes[1]
    part = table[table["panel"] == "a"]
    np.testing.assert_allclose(left.lines[0].get_xydata(), part[["unit", "nc1"]])
    assert to_hex(left.lines[0].get_color()) == STYLE["nc1_color"].lower()
    (points,) = dots(right)
    offsets = points.get_offsets()
    np.testing.assert_allclose(offsets, part[["nc1", "transfer_accuracy"]])
    assert right.get_xscale() == ("log" if fit == "log_nc1" else "linear")
    line = right.lines[0].get_xydata()
    x = np.log10(line[:, 0]) if fit == "log_nc1" else line[:, 0]
    row = part.iloc[0]
    np.testing.assert_allclose(line[:, 1], row[f"{fit}_intercept"] + row[f"{fit}_slope"] * x)
    assert f"{row[f'{fit}_r2']:.3f}" in right.texts[0].get_text()


def test_a_published_window_frames_accuracy_against_nc1():
    window = {"panel": "a", "title": "M on V", "ranges": {"nc1": (5, 30), "transfer_accuracy": (45, 70)}}
    left, right = shown(windows=[window])[1].axes[:2]
    (frame,) = [line for line in right.lines if line.get_gid() == "window"]
    assert {*map(tuple, frame.get_xydata())} == {(5, 45), (30, 45), (30, 70), (5, 70)}
    assert "window" not in [line.get_gid() for line in left.lines]


def test_a_png_may_show_another_figure_than_the_pdf(tmp_path):
    _, framed = shown()
    framed.axes[0].set_facecolor("red")
    for name, other in (("plain", None), ("framed", framed)):
        files = tmp_path / f"{name}.pdf", tmp_path / f"{name}.png"
        save_figure(shown()[1], *files, 60, "abc123", other)
    assert (tmp_path / "plain.pdf").read_bytes() == (tmp_path / "framed.pdf").read_bytes()
    assert (tmp_path / "plain.png").read_bytes() != (tmp_path / "framed.png").read_bytes()


def test_units_without_a_relation_have_no_line_and_three_have_no_r():
    unrelated = tables()
    probes = unrelated["probes", "m", "v"]
    probes["accuracy"] = probes["unit"].map({1: 80.0, 2: 85.0, 3: 79.0, 4: 84.0, 5: 81.0, 6: 83.0})
    right = shown(unrelated)[1].axes[1]
    assert len(right.lines) == 0
    assert right.texts[0].get_text().startswith("r = ")
    right = shown(tables(units=3))[1].axes[1]
    assert len(right.lines) == 0
    assert right.texts[0].get_text() == "n = 3"


def crowded(nc1):
    """Units with this NC1, from the shallowest."""
    found = tables(units=len(nc1))
    collapse = found["metrics", "m", "v"]
    shown = (collapse["metric"] == "nc1") & (collapse["split"] == "train") & (collapse["unit"] > 0)
    collapse.loc[shown & (collapse["pooling"] == "avg"), "value"] = nc1
    return found


@pytest.mark.parametrize("width", [6.75, 3.25])
def test_units_that_lie_close_together_are_enlarged_where_they_hide_none(width):
    found = crowded([20.0, 12.0, 10.0, 3.4, 3.3, 3.2, 3.1, 3.0])
    table, figure = shown(found, style=STYLE | {"width": width})
    right = figure.axes[1]
    (inset,) = right.child_axes
    (points,), (enlarged,) = dots(right), dots(inset)
    close = table[table["nc1"] < 3.4].sort_values("nc1")
    np.testing.assert_allclose(enlarged.get_offsets(), close[["nc1", "transfer_accuracy"]])
    np.testing.assert_allclose(enlarged.get_array(), close["unit"])
    assert enlarged.get_clim() == points.get_clim() == (1, 8)  # a unit has one colour
    frame = inset.get_window_extent()
    assert not any(frame.contains(*right.transData.transform(place)) for place in points.get_offsets())


def test_units_that_are_spread_out_are_not_enlarged():
    assert not shown()[1].axes[1].child_axes


HOSTILE = [
    "a|b", "<script>x</script>", "*x*", "_y_", "a_b", "[x](y)", "&lt;", "a\nb", "`c`", "50 %", "$5", "R&D", "#1", "{x}", "~", "\\n",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("look", [str, lambda text: table_cells.Cell(text, table_cells.Emphasis.BEST)])
def test_no_text_is_taken_for_markup(tmp_path, text, look):
    readable = pd.DataFrame({"Name": [look(text), "plain"], text: ["1", "2"]})
    files = [tmp_path / f"t.{suffix}" for suffix in ("csv", "md", "tex", "html")]
    save_table(pd.DataFrame({"x": [1]}), readable, *files[:3], "abc123")
    save_page(readable, files[3], text, "abc123")
    shown = MarkdownIt("commonmark").enable("table").render(files[1].read_text())
    for page in (shown, files[3].read_text()):
        table = ElementTree.fromstring(re.search("<table.*</table>", page, re.DOTALL)[0])
        rows = [[" ".join("".join(cell.itertext()).split()) for cell in row] for row in table.iter("tr")]
        expected = " ".join(text.split())
        assert rows == [["Name", expected], [expected, "1"], ["plain", "2"]]
        assert "<script>" not in page
    assert not re.search(r"(?<!\\)[|<>]", files[2].read_text().replace("{|", ""))


@pytest.mark.parametrize(
    "text", ["=1+1", "=cmd|' /C calc'!A0", "@SUM(1)", "+x", "-x", "-2+3+cmd", "\t=1", "\r=1"]
)
def test_no_text_in_a_csv_is_a_formula_of_a_spreadsheet(tmp_path, text):
    table = pd.DataFrame({"title": [text, "-1.5", "+2e-3", "CIFAR-10", None], "value": [-1.5, 2, 3, 4, 5]})
    save_numbers(table, tmp_path / "n.csv")
    with (tmp_path / "n.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    first = re.sub(r"[\t\r]", " ", text)
    assert rows[1:] == [
        [f"'{first}", "-1.5"],
        ["-1.5", "2.0"],
        ["+2e-3", "3.0"],
        ["CIFAR-10", "4.0"],
        ["", "5.0"],
    ]


def test_line_breaks_do_not_break_a_table(tmp_path):
    readable = pd.DataFrame(
        [table_cells.heading("H\nI", 2), ["A\nB", "1"], table_cells.heading("J", 2), ["C", "2"]]
    )
    readable.columns = ["Name", "x\ny"]
    files = [tmp_path / f"t.{suffix}" for suffix in ("csv", "md", "tex")]
    save_table(pd.DataFrame({"x": [1]}), readable, *files, "abc123")
    lines = [line for line in files[2].read_text().splitlines() if "&" in line or "multicolumn" in line]
    assert lines == [
        "Name & x y \\\\", "\\multicolumn{2}{l}{\\textit{H I}} \\\\", "A B & 1 \\\\",
        "\\multicolumn{2}{l}{\\textit{J}} \\\\", "C & 2 \\\\",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "title",
    [
        r"Accuracy of $\alpha \beta$ model_a_b $\gamma \delta$", r"on $\rightarrow$ and $\lambda = 10^{-4} \cdot 2$",
        r"$y = a_0 + b$ for run_1_2 with $\eta = 10^{-2} x$", r"costs \$5 to \$6 a well-known b_c_d $a-b-c$",
    ],
)  # fmt: skip
@pytest.mark.parametrize("inches", [1.5, 2.4, 6])
def test_no_line_of_a_title_ends_within_a_formula(title, inches):
    figure = Figure(figsize=(inches, 2))
    ax = figure.add_subplot()
    ax.set_title(title, loc="left")
    break_texts(figure, [ax])
    figure.draw_without_rendering()
    lines = ax.get_title(loc="left").splitlines()
    assert " ".join(lines).replace("- ", "-") == title
    assert all(line.replace(r"\$", "").count("$") % 2 == 0 for line in lines)


def test_texts_come_back_from_a_csv_as_they_were(tmp_path):
    table = pd.DataFrame(
        {"panel": list("abcdef"), "title": ["+aug", "=x", "'q'", "-", "+", "none"], "value": 1.5}
    )
    save_numbers(table, tmp_path / "n.csv")
    assert read_numbers(tmp_path / "n.csv")["title"].tolist() == table["title"].tolist()
    assert "\nd,-,1.5\n" in (tmp_path / "n.csv").read_text()


def test_files_are_the_same_bytes_every_time_with_embedded_fonts_and_digest(tmp_path):
    table, path = written_twice_alike(layerwise, lambda: (settings(), tables()), tmp_path)
    pdf = path.with_suffix(".pdf").read_bytes()
    assert b"/Subtype /Type3" not in pdf
    assert b"/FontType 42" in pdf or b"/CIDFontType2" in pdf
    assert b"digest abc123; nctransfer " + VERSION.encode() + b"; matplotlib " in pdf
    assert b"digest abc123; nctransfer " + VERSION.encode() in path.with_suffix(".png").read_bytes()
    assert b"CreationDate" not in pdf
    pd.testing.assert_frame_equal(pd.read_csv(path.with_suffix(".csv")), table, check_dtype=False)


def test_a_sidecar_says_what_made_a_figure_the_same_every_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs = {"table_0": "results/b.parquet", "table_1": "results/a.parquet", "file": "mine.csv"}
    stamp = Stamp("abc123", "c0de", "t01d", {"table_0": "2", "table_1": "1"}, ("a1", "b2"))
    files = [Path("figures/fig3.csv"), Path("figures/fig3.json")]
    files[0].parent.mkdir()
    files[0].write_text("a\n")
    written = set()
    for given in (inputs, dict(reversed(inputs.items()))):
        save_sidecar(files[1], "fig3", "layerwise", stamp, given, files, seed=1)
        written.add(files[1].read_bytes())
    assert len(written) == 1
    found = json.loads(written.pop())
    libraries = found.pop("libraries")
    assert libraries["pandas"] == version("pandas")
    assert {"numpy", "scipy", "matplotlib", "seaborn", "torch"} < set(libraries)
    assert found == {
        "name": "fig3", "kind": "layerwise", "seed": 1, "package": {"nctransfer": VERSION},
        "python": platform.python_version(), "stamp": stamp.to_json(),
        "inputs": {"../results/a.parquet": "1", "../results/b.parquet": "2"},
        "files": {"fig3.csv": file_checksum(files[0])},
    }  # fmt: skip


def test_a_page_emphasises_heads_and_escapes_and_loads_nothing(tmp_path):
    best, second = (
        table_cells.Cell("5 < 6", table_cells.Emphasis.BEST),
        table_cells.Cell("4 ± 1", table_cells.Emphasis.SECOND),
    )
    readable = pd.DataFrame(
        [[table_cells.Cell("A & B", table_cells.Emphasis.HEADING), "", ""], ["<script>", best, second]],
        columns=["Method", "C<1>", "D"],
        dtype=object,
    )
    save_page(readable, tmp_path / "t.html", "Table 3", "abc123")
    text = (tmp_path / "t.html").read_text("utf-8")
    assert "<h1>Table 3</h1>" in text
    assert '<th class=block colspan="3">A &amp; B</th>' in text
    assert "<td><strong>5 &lt; 6</strong></td><td><u>4 ± 1</u></td>" in text
    assert '<th scope="row">&lt;script&gt;</th>' in text
    assert "C&lt;1&gt;" in text
    assert f"digest abc123; nctransfer {VERSION}" in text
    assert not re.search(r"src=|href=|url\(|@import", text)
