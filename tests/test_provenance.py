"""What is told of a run: names and order of what is shown, jobs' lines in their logs, revision, the list with links."""

import html
import json
import logging
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from docutils.core import publish_parts
from jinja2 import Environment
from pictures import paper

from nctransfer import variants
from nctransfer.config import checks
from nctransfer.config.kinds import SECTIONS, kind_of
from nctransfer.config.load import load
from nctransfer.dag.plan import Plan
from nctransfer.dag.set_ups import PAPER, in_words
from nctransfer.reporting import provenance, titles
from nctransfer.reporting.overview import FIGURE_FILES, TABLE_FILES, overview
from nctransfer.reporting.settings import OverviewJobSettings
from nctransfer.runtime import job_log
from nctransfer.stamp import MadeWith, Stamp
from nctransfer.versions import revision

ROOT = Path(__file__).resolve().parents[1]


def test_names_and_their_order():
    keys = ["table4-clip", "fig10", "mine", "fig2", "tableB", "table4", "fig1", "a"]
    assert sorted(keys, key=titles.order) == [
        "fig1",
        "fig2",
        "table4",
        "table4-clip",
        "fig10",
        "tableB",
        "a",
        "mine",
    ]
    assert [titles.name_of(key) for key in ("fig2", "table4-clip", "tableB", "mine")] == [
        "Figure 2", "Table 4 (clip)", "Table B", "mine",
    ]  # fmt: skip
    figures = [titles.aligned_name(f"fig{number}") for number in (2, 10)]
    assert sorted(map(len, figures)) == [9, 9]
    assert figures[0].split() == ["Figure", "2"]


@pytest.mark.parametrize(("section", "part"), [("figures", "figure"), ("tables", "table")])
def test_every_kind_is_told_what_its_record_says(section, part):
    for name in variants.names(SECTIONS[section]):
        assert kind_of(section, name).settings is variants.load(SECTIONS[section], name, part).SETTINGS


def test_no_key_may_end_like_a_file_that_is_written():
    written = {*FIGURE_FILES.values(), *TABLE_FILES.values()}
    assert {f".{suffix}" for suffix in written} == set(checks.SUFFIXES)


def line(rule="figure", study="s", start="2026-01-01T00:00:00+00:00", seconds=1.0, host="h", **more):
    record = {"study": study, "rule": rule, "start": start, "seconds": seconds, "host": host, "threads": 1}
    return f"2026 INFO nctransfer: run {json.dumps(record | {'device_name': 'CPU'} | more)}\n"


def test_a_jobs_line_is_read_back(tmp_path, monkeypatch):
    records = []
    monkeypatch.setattr(job_log.logger, "handlers", [handler := logging.Handler()])
    monkeypatch.setattr(job_log.logger, "level", logging.INFO)
    handler.emit = records.append
    made_with = MadeWith({"torch": "2.15.0"}, "cpu", 2, "float32", "contents", ("figure",))
    job_log.write_line("s", "figure", {"figure": "fig3"}, "abc", made_with)
    (tmp_path / "figure").mkdir()
    (tmp_path / "figure/fig3.log").write_text(f"x INFO nctransfer: {records[0].getMessage()}\nx INFO: done\n")
    (job,) = job_log.read_lines(tmp_path, "s")
    assert (job["rule"], job["wildcards"], job["threads"], job["device"]) == (
        "figure",
        {"figure": "fig3"},
        2,
        "cpu",
    )
    assert (job["digest"], job["versions"]) == ("abc", {"torch": "2.15.0"})
    assert job["host"]
    assert job["device_name"]
    assert 0 < job["seconds"] < 1e5
    assert 0 < job["cpu_seconds"] < 1e5
    assert 10 < job["memory"] < 1e6
    assert job_log.read_lines(tmp_path, "other") == []


def test_logs_are_read_in_order_of_starts_without_unfinished_jobs_and_other_studies(tmp_path):
    logs = {
        "late": line(start="2026-01-02T00:00:00+00:00"),
        "early": line("images"),
        "unfinished": "2026 INFO nctransfer: device cpu\n",
        "cut": line()[:60] + "\n",
        "demo/other": line(study="demo"),
    }
    for name, text in logs.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.log").write_text(text)
    assert [job["rule"] for job in job_log.read_lines(tmp_path, "s")] == ["images", "figure"]


