"""The scorecard: statistics against hand-made tables, verdicts, the paper's own numbers, broken input."""

import shutil
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from project import Project
from scipy import stats
from sklearn.datasets import load_digits

from nctransfer import variants
from nctransfer.config import claims
from nctransfer.config.load import load
from nctransfer.dag.plan import Plan
from nctransfer.dag.set_ups import PAPER
from nctransfer.errors import ConfigError, StoreError
from nctransfer.reporting import figures
from nctransfer.reporting import tables as tables_package
from nctransfer.reporting.scorecard import page, statistics, verdicts
from nctransfer.reporting.scorecard.findings import read_numbers, select, spearman_interval, welch
from nctransfer.reporting.scorecard.settings import JudgedClaimSettings

ROOT = Path(__file__).resolve().parents[1]
CLAIMS = claims.read_claims(claims.OWN)
TABLES = {
    f"published/paper/{path.name}": read_numbers(path)
    for path in sorted((ROOT / "config/published/paper").glob("*.csv"))
}


def measure(name, table, **options):
    """Findings of a statistic."""
    module = variants.load(statistics, name)
    return list(module.measure(table, module.Options.read(options)))


def panel(**columns):
    """A table of one panel."""
    return pd.DataFrame(columns).assign(panel="a", title="A")


def claim(**changes):
    """A claim as it is read, with changes."""
    base = {
        "row": "1", "claim": 1, "statement": "s", "where": ["fig"], "statistic": "difference", "effect": "points",
        "options": {"value": "y", "of": {"m": "b"}, "minus": {"m": "a"}}, "direction": "above", "threshold": 0,
        "source": "here",
    }  # fmt: skip
    return JudgedClaimSettings.read(base | changes)


def judged(table, **changes):
    """A claim judged on a table."""
    return verdicts.judge([claim(**changes)], {"fig": table}, {}, {"fig": PAPER})[0]


# --- the file of claims --------------------------------------------------------------------


def test_every_claim_of_the_paper_is_there():
    assert sorted({row.claim for row in CLAIMS}) == list(range(1, 28))
    assert len({row.row for row in CLAIMS}) == len(CLAIMS)


