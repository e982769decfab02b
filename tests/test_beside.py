"""Tables beside published numbers."""

import re

import numpy as np
import pandas as pd
import pytest
from pictures import paper
from project import ROOT, Project

from nctransfer import variants
from nctransfer.config.load import load
from nctransfer.dag.plan import Plan
from nctransfer.errors import ConfigError, DegenerateInputError
from nctransfer.reporting import tables
from nctransfer.reporting.beside import INDENT, present_beside, with_published
from nctransfer.reporting.scorecard.findings import read_numbers
from nctransfer.reporting.table_cells import MISSING, Cell, Emphasis

PAPER = ROOT / "config" / "published" / "paper"
BESIDE = {"table2": "few_shot", "table3": "methods", "table5": "tasks", "tableB": "pretraining"}


def published(**columns):
    return pd.DataFrame({"title": ["one", "two"], "method": "lp"} | columns)


def ours(**columns):
    return pd.DataFrame({"title": ["two", "three", "one"], "method": "lp", "seeds": 1} | columns)


def plain(numbers):
    """A readable form of numbers of which each row is a line."""
    shown = numbers[["title", "nc1"]].copy()
    shown["nc1"] = [f"{value:.2f}" if np.isfinite(value) else MISSING for value in shown["nc1"]]
    return shown


def test_published_numbers_stand_in_the_rows_that_they_name():
    found = with_published(
        ours(nc1=[1.0, 2.0, 3.0]), published(nc1=[2.5, 0.5], nc1_std=[0.1, np.nan], other=1)
    )
    assert found["nc1_published"].tolist()[::2] == [0.5, 2.5]
    assert found["nc1_difference"].tolist()[::2] == [0.5, 0.5]
    assert found.loc[1, ["nc1_published", "nc1_difference", "nc1_std_published"]].isna().all()
    assert "other_published" not in found
    assert found["nc1"].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (published(nc1=[1, 2]).assign(title="one"), "list one, lp more than once"),
        (published(loss=[1, 2]), "they need one of title, .* and one of accuracy, "),
        (pd.DataFrame({"nc1": [1.0]}), "they need one of title"),
    ],
)
def test_published_numbers_that_name_no_row_or_value_are_refused(theirs, words):
    with pytest.raises(DegenerateInputError, match=words):
        with_published(ours(nc1=[1.0, 2.0, 3.0]), theirs)


def test_published_rows_and_differences_stand_below_ours():
    numbers = with_published(ours(nc1=[1.004, 2.0, 3.0]), published(nc1=[2.5, 0.5]))
    assert present_beside(numbers, plain).to_numpy().tolist() == [
        ["two", "1.00"],
        [INDENT + "published", "0.50"],
        [INDENT + "difference", "+0.50"],  # of the numbers as written
        ["three", "2.00"],
        ["one", "3.00"],
        [INDENT + "published", "2.50"],
        [INDENT + "difference", "+0.50"],
    ]


@pytest.mark.parametrize(
    ("own", "other", "difference"),
    [
        ("84.10 ± 0.20", "85.41 ± 0.01", "-1.31"),
        (Cell("0.3", Emphasis.BEST), "0.291", "+0.009"),
        ("1.0e-05", "0.001", "-9.9e-04"),
        (MISSING, "0.5", MISSING),
        ("0.5", MISSING, ""),
        ("12 of 17", "11", MISSING),
    ],
)
def test_a_difference_has_the_digits_of_the_numbers(own, other, difference):
    numbers = pd.DataFrame({"title": ["one"], "nc1": [1.0], "nc1_published": [1.0], "nc1_difference": [0.0]})
    forms = iter([own, other])
    found = present_beside(numbers, lambda part: pd.DataFrame([["one", next(forms), "1"]], dtype=object))
    assert found.iloc[2, 1] == difference


