"""Faster modes of extraction on a CPU, told where models are ranked on one. The choice is the user's."""

from collections.abc import Collection
from pathlib import Path

BFLOAT16 = ("avx512_bf16", "amx_bf16")
# Keys of ``features:``, the CPU's flags of which it needs one, and images per second over those of the
# default: MobileNetV2 and ViT-Ti/16 on two cores with AVX512-BF16, 30 November 2026 (docs/ranking.md).
MEASURED = (
    ("fold_batch_norm: true", ("avx2",), "1.2 x with batch norm"),
    ("precision: bfloat16", BFLOAT16, "1.5 x"),
    ("engine: openvino", ("avx512f",), "1.2 x"),
    ("engine: openvino, precision: bfloat16", BFLOAT16, "1.7 to 2.3 x"),
)


def cpu_flags(path: Path = Path("/proc/cpuinfo")) -> set[str]:
    """What the machine's CPU can do, as Linux names it; empty where that is not known."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())


def faster_modes(flags: Collection[str]) -> str:
    """The modes that a CPU with these flags has, and their speed where it was measured; "" for none."""
    known = [f"{{{keys}}} {gain}" for keys, needed, gain in MEASURED if not set(needed).isdisjoint(flags)]
    if not known:
        return ""
    return (
        "on this CPU, features would be extracted faster in other modes, with other last digits and paths of "
        f"their own. `features:` {'; '.join(known)}, where measured; openvino with `device: cpu` "
        "(docs/ranking.md)"
    )