def test_claims_are_about_pictures_of_the_paper():
    plan = Plan(load(ROOT / "config.yaml"), ROOT)
    shown = {*plan.configuration.figures, *plan.configuration.tables}
    assert set(claims.pictures_read(CLAIMS)) <= shown


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "statistic: lead\n",
            "statistic: leed\n",
            "statistic: no 'leed' in statistics (did you mean 'lead'?)",
        ),
        (
            "statistic: lead\n",
            "statistic: lead\n  treshold: 1\n",
            "treshold: unknown key (did you mean 'threshold'?)",
        ),
        ("threshold: [0.5, 2]", "threshold: 0.5", "within takes two numbers"),
        ("threshold: [0.5, 2]", "threshold: [2, 0.5]", "the first must not exceed the second"),
        ("table: published/paper/fig3.csv", "table: published/fig3.csv", "published.table: no file"),
        (
            "direction: at_most\n  threshold: -1\n",
            "direction: under\n  threshold: -1\n",
            "'under' is not allowed",
        ),
        ("threshold: [0.5, 2]", "threshold: .nan", "nan is not a finite number"),
        ("threshold: [0.5, 2]", "threshold: 2024-05-01", "2024-05-01 is read as a date"),
        ("statistic: lead\n", "statistic: lead\n  1: x\n", "key 1 is no text; put it in quotes"),
    ],
)
def test_mistakes_in_claims_are_named(tmp_path, old, new, said):
    shutil.copytree(ROOT / "config/published", tmp_path / "published")
    text = claims.OWN.read_text()
    assert old in text
    (tmp_path / "claims.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as error:
        claims.read_claims(tmp_path / "claims.yaml")
    assert said in str(error.value)
    assert str(tmp_path / "claims.yaml") in str(error.value)


def test_a_list_is_asked_for(tmp_path):
    for text, words in (("claim: 1\n", "is not a list"), ("[]\n", "it must hold 1 or more")):
        (tmp_path / "claims.yaml").write_text(text)
        with pytest.raises(ConfigError, match=words):
            claims.read_claims(tmp_path / "claims.yaml")


# --- the paper's own numbers ---------------------------------------------------------------

# What the paper's tables give for each claim, worked out from the printed numbers by hand.
PUBLISHED = {
    "5": [-1.0, -1.0, -1.0, -1.0],
    "6b": [0.956, 0.946],
    "14": [9.67, 13.66, 27.74, 4.64, 1.18, 22.43, 2.88, 0.79],
    "15": [0.48, -0.09, 0.59, 0.89, 0.12, -0.03, 0.29, 0.18],
    "16": [0.17, 0.53, 10.95, 1.69, -5.82, 1.41, -0.39, 0.05],
    "17": [-0.97, -0.87, -0.97, -0.97, 0.05, -0.97, -0.56, -0.10],
    "18": [0.19, 0.56, 0.71, 1.25, -0.11, 0.69, 0.47, 1.04],
    "27a": [1.9],
    "27b": [11 / 17],
}


@pytest.mark.parametrize("row", PUBLISHED)
def test_statistics_give_the_paper_its_own_numbers(row):
    [one] = [entry for entry in CLAIMS if entry.row == row]
    found = verdicts._published(one, verdicts.read_options(one), TABLES)
    digits = 1 if row == "27a" else 2
    assert [round(each.effect, digits) for each in found] == [
        round(value, digits) for value in PUBLISHED[row]
    ]


def on_published(tables):
    """Verdicts of the claims whose tables the paper prints, on those tables."""
    printed = {Path(name).stem: table for name, table in tables.items() if name.split("/")[-1] != "fig3.csv"}
    there = [one for one in CLAIMS if set(one.where) <= set(printed)]
    found = verdicts.judge(there, printed, TABLES, dict.fromkeys(printed, PAPER))
    return {one.claim.row: one.verdict for one in found}


def test_the_papers_claims_hold_on_its_own_tables():
    found = on_published(TABLES)
    assert set(found) == {
        "5", "10a", "11", "14", "15", "16", "17", "18", "25a", "25b", "25c", "25d", "25e", "25f", "27a", "27b"
    }  # fmt: skip
    assert set(found.values()) == {verdicts.HOLDS}


def test_shuffled_numbers_flip_them():
    """Accuracies dealt out anew among the rows of each panel: what rests on their order falls."""
    generator = np.random.default_rng(0)
    shuffled = {}
    for name, table in TABLES.items():
        accuracy = "accuracy" if "accuracy" in table else "transfer_accuracy"
        dealt = table.copy()
        if accuracy in table:
            dealt[accuracy] = table.groupby("panel")[accuracy].transform(generator.permutation)
        shuffled[name] = dealt
    found = on_published(shuffled)
    assert {found[row] for row in ("5", "14", "15", "17", "18")} == {verdicts.FAILS}
    assert found["10a"] == verdicts.HOLDS  # of NC1 alone


# --- verdicts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "threshold", "gap", "verdict"),
    [
        ("above", 0, 1.0, "holds"),
        ("above", 0, -1.0, "does not hold"),
        ("above", 0, 0.0, "does not hold"),
        ("at_least", 1, 1.0, "holds"),
        ("at_most", 1, 1.0, "holds"),
        ("below", 1, 1.0, "does not hold"),
        ("within", [0, 2], 2.0, "holds"),
        ("within", [0, 2], 2.1, "does not hold"),
        ("within", [0, 2], -0.1, "does not hold"),
    ],
)
def test_directions(direction, threshold, gap, verdict):
    table = panel(m=["a", "b"], y=[5.0, 5.0 + gap])
    assert judged(table, direction=direction, threshold=threshold).verdict == verdict


def test_a_touching_number_is_not_beyond_its_threshold_by_rounding():
    table = panel(m=["a", "b"], y=[0.1, 0.1 + 0.2])
    assert judged(table, direction="at_most", threshold=0.2).verdict == verdicts.HOLDS


def four_panels(*gaps):
    """Panels in which b exceeds a by so much."""
    parts = [
        pd.DataFrame({"panel": name, "title": name.upper(), "m": ["a", "b"], "y": [0.0, gap]})
        for name, gap in zip("abcd", gaps, strict=False)
    ]
    return pd.concat(parts, ignore_index=True)


def test_the_deciding_part_is_the_last_that_is_needed():
    table = four_panels(3.0, 2.0, 1.0, -1.0)
    whole, most = judged(table), judged(table, share=0.75)
    assert (whole.verdict, whole.deciding.part, whole.deciding.effect) == (verdicts.FAILS, "D", -1.0)
    assert (most.verdict, most.deciding.part, most.needed) == (verdicts.HOLDS, "C", 3)


