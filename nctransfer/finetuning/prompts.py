"""Prompts for CLIP: the standard templates of each data set, and class names as in English text.

Templates and names are those with which CLIP's zero-shot accuracies were measured [1]; SVHN, Retinopathy and
ClevrDist, which are missing there, are from CLIP_benchmark [2]. Their errors ("a embroidered", "writte") are
part of the protocol. They are code and not a data file, so that a change of them makes the jobs out of date
that read them.

References:
    [1] github.com/openai/CLIP: data/prompts.md and notebooks/Prompt_Engineering_for_ImageNet.ipynb; Radford
        et al., Learning transferable visual models from natural language supervision, ICML 2021, section
        3.1.4.
    [2] github.com/LAION-AI/CLIP_benchmark: datasets/en_zeroshot_classification_templates.json and
        en_classnames.json.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache

DEFAULT = ("a photo of a {}.",)


def _each(articles: Sequence[str], *patterns: str) -> tuple[str, ...]:
    """Templates for all articles, with ``*`` in the article's place; the patterns vary fastest."""
    prefixes = [f"{article} " if article else "" for article in articles]
    return tuple(pattern.replace("* ", prefix) for prefix in prefixes for pattern in patterns)


_CIFAR = _each(
    ("a", "the"),
    "a photo of * {}.",
    "a blurry photo of * {}.",
    "a black and white photo of * {}.",
    "a low contrast photo of * {}.",
    "a high contrast photo of * {}.",
    "a bad photo of * {}.",
    "a good photo of * {}.",
    "a photo of * small {}.",
    "a photo of * big {}.",
)

# Seventeen patterns that Caltech101 and ImageNet share.
_RENDITIONS = (
    "a photo of * {}.",
    "a painting of * {}.",
    "* plastic {}.",
    "a sculpture of * {}.",
    "a sketch of * {}.",
    "a tattoo of * {}.",
    "* toy {}.",
    "a rendition of * {}.",
    "* embroidered {}.",
    "* cartoon {}.",
    "* {} in a video game.",
    "* plushie {}.",
    "* origami {}.",
    "art of * {}.",
    "graffiti of * {}.",
    "a drawing of * {}.",
    "a doodle of * {}.",
)

_IMAGENET = (
    *_each(
        ("a", "the"),
        *_RENDITIONS,
        "a bad photo of * {}.",
        "a photo of * hard to see {}.",
        "a low resolution photo of * {}.",
        "a rendering of * {}.",
        "a cropped photo of * {}.",
        "a bright photo of * {}.",
        "a photo of * clean {}.",
        "a photo of * dirty {}.",
        "a dark photo of * {}.",
        "a photo of * cool {}.",
        "a close-up photo of * {}.",
        "a black and white photo of * {}.",
        "a pixelated photo of * {}.",
        "a jpeg corrupted photo of * {}.",
        "a blurry photo of * {}.",
        "a good photo of * {}.",
        "a photo of * large {}.",
        "a photo of * small {}.",
        "a photo of * nice {}.",
        "a photo of * weird {}.",
        "itap of * {}.",
    ),
    "a photo of many {}.",
    "a photo of one {}.",
    "a photo of my {}.",
    "itap of my {}.",
)

# By torchvision's class names, or the names of the data sets' authors.
TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "CIFAR10": _CIFAR,
    "CIFAR100": _CIFAR,
    "FGVCAircraft": _each(("a", "the"), "a photo of * {}, a type of aircraft."),
    "DTD": _each(
        ("a", "the"),
        "a photo of * {} texture.",
        "a photo of * {} pattern.",
        "a photo of * {} thing.",
        "a photo of * {} object.",
    ),
    "OxfordIIITPet": ("a photo of a {}, a type of pet.",),
    "Flowers102": ("a photo of a {}, a type of flower.",),
    "SUN397": _each(("a", "the"), "a photo of * {}."),
    "SVHN": (
        "a photo of the number {} written on a sign",
        "an outdoor house number {}",
        "the number {} in the center of the image",
        "an outdoor number {} writte on a sign",
        "an outdoor number {}",
        "a centered image of the number {}",
    ),
    "STL10": _each(("a", "the"), "a photo of * {}."),
    "EuroSAT": _each(("", "a", "the"), "a centered satellite photo of * {}."),
    "Caltech101": _each(("a", "the"), *_RENDITIONS),
    "Food101": ("a photo of {}, a type of food.",),
    "ImageNet": _IMAGENET,
    "MNIST": ('a photo of the number: "{}".',),
    "Resisc45": _each(
        ("", "a", "the"),
        "satellite imagery of * {}.",
        "aerial imagery of * {}.",
        "satellite photo of * {}.",
        "aerial photo of * {}.",
        "satellite view of * {}.",
        "aerial view of * {}.",
    ),
    "Retinopathy": ("a retinal image with {}",),
    "ClevrCount": ("a photo of {} objects.",),
    "ClevrDist": ("{} shapes.",),
}

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

# Class names that differ between prompts and data set, apart from underscores.
CLASS_NAMES: Mapping[str, Mapping[str, str]] = {
    "Flowers102": {
        "globe-flower": "globe flower",
        "pink-yellow dahlia?": "pink and yellow dahlia",
        "ball moss": "air plant",
    },
    "SVHN": dict(zip("0123456789", _DIGITS, strict=True)),
    "EuroSAT": {
        "AnnualCrop": "annual crop land",
        "Forest": "forest",
        "HerbaceousVegetation": "brushland or shrubland",
        "Highway": "highway or road",
        "Industrial": "industrial buildings or commercial buildings",
        "Pasture": "pasture land",
        "PermanentCrop": "permanent crop land",
        "Residential": "residential buildings or homes or apartments",
        "River": "river",
        "SeaLake": "lake or sea",
    },
    "Caltech101": {
        "Faces": "off-center face",
        "Faces_easy": "centered face",
        "Leopards": "leopard",
        "Motorbikes": "motorbike",
        "airplanes": "airplane",
        "car_side": "side of a car",
        "cougar_body": "body of a cougar cat",
        "cougar_face": "face of a cougar cat",
        "crocodile_head": "head of a crocodile",
        "flamingo_head": "head of a flamingo",
        "snoopy": "snoopy (cartoon beagle)",
        "yin_yang": "yin and yang symbol",
    },
    "Retinopathy": {
        str(grade): f"{degree} diabetic retinopathy"
        for grade, degree in enumerate(("no", "mild", "moderate", "severe", "proliferative"))
    },
    "ClevrDist": dict(
        zip("012345", ("very nearby", "nearby", "near", "", "distant", "very distant"), strict=True)
    ),
}

_ALIASES = {
    "imagenet1k": "ImageNet",
    "digits": "MNIST",
    "diabeticretinopathy": "Retinopathy",
    "clevrcountall": "ClevrCount",
    "clevrclosestobjectdistance": "ClevrDist",
}


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
