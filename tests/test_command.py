"""The project's `snakemake` command: targets are kept apart from the options before them."""

import argparse
import subprocess
import sys

import pytest

from nctransfer.runtime import snakemake_command

snakemake_cli = pytest.importorskip("snakemake.cli")


@pytest.fixture(scope="module")
def parser():
    return snakemake_cli.get_argument_parser()


@pytest.mark.parametrize(
    ("typed", "handed"),
    [
        # the command that the project exists for
        ("-j4 --resources gpu=1 figures/fig3.pdf", "-j4 --resources gpu=1 -- figures/fig3.pdf"),
        ("-j4 --resources gpu=1 mem_mb=9 a b", "-j4 --resources gpu=1 mem_mb=9 -- a b"),
        ("--resources gpu=1 a -j4 -n", "--resources gpu=1 -j4 -n -- a"),
        ("--config seed=1 a", "--config seed=1 -- a"),
        ("-C seed=1 a", "-C seed=1 -- a"),
        ("-n -q a.pdf", "-n -q -- a.pdf"),
        ("--rerun-triggers mtime params a.pdf", "--rerun-triggers mtime params -- a.pdf"),
        ("--resources gpu=1 a -- b", "--resources gpu=1 -- a b"),
        ("-j4 --configfile mine.yaml figures/mine/a.pdf", "-j4 --configfile mine.yaml -- figures/mine/a.pdf"),
        ("--configfiles a.yml b.json rank", "--configfiles a.yml b.json -- rank"),
        # nothing is swallowed: nothing changes
        ("-j4 figures/fig3.pdf", "-j4 figures/fig3.pdf"),
        ("--resources=gpu=1 a", "--resources=gpu=1 a"),
        ("a --resources gpu=1", "a --resources gpu=1"),
        ("--resources gpu=1 -- a", "--resources gpu=1 -- a"),
        ("-q rules", "-q rules"),
        ("--forcerun a b", "--forcerun a b"),
        ("--configfile config/demo.yaml other.yaml", "--configfile config/demo.yaml other.yaml"),
        ("", ""),
    ],
)
def test_targets_are_moved_behind_the_options(parser, typed, handed):
    assert snakemake_command.separate_targets(typed.split(), parser) == handed.split()


@pytest.mark.parametrize(
    "typed",
    [
        "-j4 --resources gpu=1 figures/fig3.pdf",
        "--resources gpu=1 figures/fig3.pdf -j4",
        "--config seed=1 figures/fig3.pdf",
        "-q figures/fig3.pdf",
    ],
)
def test_snakemakes_own_parser_then_finds_the_target(parser, typed):
    handed = parser.parse_args(snakemake_command.separate_targets(typed.split(), parser))
    assert list(handed.targets) == ["figures/fig3.pdf"]


def test_it_steps_aside_where_no_option_swallows():
    mended = argparse.ArgumentParser()
    mended.add_argument("targets", nargs="*")
    mended.add_argument("--resources", metavar="NAME=INT", action="append")
    typed = ["--resources", "gpu=1", "figures/fig3.pdf"]
    assert snakemake_command.separate_targets(typed, mended) == typed


def test_it_installs_over_snakemakes_script_and_nowhere_else(tmp_path):
    with pytest.raises(FileNotFoundError, match="not installed there"):
        snakemake_command.install(tmp_path)
    (tmp_path / "snakemake").write_text("the old one")
    script = snakemake_command.install(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["snakemake"]
    rule = "rule a:\n    output: 'made.txt'\n    resources: gpu=1\n    shell: 'echo {resources.gpu} > {output}'\n"
    (tmp_path / "Snakefile").write_text(rule)
    typed = [script, "-j1", "--resources", "gpu=1", "made.txt"]
    run = subprocess.run(typed, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "made.txt").read_text() == "1\n"


def test_a_path_too_long_for_the_kernels_first_line_still_starts(tmp_path, monkeypatch):
    folder = tmp_path / ("x" * 100) / ("y y" * 20)
    folder.mkdir(parents=True)
    python = folder / "python"
    python.symlink_to(sys.executable)
    (folder / "snakemake").write_text("")
    monkeypatch.setattr(snakemake_command.sys, "executable", str(python))
    script = snakemake_command.install(folder)
    run = subprocess.run([script, "--version"], capture_output=True, text=True, check=False)
    # the copied interpreter has no environment of its own: it need only have started this module
    assert run.returncode == 0 or "No module named 'snakemake'" in run.stderr, run.stderr