def test_parts_without_data_do_not_count():
    table = four_panels(3.0, np.nan)
    one = judged(table)
    assert (one.verdict, len(one.judged)) == (verdicts.HOLDS, 1)
    assert judged(four_panels(np.nan)).verdict == verdicts.UNKNOWN
    assert judged(four_panels(3.0), points=5).verdict == verdicts.UNKNOWN


def test_set_ups_of_all_pictures_are_told():
    table = four_panels(1.0)
    row = claim(where=["a", "b"], against="c")
    set_ups = {"a": PAPER, "c": "study x"}
    [one] = verdicts.judge([row], {"a": table.assign(view="v"), "c": table.assign(view="v")}, {}, set_ups)
    assert one.set_up == f"{PAPER}; study x; without b"


def test_what_is_not_in_the_run_has_not_enough_data():
    [one] = verdicts.judge([claim()], {}, {}, {})
    assert (one.verdict, one.set_up) == (verdicts.UNKNOWN, "not in this run")
    assert "not in this run" in one.deciding.note


def test_a_claim_holds_where_all_of_its_rows_do():
    table = four_panels(1.0)
    rows = [
        claim(row="1a"),
        claim(row="1b", threshold=2),
        claim(row="2", claim=2),
        claim(row="3", claim=3, points=9),
    ]
    found = verdicts.judge(rows, {"fig": table}, {}, {"fig": PAPER})
    assert verdicts.by_number(found) == {1: verdicts.FAILS, 2: verdicts.HOLDS, 3: verdicts.UNKNOWN}


def test_intervals_say_whether_they_agree():
    table = panel(m=["a", "b"], y=[0.0, 1.0], y_std=[0.1, 0.1], seeds=[3, 3])
    assert judged(table).certain is True
    assert judged(table, threshold=0.95).certain is False
    assert judged(table, threshold=2).certain is True  # surely not
    assert judged(panel(m=["a", "b"], y=[0.0, 1.0])).certain is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"of": "slope", "x": "a"}, "y: Field required; its options are: x, y, of"),
        (
            {"of": "slope", "x": "a", "y": "b", "z": "c"},
            "z: Extra inputs are not permitted; its options are: x, y, of",
        ),
        ({"of": "r3", "x": "a", "y": "b"}, "of: Input should be 'slope' or 'r2'"),
    ],
)
def test_a_wrong_or_missing_option_is_named_with_what_is_allowed(options, words):
    with pytest.raises(ConfigError) as error:
        judged(panel(a=[1.0], b=[1.0]), statistic="line", options=options)
    assert f"claim 1, statistic 'line', options: {words}" in str(error.value)


def test_a_missing_column_is_named():
    table = panel(m=["a", "b"], z=[0.0, 1.0])
    with pytest.raises(ConfigError, match="claim 1, fig, statistic 'difference': y; its options say"):
        judged(table)
    for field, wanted in (("only", {"k": "a"}), ("above", {"k": 1})):
        with pytest.raises(
            ConfigError, match=f"claim 1, fig: {field} names 'k'; there are: m, z, panel, title"
        ):
            judged(table, **{field: wanted})


# --- statistics ----------------------------------------------------------------------------


def test_correlations_agree_with_scipy():
    generator = np.random.default_rng(0)
    x = generator.normal(size=9)
    table = panel(x=x, y=-x + 0.3 * generator.normal(size=9))
    [pearson] = measure("correlation", table, x="x", y="y")
    known = stats.pearsonr(table.x, table.y)
    assert pearson.effect == pytest.approx(known.statistic)
    assert (pearson.low, pearson.high) == pytest.approx(tuple(known.confidence_interval(0.95)))
    [spearman] = measure("correlation", table, x="x", y="y", ranks=True)
    assert spearman.effect == pytest.approx(stats.spearmanr(table.x, table.y).statistic)
    assert spearman.low < spearman.effect < spearman.high


@pytest.mark.parametrize(("rho", "count"), [(0.5, 10), (0.5, 5), (0.8, 4)])
def test_rank_intervals_cover_as_often_as_they_say(rho, count):
    """Of 1,000 samples of so many points of two normals."""
    generator, covered = np.random.default_rng(0), 0
    truth = 6 / np.pi * np.arcsin(rho / 2)
    for _ in range(1000):
        x, y = generator.multivariate_normal([0, 0], [[1, rho], [rho, 1]], count).T
        low, high = spearman_interval(stats.spearmanr(x, y).statistic, count)
        covered += low <= truth <= high
    assert covered / 1000 > 0.93