def test_jobs_are_summed_up_by_rule_and_machine():
    lines = [line(seconds=1.0), line(seconds=3.0), line(seconds=5.0, host="other"), line("images")]
    jobs = [json.loads(text.partition(" run ")[2]) for text in lines]
    assert provenance.summary(jobs) == [
        ("figure", "h", "CPU", 1, 2, 4.0, 3.0, 4.0), ("figure", "other", "CPU", 1, 1, 5.0, 5.0, 5.0),
        ("images", "h", "CPU", 1, 1, 1.0, 1.0, 1.0),
    ]  # fmt: skip


def git(folder, *arguments):
    named = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(
        ["git", *named, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def test_a_revision_is_that_of_the_project_itself_and_says_what_was_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    root = tmp_path / "p"
    root.mkdir()
    assert revision(root)["commit"] is None
    git(root, "init", "-q")
    (root / "a").write_text("1")
    git(root, "add", "a")
    git(root, "commit", "-qm", "x")
    commit = git(root, "rev-parse", "HEAD").strip()
    assert revision(root) == {"commit": commit, "changed_files": []}
    (root / "a").write_text("2")
    assert revision(root) == {"commit": commit, "changed_files": ["a"]}
    inner = root / "unpacked"
    inner.mkdir()
    assert revision(inner) == {
        "commit": None,
        "reason": "the project is not a git checkout of its own",
    }
    monkeypatch.setenv("PATH", "")
    assert revision(root) == {"commit": None, "reason": "git is not installed"}


def test_the_page_holds_configuration_and_times_and_escapes_them(tmp_path):
    (tmp_path / "a.log").write_text(line(seconds=3725.0, device_name="GPU <1>"))
    (tmp_path / "b.log").write_text(line("overview"))  # not of the work
    settings = {
        "study": "s",
        "models": {"m": {"x": "<b>"}},
        "captions": {"fig3": "words"},
    }
    made_with = MadeWith({"torch": "<2>"}, "cpu", 2, "float32", "size", ("features",))
    shown = Stamp(made_by={"figures_fig3": "abc"}, made_with=(made_with,))
    gathered = provenance.gather(tmp_path, tmp_path, tmp_path, settings, shown)
    provenance.write(gathered, tmp_path / "p.json", tmp_path / "p.html", Stamp("r"))
    back = json.loads((tmp_path / "p.json").read_text())
    assert back["stamp"]["digest"] == "r"
    assert back["digests"] == {"figures_fig3": "abc"}
    assert sorted(back["configuration"]) == ["models", "study"]
    assert back["libraries"]["snakemake"].startswith("9.")
    assert len(back["jobs"]) == 1
    text = (tmp_path / "p.html").read_text()
    assert "GPU &lt;1&gt;" in text
    assert "<td>torch &lt;2&gt;</td><td>cpu</td><td>2</td><td>float32</td><td>size</td>" in text
    assert "&lt;b&gt;" in text
    assert "1 h 02 min" in text


def test_the_list_counts_claims_and_links_relative_to_itself(tmp_path):
    claims = pd.DataFrame({"claim": [1, 1, 2], "claim_verdict": ["holds", "holds", "does not hold"]})
    claims.to_csv(tmp_path / "scorecard.csv", index=False)
    settings = OverviewJobSettings.read(
        {"study": "s", "setting": "It is small.", "results": str(tmp_path), "tables": [],
         "figures": [{"path": f"{tmp_path.parent}/figures/fig3", "name": "Figure 3", "shows": "NC1"}]}
    )  # fmt: skip
    text = overview(settings, tmp_path / "scorecard.csv", 0, [], Stamp("abc"))
    assert "different software" not in text
    by_size = MadeWith({}, "cpu", 1, "float32", "size")
    remarks = overview(
        settings, tmp_path / "scorecard.csv", 0, ["torch 1 and 2"], Stamp(made_with=(by_size,))
    )
    assert "**Results were made with different software or devices:** torch 1 and 2." in remarks
    assert "told apart by name and size only" in remarks
    assert "Study `s`" in text
    assert "It is small." in text
    assert "| holds | 1 |" in text
    assert "| does not hold | 1 |" in text
    assert "**Figure 3.** NC1: [picture](../figures/fig3.png)" in text
    assert "[scorecard.html](scorecard.html)" in text
    assert "## Tables" not in text


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([PAPER, PAPER], "All 2 figures and tables are of the paper's set-up."),
        ([PAPER, "other"], "Of the 2 figures and tables 1 are of the paper's set-up."),
        (["other", "other"], "None of the 2 figures and tables is of the paper's set-up."),
    ],
)
def test_the_list_says_whether_the_set_up_is_the_papers(runs, said):
    assert in_words(dict(enumerate(runs))) == said


