"""The project's own ``snakemake`` command: options no longer swallow the targets.

In Snakemake 8 and 9, options that take several values eat whatever follows them, so
``snakemake --resources gpu=1 figures/fig3.pdf`` fails before a Snakefile is read. This
module finds the words that cannot be values of the option before them, moves them
behind ``--`` and hands over to Snakemake. It asks Snakemake's own parser which options
take several values; where none does any more, the command line passes as it is.

Set-up writes this module as a script over Snakemake's own start script in the project's
virtual environment (:func:`install`); nothing else is touched, and reinstalling Snakemake
undoes it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def accepts(action: argparse.Action, word: str) -> bool:
    """Tell whether a word can be a value of an option that takes several."""
    if action.choices is not None:
        return word in action.choices
    if isinstance(action.metavar, str) and "=" in action.metavar:
        return "=" in word
    return True  # files, rules or targets: any word may be meant


def separate_targets(arguments: Sequence[str], parser: argparse.ArgumentParser) -> list[str]:
    """Move words that an option would swallow, though they cannot be its values, behind ``--``.

    Args:
        arguments: the command line without the program's name.
        parser: Snakemake's own argument parser.

    Returns:
        the command line to hand over; the same one where nothing is swallowed.
    """
    greedy = {
        name: action
        for action in parser._actions
        if action.nargs in ("+", "*")
        for name in action.option_strings
    }
    kept: list[str] = []
    targets: list[str] = []
    option: argparse.Action | None = None
    words = list(arguments)
    explicit: list[str] = []
    if "--" in words:
        cut = words.index("--")
        words, explicit = words[:cut], words[cut + 1 :]
    for word in words:
        if word.startswith("-") and len(word) > 1:
            option = greedy.get(word)  # `--option=value` takes that one value alone
            kept.append(word)
        elif option is not None and not accepts(option, word):
            targets.append(word)
        elif targets and option is not None:
            targets.append(word)  # behind a swallowed target, everything is a target
        else:
            kept.append(word)
    if not targets:
        return list(arguments)
    return [*kept, "--", *targets, *explicit]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run Snakemake on a command line whose targets are kept apart."""
    from snakemake import cli

    words = list(sys.argv[1:] if arguments is None else arguments)
    # Plugins add no options that take targets, so the plain parser tells enough.
    sys.argv[1:] = separate_targets(words, cli.get_argument_parser())
    return cli.main(sys.argv[1:])


def install(folder: Path) -> Path:
    """Write this module as ``snakemake`` into an environment's ``bin``.

    Args:
        folder: ``bin`` of the environment of the running Python; it has Snakemake installed.

    Returns:
        the script.

    Raises:
        FileNotFoundError: there is no ``snakemake`` in the folder.
    """
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