def test_a_perfect_order_of_few_points_leaves_much_open():
    low, high = spearman_interval(-1.0, 4)
    assert low == -1
    assert high > 0.5
    assert spearman_interval(1.0, 20)[0] > 0.9


def test_welch_agrees_with_scipy():
    generator = np.random.default_rng(0)
    a, b = generator.normal(1, 1, 4), generator.normal(0, 3, 6)
    known = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    found = welch((a.mean(), a.std(ddof=1), 4), (b.mean(), b.std(ddof=1), 6))
    assert found == pytest.approx((known.low, known.high))


def test_gaps_of_correlations():
    x = np.arange(8.0)
    table = panel(x=x, other=np.array([3, 0, 6, 1, 7, 2, 5, 4.0]), y=-x)
    [found] = measure("correlation_gap", table, x="x", other="other", y="y")
    assert found.effect == pytest.approx(1 - abs(stats.pearsonr(table.other, table.y).statistic))
    assert found.low <= found.effect <= found.high
    assert measure("correlation_gap", table, x="x", other="x", y="y") == []
    [two] = measure("correlation_gap", table[:2], x="x", other="other", y="y")
    assert np.isnan(two.effect)
    assert two.note == "no correlation of 2 points"


def test_lines():
    table = panel(x=[0.0, 1, 2, 3], y=[5.0, 3, 1.1, -1])
    [slope], [r2] = (measure("line", table, x="x", y="y", of=of) for of in ("slope", "r2"))
    known = stats.linregress(table.x, table.y)
    assert slope.effect == pytest.approx(known.slope)
    assert slope.low < slope.effect < slope.high < 0
    assert r2.effect == pytest.approx(known.rvalue**2)


def test_orders():
    table = panel(m=["a", "b", "c"], y=[1.0, 2.0, 3.0])
    [found] = measure("order", table, along="m", order=["a", "b", "c"], value="y")
    assert found.effect == pytest.approx(1.5)
    [found] = measure("order", table, along="m", order=["b", "a", "c"], value="y")
    assert found.effect == pytest.approx(0.5)
    [found] = measure("order", table, along="m", order=["a", "d"], value="y")
    assert np.isnan(found.effect)
    assert found.note == "no rows of m d"


def test_places():
    table = panel(unit=[1, 2, 3, 4], nc1=[4.0, 1.0, 2.0, 3.0], accuracy=[10.0, 20.0, 25.0, 5.0], depth=4)
    [apart] = measure("same_place", table, place="unit", lowest="nc1", highest="accuracy")
    assert (apart.effect, apart.note) == (
        1.0,
        "lowest nc1 at unit 2, best at 3: choosing by it loses 5.00 points",
    )
    [place] = measure("place", table, place="unit", value="nc1")
    assert place.effect == 0.5
    [lost] = measure("shortfall", table, place="unit", value="accuracy", at=0.5)
    assert (lost.effect, lost.note) == (5.0, "unit 2 of 4")


def test_shares_of_steps():
    table = panel(x=[0, 1, 2, 3], y=[0.0, 5.0, 7.0, 6.25])
    [first] = measure("step_share", table, x="x", y="y", step="first")
    [last] = measure("step_share", table, x="x", y="y", step="last")
    assert (first.effect, last.effect) == pytest.approx((0.8, 0.12))
    falling = table.assign(y=-table["y"])
    assert measure("step_share", falling, x="x", y="y", step="first")[0].effect == 0
    assert measure("step_share", falling, x="x", y="y", step="last")[0].effect == 1
    [short] = measure("step_share", table.head(2), x="x", y="y", step="first")
    assert np.isnan(short.effect)


def test_turns():
    x = np.linspace(0, 2, 9)
    noise = 0.01 * np.random.default_rng(0).normal(size=9)
    hill, slope = panel(x=x, y=-((x - 1.2) ** 2) + noise), panel(x=x, y=x + noise)
    assert measure("turn", hill, x="x", y="y", of="place")[0].effect == pytest.approx(1.2, abs=0.05)
    assert measure("turn", hill, x="x", y="y", of="share")[0].effect > 0.95
    assert measure("turn", slope, x="x", y="y", of="share")[0].effect < 0.5
    valley = panel(x=x, y=(x - 0.8) ** 2 + noise)
    assert measure("turn", valley, x="x", y="y", of="share")[0].effect == 0
    assert measure("turn", valley, x="x", y="y", of="place")[0].effect == 2


