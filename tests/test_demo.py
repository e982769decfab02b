"""`make demo` as a person would type it, in a folder of its own."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from project import ROOT, Project

from nctransfer.config.load import load
from nctransfer.dag import cost
from nctransfer.dag.plan import Plan

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def make_demo(project: Project, target: str = "demo") -> subprocess.CompletedProcess:
    # -o: the environment is there already, that of these tests
    typed = ["make", "-o", ".venv/.ready", target]
    return subprocess.run(typed, cwd=project.folder, capture_output=True, text=True, check=False)


def build(project: Project, *targets: str) -> None:
    typed = [sys.executable, "-m", "snakemake", "-j2", "--resources", "gpu=0"]
    typed += ["--configfile", "config/demo.yaml", "--", *targets]
    run = subprocess.run(typed, cwd=project.folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def state(project: Project) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes())
        for path in project.folder.rglob("*")
        if path.is_file() and not {".snakemake", ".venv"} & set(path.relative_to(project.folder).parts)
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    project = Project.fresh(tmp_path_factory.mktemp("demo") / "p")
    shutil.copy2(ROOT / "Makefile", project.folder)
    (project.folder / ".venv").symlink_to(Path(sys.prefix))
    return project


def test_the_demo_draws_its_figure_and_then_has_nothing_to_do(project):
    run = make_demo(project)
    assert run.returncode == 0, run.stdout + run.stderr
    for suffix in ("pdf", "png", "csv"):
        assert (project.folder / f"figures/demo/fig3.{suffix}").is_file()
    table = pd.read_csv(project.folder / "figures/demo/fig3.csv")
    assert list(table["unit"]) == list(range(1, 17))
    assert table["nc1_slope"].iloc[0] < 0  # the paper's law: the lower NC1, the better the probe
    assert table["nc1_r2_low"].iloc[0] > 0.3  # a law that a reader believes, of a network that has learned
    assert table["transfer_accuracy"].max() > 85
    assert (table[["source_train_accuracy", "source_test_accuracy"]] > 95).all(axis=None)

    before = state(project)
    run = make_demo(project)
    assert run.returncode == 0
    assert "Nothing to be done" in run.stdout + run.stderr
    assert state(project) == before


def test_the_figures_of_pre_training_are_drawn_at_all_levels(project):
    names = ("fig1", "fig10", "untrained", "fig11", "fig12", "fig15")
    build(project, *(f"figures/demo/{name}.pdf" for name in names), "tables/demo/tableB.csv")
    levels = [f"digits04-{kind}{level}" for kind in ("aug", "adv") for level in range(1, 6)]
    first, fifteenth = (
        pd.read_csv(project.folder / f"figures/demo/{name}.csv") for name in ("fig1", "fig15")
    )
    for table in (first, fifteenth):
        assert [list(part["model"]) for _, part in table.groupby("panel")] == [levels, levels]
        assert table["nc1"].between(0.01, 10).all()
        assert table["transfer_accuracy"].between(60, 100).all()
    assert len(set(first["nc1"])) == 10  # on one data set
    assert len(set(fifteenth["nc1"])) == 20  # on each panel's own
    for table in (first, fifteenth):  # all have learned their source digits
        assert (table["source_shortfall"] == 0).all()
        assert table["source_train_accuracy"].min() > 90
        assert set(table["source_epochs"]) == {60}
    tenth = pd.read_csv(project.folder / "figures/demo/fig10.csv")
    source = dict(zip(tenth["model"], tenth["nc1"], strict=True))
    assert source["digits04-aug1"] == min(
        source.values()
    )  # nothing opposes collapse on what it sees again and again
    assert max(source, key=source.get).startswith("digits04-adv")  # the adversary does
    untrained = pd.read_csv(project.folder / "figures/demo/untrained.csv")
    trained = untrained["series"] != "Untrained"
    assert untrained["nc1"][~trained].min() > untrained["nc1"][trained].max()
    assert untrained["transfer_accuracy"][~trained].mean() < untrained["transfer_accuracy"][trained].min()
    losses = pd.read_csv(project.folder / "tables/demo/tableB.csv")
    assert list(losses["label"]) == [
        "MSE (w/o proj.)", "Cross-entropy (w/o proj.)", "SupCon (w/ linear proj.)", "SupCon (w/ mlp proj.)",
    ]  # fmt: skip
    nc1 = dict(zip(losses["label"], losses["nc1"], strict=True))
    assert (
        nc1["SupCon (w/ mlp proj.)"] > nc1["SupCon (w/ linear proj.)"]
    )  # the paper's: projection keeps diversity
    for name in names:
        assert (project.folder / f"figures/demo/{name}.png").stat().st_size > 10_000


def test_the_figures_of_models_that_are_there_are_drawn(project):
    build(project, "figures/demo/fig2.pdf", "figures/demo/fig4.pdf")
    second, fourth = (pd.read_csv(project.folder / f"figures/demo/{name}.csv") for name in ("fig2", "fig4"))
    assert [part["model"].nunique() for _, part in second.groupby("panel")] == [6, 6]
    assert (second["view"] == second["nc1_view"]).all()
    assert second["transfer_accuracy"].min() > 50  # every network has learned: chance is 20 % and 10 %
    assert (second["nc1_pearson"] < 0).all()  # the paper's: the lower NC1, the higher the accuracy
    assert [part["label"].nunique() for _, part in fourth.groupby("panel")] == [5, 5]
    assert (fourth["nc1_pearson"] < 0).all()
    assert set(fourth["classes"]) == {3, 5, 10}
    for name in ("fig2", "fig4"):
        assert (project.folder / f"figures/demo/{name}.png").stat().st_size > 10_000


def test_the_figures_and_tables_of_fine_tuning_are_drawn(project):
    figures, tables = ("fig7", "fig8", "fig9", "fig14", "fig16", "fig17"), ("table3", "table4", "table5")
    build(
        project,
        *(f"figures/demo/{name}.pdf" for name in figures),
        *(f"tables/demo/{name}.csv" for name in tables),
    )
    for name in figures:
        assert (project.folder / f"figures/demo/{name}.png").stat().st_size > 10_000
    methods = pd.read_csv(project.folder / "tables/demo/table3.csv")
    resnet = methods[methods["panel"] == "a"].set_index("method")
    assert resnet["nc1"]["full_ft"] < resnet["nc1"]["layer_ft"] < resnet["nc1"]["lp"]  # the paper's order
    assert resnet["transfer_accuracy"]["scl_ft"] > resnet["transfer_accuracy"]["lp"]
    assert (methods["seeds"] == 2).all()
    for name in tables:
        assert "|" in (project.folder / f"tables/demo/{name}.md").read_text()
        assert "tabular" in (project.folder / f"tables/demo/{name}.tex").read_text()


def test_six_models_are_ranked_by_model_and_by_unit(project):
    build(project, "rank")
    ranked = pd.read_parquet(project.folder / "results/demo/rank/digits59.parquet")
    units = ranked[ranked["comparison"] == "units"].groupby("model")["unit"].nunique()
    assert sorted(units) == [5, 5, 5, 7, 9, 17]  # all of them, and the last feature
    models = ranked[(ranked["comparison"] == "models") & (ranked["kind"] == "score")]
    assert models["value"].notna().all()  # every score of every model
    agreed = pd.read_parquet(project.folder / "results/demo/agreement/digits59.parquet")
    tau = agreed[agreed["comparison"] == "models"].set_index("name")["tau"]
    assert tau["nc1"] > 0.5  # the paper's claim
    for name in ("rank-digits59", "rank-digits59-units"):
        assert (project.folder / f"figures/demo/{name}.png").stat().st_size > 10_000
    assert "6 models: too few to tell" in (project.folder / "tables/demo/rank-digits59.md").read_text()


def test_the_few_shot_table_is_written(project):
    build(project, "tables/demo/table2.csv")
    table = pd.read_csv(project.folder / "tables/demo/table2.csv")
    one, five = (table[table["shots"] == shots].set_index("label") for shots in (1, 5))
    assert list(one.index) == ["ConvNet4", "ResNet12", "SEResNet12"]
    assert (one["accuracy_low"] > 30).all()  # chance is 20 %
    assert (five["accuracy_low"] > one["accuracy_high"]).all()


PAPER = {
    "figures": [f"fig{number}" for number in range(1, 18)],
    "tables": [*map("table{}".format, range(1, 6)), "tableB"],
}
SUFFIXES = {"figures": ("pdf", "png", "csv", "json"), "tables": ("csv", "md", "tex", "html", "json")}


def pictures(project: Project) -> dict[str, bytes]:
    """Every figure and table, and the scorecard: what two runs must have in common."""
    shown = project.contents("figures/demo", "tables/demo")
    cards = (project.folder / "results/demo").glob("scorecard*")
    return shown | {path.name: path.read_bytes() for path in cards}


def test_the_whole_paper_in_small_has_every_picture_and_tests_every_claim(project):
    run = make_demo(project, "demo-paper")
    assert run.returncode == 0, run.stdout + run.stderr
    for section, keys in PAPER.items():
        for key in keys:
            for suffix in SUFFIXES[section]:
                assert (project.folder / section / "demo" / f"{key}.{suffix}").stat().st_size > 0
    card = pd.read_csv(project.folder / "results/demo/scorecard.csv")
    assert sorted(set(card["claim"])) == list(range(1, 34))
    assert set(card["claim_verdict"]) == {"holds", "does not hold", "undecided", "not enough data"}
    # no digit has a text tower, nor an NC1 above 2
    assert {"19b", "24d"} <= set(card.loc[card["verdict"] == "not enough data", "row"])
    assert card["set_up"].str.startswith("not the paper's set-up: study demo").all()
    assert card.loc[card["verdict"] != "not enough data", "effect"].notna().all()
    assert (project.folder / "results/demo/report.html").stat().st_size > 1_000_000
    assert "scorecard.html" in (project.folder / "results/demo/REPORT.md").read_text()


def test_the_cost_model_foretells_the_time_of_most_jobs(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    plan = Plan(load(Path("config.yaml"), [Path("config/demo.yaml")]), project.folder)
    planned = cost.targets(plan, ["all"])["provenance"]
    ran = cost.records(plan)
    assert len(ran) > 0.9 * len(planned)
    price = cost.Prices(plan, cost.NO_GPU)
    ratios = [record["cpu_seconds"] / price.need(name).seconds for name, record in ran.items()]
    # the constants are of one machine, and another is faster or slower: docs/outputs.md has the factor there
    assert sum(1 / 3 < ratio < 3 for ratio in ratios) > 0.9 * len(ratios)


def test_what_it_shows_is_published_with_the_time_of_every_rule(project):
    typed = [sys.executable, "-m", "nctransfer", "publish", "shown", "--configfile", "config/demo.yaml"]
    run = subprocess.run(typed, cwd=project.folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    typed += ["--config", "probes={epochs: 3}"]  # of which there are no results
    refused = subprocess.run(typed, cwd=project.folder, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert re.match(r"error: not made, or not as planned: .*figures/demo/fig3.png", refused.stderr)
    assert "fig7.png" not in refused.stderr  # which shows no probe
    names = {path.name for path in (project.folder / "shown").iterdir()}
    assert {f"{key}.png" for key in PAPER["figures"]} | {f"{key}.md" for key in PAPER["tables"]} <= names
    assert {"scorecard.md", "run.md", "rank-digits59.png"} <= names
    page = (project.folder / "shown/run.md").read_text()
    (together,) = re.findall(
        r"^\| together \| ([\d,]+) \| .+ \| ([\d.]+) min \| ([\d.]+) min \|$", page, re.MULTILINE
    )
    assert int(together[0].replace(",", "")) > 400
    assert 1 / 3 < float(together[1]) / float(together[2]) < 3  # cores, and the estimate beside it
    assert {"`pretrain`", "`finetune`", "`figures/fig3`"} <= set(re.findall(r"`[\w/]+`", page))


def test_drawn_again_everything_is_the_same_to_the_byte(project):
    before = pictures(project)
    assert len(before) > 100
    shutil.rmtree(project.folder / "figures")
    shutil.rmtree(project.folder / "tables")
    for path in (project.folder / "results/demo").glob("scorecard*"):
        path.unlink()
    build(project, "all")
    assert pictures(project) == before
