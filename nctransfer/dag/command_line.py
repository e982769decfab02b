"""What commands beside the workflow share: options that name a configuration, and its plan."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nctransfer.config.load import load
from nctransfer.dag.plan import Plan
from nctransfer.runtime.snakemake_command import separate_targets

ROOT = Path(__file__).resolve().parents[2]


def parser_of(command: str, about: str) -> argparse.ArgumentParser:
    """Parser of ``python -m <command>``; the first line of ``about``, its docstring, says what it does."""
    parser = argparse.ArgumentParser(prog=f"python -m {command}", description=about.split("\n")[0])
    parser.add_argument("--configfile", nargs="+", type=Path, default=[], help="overlays, as for snakemake")
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="as for snakemake")
    return parser


def parse(parser: argparse.ArgumentParser, words: Sequence[str] | None) -> argparse.Namespace:
    """Arguments, by default those of this process; files after overlays are no overlays, as for snakemake."""
    return parser.parse_args(separate_targets(sys.argv[1:] if words is None else words, parser))


def plan_of(arguments: argparse.Namespace) -> Plan:
    """Plan of the configuration that arguments name; ConfigError for a mistake in it."""
    return Plan(load([ROOT / "config.yaml"], arguments.configfile, arguments.config), ROOT)