def test_extremes():
    table = panel(m=["a", "b", "c"], y=[1.0, 2.0, 4.0])
    options = {"value": "y"}
    assert measure("extreme", table, which={"m": "a"}, end="lowest", **options)[0].effect == 1
    assert measure("extreme", table, which={"m": "c"}, end="highest", **options)[0].effect == 2
    assert measure("extreme", table, which={"m": "b"}, end="highest", **options)[0].effect == -2


def pairs():
    """Two methods at four places; a trails with growing distance."""
    rows = [(unit, "a", 1.0) for unit in range(1, 5)] + [(unit, "b", 1.0 + 5 - unit) for unit in range(1, 5)]
    return pd.DataFrame(rows, columns=["unit", "m", "y"]).assign(panel="a", title="A")


def test_differences_over_places():
    options = {"value": "y", "of": {"m": "b"}, "minus": {"m": "a"}}
    [mean] = measure("mean_difference", pairs(), over=["unit"], **options)
    known = stats.ttest_1samp([4, 3, 2, 1], 0).confidence_interval(0.95)
    assert (mean.effect, mean.low, mean.high) == pytest.approx((2.5, known.low, known.high))
    assert mean.note == "positive in 4 of 4"
    [trend] = measure("difference_trend", pairs(), place="unit", **options)
    assert trend.effect == -1
    [wins] = measure("wins", pairs(), over=["unit"], **options)
    assert (wins.effect, wins.points) == (1.0, 4)
    assert 0.5 < wins.low < 1
    [none] = measure("wins", pairs(), over=["unit"], value="y", of={"m": "z"}, minus={"m": "a"})
    assert np.isnan(none.effect)


def test_leads_say_where_they_end():
    table = panel(
        method=["layer_ft", "layer_ft", "scl_ft", "scl_ft", "full_ft", "full_ft", "zero_shot"],
        per_class=[3, 30, 3, 30, 3, 30, np.nan],
        transfer_accuracy=[50.0, 60.0, 70.0, 80.0, 40.0, 65.0, 45.0],
        full_ft_ahead_from=[15.0, 15.0, np.nan, np.nan, np.nan, np.nan, np.nan],
    )
    [found] = measure("lead", table, method="layer_ft")
    assert (found.effect, found.note) == (
        5.0,
        "+10.00 points with 3; full FT is ahead from about 15 samples a class on",
    )
    [never] = measure("lead", table, method="scl_ft")
    assert (never.effect, never.note) == (
        10.0,
        "+30.00 points with 3; ahead up to 30 samples a class, the most tried",
    )
    [other] = measure("lead", table, method="mlp")
    assert np.isnan(other.effect)
    # what is trained on nothing stands at no number of samples
    fewest = {"method": "full_ft", "per_class": "lowest"}
    [gap] = measure("difference", table, value="transfer_accuracy", of=fewest, minus={"method": "zero_shot"})
    assert gap.effect == -5.0


def test_every_statistic_has_a_claim():
    assert {one.statistic for one in CLAIMS} == set(variants.names(statistics))


def test_selections():
    table = panel(x=[1, 2, 2, 3], m=["a", "a", "b", "b"])
    assert len(select(table, {"x": "lowest"})) == 1
    assert select(table, {"m": "b", "x": "lowest"})["x"].tolist() == [2]
    assert len(select(table, {"x": (1, 3)})) == 2
    lacking = panel(x=[1, 2, np.nan])  # floats now
    assert select(lacking, {"x": 2}).index.tolist() == [1]
    large = panel(x=[1234567.0, 1234568.0, np.nan])  # told apart to the last digit
    assert select(large, {"x": 1234568}).index.tolist() == [1]


# --- files and pages -----------------------------------------------------------------------


def test_texts_that_look_like_nothing_are_read_as_they_are(tmp_path):
    path = tmp_path / "numbers.csv"
    path.write_text("panel,title,label,y\na,A,none,1\na,A,NA,\n")
    found = read_numbers(path)
    assert found["label"].tolist() == ["none", "NA"]
    assert found["y"].isna().tolist() == [False, True]


