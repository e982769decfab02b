"""The project's own ``snakemake`` command, whose options do not swallow the targets.

In Snakemake 8 and 9, options with several values take everything that follows them, so
``snakemake --resources gpu=1 figures/fig3.pdf`` fails before a Snakefile is read. This module finds the words
that cannot be values of the preceding option, moves them behind ``--`` and calls Snakemake. Snakemake's own
parser says which options take several values; if there are none, the command line is not changed.

Set-up writes this module over Snakemake's start script in the project's virtual environment (:func:`install`)
and changes nothing else; reinstalling Snakemake reverts it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def accepts(action: argparse.Action, word: str) -> bool:
    """Whether a word can be a value of an option with several values."""
    if action.choices is not None:
        return word in action.choices
    if "--configfile" in action.option_strings:
        return word.endswith((".yaml", ".yml", ".json"))
    if isinstance(action.metavar, str) and "=" in action.metavar:
        return "=" in word
    return True  # files, rules or targets: any word is possible


def separate_targets(arguments: Sequence[str], parser: argparse.ArgumentParser) -> list[str]:
    """Move words that an option would swallow, although they cannot be its values, behind ``--``."""
    several = [action for action in parser._actions if action.nargs in ("+", "*")]
    greedy = {name: action for action in several for name in action.option_strings}
    remaining: list[str] = []
    targets: list[str] = []
    option: argparse.Action | None = None
    words = list(arguments)
    explicit: list[str] = []
    if "--" in words:
        cut = words.index("--")
        words, explicit = words[:cut], words[cut + 1 :]
    for word in words:
        if word.startswith("-") and len(word) > 1:
            option = greedy.get(word)  # `--option=value` has only that one value
            remaining.append(word)
        elif option is not None and not accepts(option, word):
            targets.append(word)
        elif targets and option is not None:
            targets.append(word)  # everything after a swallowed target is a target
        else:
            remaining.append(word)
    if not targets:
        return list(arguments)
    return [*remaining, "--", *targets, *explicit]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run Snakemake with the targets separated from the options."""
    from snakemake import cli

    words = list(sys.argv[1:] if arguments is None else arguments)
    # plugins add no options that take targets, so the plain parser is sufficient
    sys.argv[1:] = separate_targets(words, cli.get_argument_parser())
    return cli.main(sys.argv[1:])


def install(folder: Path) -> Path:
    """Write this module as ``snakemake``, and return it; FileNotFoundError if the folder has none."""
    script = folder / "snakemake"
    if not script.is_file():
        raise FileNotFoundError(f"{script}: Snakemake is not installed there")
    start = f"#!{sys.executable}\n"
    if len(start) > 127 or " " in sys.executable:  # kernels cut longer lines, and split at blanks
        start = f"#!/bin/sh\n'''exec' \"{sys.executable}\" \"$0\" \"$@\"\n' '''\n"
    partial = folder / ".snakemake.partial"
    partial.write_text(start + Path(__file__).read_text())
    partial.chmod(0o755)
    partial.replace(script)
    return script


if __name__ == "__main__":
    sys.exit(main())