@pytest.mark.parametrize(("table", "kind"), BESIDE.items())
def test_the_papers_numbers_name_rows_of_the_papers_tables(table, kind):
    """What config.yaml compares: the numbers as if we had found them differ by nothing."""
    theirs = read_numbers(PAPER / f"{table}.csv")
    found = theirs.drop(columns="source").assign(series="", name=theirs.get("method"), episodes=600)
    seeds, columns = theirs.get("seeds", 1), ("transfer_accuracy", "nc1")
    spreads = {f"{column}_std": theirs.get(f"{column}_std", np.nan) for column in columns}
    found = found.assign(
        seeds=seeds, ways=5, nc1_dataset="CIFAR-100", split="train", model=theirs.get("label")
    )
    found = found.assign(**spreads)
    if kind == "few_shot":
        found = found.assign(accuracy_low=0.0, accuracy_high=1.0, nc1_query=np.nan)
    readable = present_beside(
        with_published(found, theirs),
        lambda part: variants.load(tables, kind, "table", ["present"]).present(part, None),
    )
    first = readable.iloc[:, 0].map(str)
    differences = readable[first == INDENT + "difference"].to_numpy()[:, 1:]
    assert (first == INDENT + "published").sum() == len(differences) > 3
    gaps = [float(cell) for cell in differences.flat if cell not in ("", MISSING)]
    assert len(gaps) >= len(theirs)
    assert set(gaps) == {0.0}


def test_config_yaml_shows_the_papers_numbers_and_an_overlay_can_leave_them_out(tmp_path):
    overlay = tmp_path / "own.yaml"
    overlay.write_text("study: own\ntables: {table3: {published: null}, tableB: {published: nowhere.csv}}\n")
    other = Plan(load(ROOT / "config.yaml", [overlay]), ROOT)
    for table in BESIDE:
        assert paper().table(table).inputs["published"].endswith(f"config/published/paper/{table}.csv")
    assert "published" not in other.table("table3").inputs
    with pytest.raises(ConfigError, match=r"tables\.tableB\.published: no file 'nowhere\.csv'"):
        other.table("tableB")


OWN = """
study: tiny
tables:
  tableB:
    published: own.csv
    panels: [{dataset: digits59, title: Digits, series: [{models: {Tiny: tiny}}]}]
figures:
  fig3: {panels: [{model: tiny, dataset: digits59, title: Tiny}]}
style: {windows: axes.csv, dpi: 60}
"""


@pytest.mark.slow
def test_a_run_shows_what_is_published(tmp_path):
    project = Project.fresh(tmp_path / "p")
    (project.folder / "own.yaml").write_text(OWN)
    (project.folder / "own.csv").write_text("panel,title,label,transfer_accuracy\na,Digits,Tiny,12.5\n")
    ends = "abscissa,abscissa_low,abscissa_high,ordinate,ordinate_low,ordinate_high"
    row = "fig3,a,Tiny,nc1,50,60,transfer_accuracy,10,20"
    (project.folder / "axes.csv").write_text(f"figure,panel,title,{ends}\n{row}\n")
    targets, options = ("tables/tiny/tableB", "figures/tiny/fig3.png"), ("--resources", "gpu=0")

    def run(*more):
        done = project.run(
            *targets, options=(*options, "--configfile", "tiny.yaml", "own.yaml", *more), overlay=None
        )
        assert done.returncode == 0, done.stdout + done.stderr
        files = [project.folder / f"figures/tiny/fig3.{suffix}" for suffix in ("pdf", "png")]
        return done.stdout + done.stderr, *(file.read_bytes() for file in files)

    _, pdf, png = run()
    numbers = pd.read_csv(project.folder / "tables/tiny/tableB.csv").iloc[0]
    assert numbers["transfer_accuracy_difference"] == numbers["transfer_accuracy"] - 12.5
    assert f"{INDENT}published" in project.read("tables/tiny/tableB.html")
    said, plain_pdf, plain_png = run("--config", "style={windows: null}")
    assert "rule table" not in said  # the style is the figures'
    assert plain_png != png
    content = [re.sub(rb"digest [0-9a-f]+", b"", file) for file in (pdf, plain_pdf)]
    assert content[0] == content[1]  # without a frame