def test_a_table_without_panels_is_refused(tmp_path):
    path = tmp_path / "numbers.csv"
    path.write_text("x,y\n1,2\n")
    with pytest.raises(StoreError, match="has no column 'panel'"):
        read_numbers(path)


def test_pages_say_everything_and_load_nothing():
    table = four_panels(3.0, 2.0, 1.0, -1.0).assign(title="<b>&|")
    found = verdicts.judge(
        [claim(), claim(row="2", claim=2, points=9)], {"fig": table}, {}, {"fig": "study x"}
    )
    html = page.html(found, "x", PAPER)
    assert "&lt;b&gt;&amp;|" in html
    assert "<b>&|" not in html
    for needle in ("does not hold", "not enough data", "study x", "holds in 3 of 4"):
        assert needle in html
    assert "<script" not in html
    assert "src=" not in html
    text = page.markdown(found, "x", PAPER)
    assert all(
        line.count("|") - line.count("\\|") == 12 for line in text.splitlines() if line.startswith("|")
    )
    assert "No picture is of the paper's own set-up (study 'x')" in text


# --- the whole paper, on numbers made up ---------------------------------------------------


def made_up(name, model, view, plan):
    """A tidy table as its job would leave it, with random numbers, the same each time."""
    number = np.random.default_rng(zlib.crc32(f"{name}/{model}/{view}".encode()))
    if name == "finetuning":
        return pd.DataFrame(
            {
                "split": ["train", "test"], "accuracy": number.uniform(40, 90, 2), "loss": 1.0, "statistics": "update",
                "epochs": 200, "trained": 10, "parameters": 100, "share": 10.0,
            }
        )  # fmt: skip
    if name == "few_shot":
        return pd.DataFrame(
            {
                "model": model,
                "view": view,
                "shots": [1, 5],
                "accuracy": number.uniform(40, 90, 2),
                "nc1": number.uniform(1, 9),
            }
        )
    facts = plan.study.facts(model)
    places = [("unit", unit, pooling) for unit in range(facts.known.units + 1) for pooling in facts.poolings]
    places += [("penultimate", -1, ""), ("summed", -1, "")]
    columns = {
        key: [place[index] for place in places] for index, key in enumerate(("module", "unit", "pooling"))
    }
    base = pd.DataFrame(columns).assign(width=64, samples=500, classes=10, rank=9)
    if name == "metrics":
        parts = [base.assign(split="train", metric=metric) for metric in ("nc1", "nc1_shuffled", "cdnv")]
    else:
        parts = [
            base.assign(split=split, learning_rate=0.1, weight_decay=1e-4, seed=0)
            for split in ("train", "test")
        ]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(**{"value" if name == "metrics" else "accuracy": number.uniform(2.1, 90, len(table))})


def test_every_claim_finds_what_it_is_about_in_the_papers_pictures(tmp_path):
    """Its rows and columns, by the names that config.yaml gives them."""
    plan, tables = Plan(load(ROOT / "config.yaml"), ROOT), {}
    for key in claims.pictures_read(CLAIMS):
        section = "figures" if key in plan.configuration.figures else "tables"
        settings = plan.picture(section, key).settings
        read = {names: made_up(*names, plan) for names in settings.tables}
        package, part = (figures, "figure") if section == "figures" else (tables_package, "table")
        kind = variants.load(package, settings.kind, part)
        kind.tabulate(settings, read).to_csv(tmp_path / "numbers.csv", index=False)
        tables[key] = read_numbers(tmp_path / "numbers.csv")
    found = verdicts.judge(CLAIMS, tables, TABLES, dict.fromkeys(tables, PAPER))
    assert {one.claim.row for one in found if one.verdict == verdicts.UNKNOWN} == set()
    counts = {one.claim.row: len(one.judged) for one in found}
    few = {
        "1a": 4,
        "2": 3,
        "3a": 4,
        "4": 4,
        "5": 4,
        "6a": 2,
        "8": 1,
        "9": 1,
        "10a": 5,
        "11": 3,
        "12a": 2,
        "14": 8,
    }
    assert counts.items() >= few.items()
    few = {"19a": 1, "19b": 1, "20a": 2, "21a": 1, "22": 1, "23a": 1, "24a": 3, "25a": 1, "26a": 4, "27a": 1}
    assert counts.items() >= few.items()
    assert (counts["10b"], counts["13a"]) == (12, 96)  # panels; panels and methods
    assert {one.deciding.points for one in found if one.claim.row.startswith("27")} == {17}


