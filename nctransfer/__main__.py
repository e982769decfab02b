"""Commands beside the workflow: ``python -m nctransfer cost ...``, ``... adopt ...``, ``... publish ...``."""

import sys

from nctransfer.dag import adopt, cost, publish

COMMANDS = {"adopt": adopt.main, "cost": cost.main, "publish": publish.main}

if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in COMMANDS:
        sys.exit(f"usage: python -m nctransfer {{{','.join(COMMANDS)}}} ... (each has --help)")
    sys.exit(COMMANDS[name](sys.argv[2:]))
