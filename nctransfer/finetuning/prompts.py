"""Prompts for CLIP: the standard templates of each data set, and class names as in English text.

``prompts.json`` has templates and class names by torchvision's name of the data set, or that of its authors,
and further names of data sets; only class names that differ from the data set's, apart from underscores, are
there. All are those with which CLIP's zero-shot accuracies were measured [1]; SVHN, Retinopathy and
ClevrDist, which are missing there, are from CLIP_benchmark [2]. Their errors ("a embroidered", "writte") are
part of the protocol.

References:
    [1] github.com/openai/CLIP: data/prompts.md and notebooks/Prompt_Engineering_for_ImageNet.ipynb; Radford
        et al., Learning transferable visual models from natural language supervision, ICML 2021, section
        3.1.4.
    [2] github.com/LAION-AI/CLIP_benchmark: datasets/en_zeroshot_classification_templates.json and
        en_classnames.json.
"""

import hashlib
import json
import re
from functools import cache
from pathlib import Path

DEFAULT = ("a photo of a {}.",)
FILE = Path(__file__).with_name("prompts.json")
# Jobs run again when code changes, not when a data file does: a change of the file is one of this line.
SHA256 = "fc4f00311ac1d75c1aa003afe8bc279fb6cddc61b180d0c47ca7392633526157"
_CONTENT = FILE.read_bytes()
assert hashlib.sha256(_CONTENT).hexdigest() == SHA256, f"{FILE} has changed; set SHA256 in this module"
_KNOWN = json.loads(_CONTENT)
TEMPLATES: dict[str, tuple[str, ...]] = {name: tuple(texts) for name, texts in _KNOWN["templates"].items()}
CLASS_NAMES: dict[str, dict[str, str]] = _KNOWN["class_names"]
_ALIASES: dict[str, str] = _KNOWN["aliases"]


def templates(name: str | None) -> tuple[str, ...]:
    """The prompts of a data set, each with ``{}`` in the class's place.

    ``name`` is torchvision's, or the hub's ``user/set``; case, dashes and underscores do not matter. Unknown
    data sets, and None, have the single prompt ``a photo of a {}.``
    """
    return TEMPLATES.get(_canonical(name) or "", DEFAULT)


def readable(class_name: str, data_set: str | None = None) -> str:
    """A class name as in a prompt.

    ``aquarium_fish`` becomes ``aquarium fish``, SUN397's ``apse/indoor`` ``apse indoor``, and ImageNet's
    ``n01440764`` ``tench``. Names that differ in CLIP's prompts (EuroSAT's ``SeaLake``) are replaced where
    the data set is known.
    """
    replacement = CLASS_NAMES.get(_canonical(data_set) or "", {}).get(class_name)
    if replacement is not None:
        return replacement
    if re.fullmatch(r"n\d{8}", class_name):
        return _imagenet_names().get(class_name, class_name)
    # only slashes between words: F/A-18 and F-16A/B are aircraft
    words = re.sub(r"(?<=[a-z])/(?=[a-z])", " ", class_name.replace("_", " "))
    return " ".join(words.split())


def _canonical(name: str | None) -> str | None:
    plain = re.sub(r"[^a-z0-9]", "", (name or "").rpartition("/")[2].lower())
    return _ALIASES.get(plain) or next((key for key in TEMPLATES if key.lower() == plain), None)


@cache
def _imagenet_names() -> dict[str, str]:
    """CLIP's names of ImageNet's classes by WordNet id, which is the name of the folder."""
    from open_clip import IMAGENET_CLASSNAMES
    from timm.data import ImageNetInfo

    return dict(zip(ImageNetInfo().label_names(), IMAGENET_CLASSNAMES, strict=True))