# --- in the workflow -----------------------------------------------------------------------


def test_the_whole_paper_says_so_and_a_subset_does_not():
    own = Plan(load(ROOT / "config.yaml"), ROOT).scorecard()
    assert set(own.settings.set_ups.values()) == {PAPER}
    assert set(own.settings.pictures) == set(claims.pictures_read(CLAIMS))
    few = load(ROOT / "config.yaml", [], ["finetuning={epochs: 100}", "study=short"])
    runs = Plan(few, ROOT).scorecard().settings.set_ups
    assert runs["fig3"] == PAPER
    assert runs["table3"].startswith("not the paper's set-up: study short, 8 panels; CIFAR-10, ")


def test_only_pictures_that_are_there_can_be_asked_for(tmp_path):
    project = Project.fresh(tmp_path)
    run = project.run("results/tiny/scorecard.html", options=("-n", "--config", "report={pictures: [fig33]}"))
    assert run.returncode != 0
    assert "report.pictures[0]: no 'fig33' in figures and tables" in run.stdout + run.stderr


def test_a_report_of_some_pictures_needs_no_others(tmp_path):
    project = Project.fresh(tmp_path)
    (tmp_path / "tiny.yaml").write_text(project.read("tiny.yaml") + "report: {pictures: [fig3]}\n")
    planned = project.planned()
    assert (planned["figure"], planned["table"], planned["ranking"], planned["finetune"]) == (1, 0, 0, 0)
    assert planned["scorecard"] == planned["overview"] == planned["provenance"] == 1


OVERLAY = """
study: {name}
datasets:
  digits: {{source: digits}}
  down: {{source: arrays, train: {name}-train.npz, test: {name}-test.npz}}
models:
  base:
    source: pretraining
    architecture: small/resnet18
    options: {{width: 8}}
    size: 8
    dataset: digits
    training: {{epochs: 5, batch_size: 32, learning_rate: 5e-2, snapshot_every: 1}}
training: {{precision: float32}}
probes: {{epochs: 30}}
figures:
  fig2:
    panels:
      - {{dataset: down, series: [{{models: {{"1": base.epoch1, "2": base.epoch2, "3": base.epoch3, "4": base.epoch4, "5": base}}}}]}}
  fig3: {{panels: [{{model: base, dataset: down}}]}}
report: {{pictures: [fig2, fig3]}}
style: {{dpi: 60}}
resources: {{threads: 1, mem_mb: 500, runtime: 5}}
"""


@pytest.mark.slow
def test_shuffled_labels_flip_verdicts(tmp_path):
    """The same images twice, once with the labels of the training images dealt out anew."""
    project = Project.fresh(tmp_path)
    digits = load_digits()
    images = np.repeat((digits.images * 15.9).astype(np.uint8)[..., None], 3, axis=-1)
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = images[order], digits.target[order]
    found = {}
    for name, known in (("sound", labels), ("shuffled", np.random.default_rng(1).permutation(labels))):
        np.savez(tmp_path / f"{name}-train.npz", images=images[:1200], labels=known[:1200])
        np.savez(tmp_path / f"{name}-test.npz", images=images[1200:], labels=labels[1200:])
        (tmp_path / f"{name}.yaml").write_text(OVERLAY.format(name=name))
        run = project.run(f"results/{name}/scorecard.html", overlay=f"{name}.yaml")
        assert run.returncode == 0, run.stdout + run.stderr
        table = pd.read_csv(tmp_path / f"results/{name}/scorecard.csv").set_index("row")
        found[name] = table["verdict"].to_dict()
        runs = table.loc[["4", "6a", "6b", "7"], "set_up"]
        assert runs.str.startswith(f"not the paper's set-up: study {name}, 1 panel of the paper's ").all()
        assert table.loc["14", ["verdict", "set_up"]].tolist() == ["not enough data", "not in this run"]
    assert [found["sound"][row] for row in ("4", "6a", "6b")] == ["holds"] * 3
    assert [found["shuffled"][row] for row in ("4", "6b", "7")] == ["does not hold"] * 3
    assert project.planned("results/sound/scorecard.html", overlay="sound.yaml") == {}