CAPTIONS = {
    section: {name: kind_of(section, name).caption for name in variants.names(package)}
    for section, package in SECTIONS.items()
}


def caption(name, key, settings, study, inputs=None):
    """A caption's text, made as Snakemake makes it."""
    suffixes = ("png", "pdf", "csv", "html", "tex", "json", "parts")
    output = SimpleNamespace(**{suffix: f"x/{key}.{suffix}" for suffix in suffixes})
    told = SimpleNamespace(
        wildcards=[key],
        input=inputs or {},
        params=SimpleNamespace(job={"settings": settings}),
        output=output,
        config={"study": study, "captions": CAPTIONS},
    )
    source = (ROOT / f"workflow/report/{name}.rst").read_text()
    text = Environment(trim_blocks=True, lstrip_blocks=True).from_string(source).render(snakemake=told)
    body = publish_parts(text, writer="html", settings_overrides={"report_level": 1})["body"]
    assert "system-message" not in body, body
    return html.unescape(re.sub("<[^>]+>", "", body)), body


@pytest.mark.parametrize("study", ["paper", "demo"])
def test_every_figure_and_table_has_a_caption_that_says_how_to_read_it(study):
    plan = (
        paper() if study == "paper" else Plan(load(ROOT / "config.yaml", [ROOT / "config/demo.yaml"]), ROOT)
    )
    for section, derive in (("figures", plan.figure), ("tables", plan.table)):
        for key in getattr(plan.configuration, section):
            name, settings = section.removesuffix("s"), derive(key).told()["settings"]
            text, body = caption(name, key, settings, plan.configuration.study)
            first = text.strip().partition("\n")[0]
            assert len(first) > 50, (key, text)  # what its kind shows
            numbered = titles.name_of(key) != key and key != "table4-clip"
            assert "no description" not in text, key
            assert ("In the paper" in text) == numbered, (key, text)
            assert f"showResultInfo('x/{key}.csv')" in html.unescape(body)
            for panel in settings["panels"]:
                words = re.sub(r"\s+", " ", text)
                assert panel.get("title", "") in words, (key, panel)
                if "nc1_dataset" in panel:  # which may be another one than the title's
                    assert f"NC1 on {panel['nc1_dataset']}: " in words, (key, panel)
    caption("provenance", "provenance", {}, plan.configuration.study)
    text, _ = caption("scorecard", "scorecard", plan.scorecard().told()["settings"], plan.configuration.study)
    assert ("No picture is of the paper's own set-up" in text) == (study == "demo")


def test_captions_say_what_is_published():
    for section, key, words in (
        ("figure", "fig3", "what lies between the outer tick labels"),
        ("table", "table3", "the published numbers, and ours minus these"),
    ):
        job = paper().picture(f"{section}s", key)
        plain = job.told()["settings"] | {"windows": []}
        assert words in caption(section, key, job.told()["settings"], None, job.inputs)[0]
        assert words not in caption(section, key, plain, None)[0]


def test_a_kind_of_ones_own_has_a_caption_too(monkeypatch):
    for name in ("figure", "table"):
        monkeypatch.setitem(CAPTIONS[f"{name}s"], "my_kind", "What my own kind shows.")
        text, _ = caption(name, "mine_own", {"kind": "my_kind", "panels": [{"title": "*a* `b` c_ |d|"}]}, "s")
        assert "What my own kind shows." in text
        assert "*a* `b` c_ |d|" in text
