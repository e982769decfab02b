"""The small study (config/small.yaml) on files that are at hand, where nothing can be downloaded.

    python -m tests.small_offline DATA FOLDER

writes the overlay FOLDER/small.yaml and the arrays that it reads. DATA holds parts of CIFAR-10, CIFAR-100, DTD and MNIST
and some published weights (its README says which). The overlay changes where images and weights are from; what is not
at hand is replaced by what is, and named as such: Aircraft, Pets and Flowers by classes of CIFAR-100 that no source network
has seen. ResNet18's weights are left out.
"""

import copy
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from nctransfer.config.load import load
from nctransfer.config.source_accuracy import source_accuracy

ROOT = Path(__file__).resolve().parents[1]
# Data sets that are not at hand, the classes of CIFAR-100 in their place, and the words in titles
REPLACED = {
    "aircraft": ([*range(70, 80)], "Aircraft", "CIFAR-100 70-79"),
    "pet": ([*range(80, 90)], "Pet", "CIFAR-100 80-89"),
    "flowers102": ([*range(90, 100)], "Flowers102", "CIFAR-100 90-99"),
    "vtab-caltech101": ([*range(50, 100)], "Caltech101", "CIFAR-100 50-99"),
    "vtab-flowers102": ([*range(90, 100)], "Flowers102", "CIFAR-100 90-99"),
    "vtab-pets": ([*range(80, 90)], "Pets", "CIFAR-100 80-89"),
}
WEIGHTS = {
    "vit-tiny": ("timm/vit_tiny_patch16_224", "vit_tiny_patch16_224"),
    "vit-tiny-112": ("timm/vit_tiny_patch16_224", "vit_tiny_patch16_224"),
    "squeezenet": ("torchvision/squeezenet1_1", "squeezenet1_1"),
    "mobilenet_v2": ("torchvision/mobilenet_v2", "mobilenet_v2"),
    "mobilenet_v2-small": ("torchvision/mobilenet_v2", "mobilenet_v2"),
    "lite0": ("timm/tf_efficientnet_lite0", "tf_efficientnet_lite0"),
    "lite1": ("timm/tf_efficientnet_lite1", "tf_efficientnet_lite1"),
    "lite2": ("timm/tf_efficientnet_lite2", "tf_efficientnet_lite2"),
}


def unpack(data: Path, folder: Path) -> None:
    """Arrays of CIFAR-10, CIFAR-100 (and both splits in one) and MNIST, and the images of ten classes of DTD."""
    subprocess.run([sys.executable, str(data / "unpack.py"), str(folder)], check=True, capture_output=True)
    with zipfile.ZipFile(data / "dtd10_160.zip") as archive:
        archive.extractall(folder)
    parts = [dict(np.load(folder / f"cifar100_{split}.npz")) for split in ("train", "test")]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in ("images", "labels")}
    np.savez(folder / "cifar100.npz", class_names=parts[0]["class_names"], **joined)
    digits = np.loadtxt(data / "mnist_5k.csv.gz", delimiter=",", dtype=np.uint8)
    images = np.repeat(digits[:, :-1].reshape(-1, 28, 28, 1), 3, axis=3)
    names = np.array([str(digit) for digit in range(10)])
    np.savez(folder / "mnist.npz", images=images, labels=digits[:, -1].astype(np.int64), class_names=names)


def overlay(data: Path, folder: Path) -> dict[str, Any]:
    """What small.yaml's overlay must say where only these files are at hand."""
    path = ROOT / "config/small.yaml"
    small = yaml.safe_load(path.read_text(encoding="utf-8"))
    online = load(ROOT / "config.yaml", [path])

    def arrays(name: str) -> dict[str, str]:
        return {
            "source": "arrays",
            **{split: str(folder / f"{name}_{split}.npz") for split in ("train", "test")},
        }

    hundred, ten = arrays("cifar100"), arrays("cifar10")
    textures = {"source": "imagefolder", "path": str(folder / "dtd10")}
    joined = {"source": "arrays", "path": str(folder / "cifar100.npz")}
    datasets: dict[str, Any] = {
        **dict.fromkeys(("cifar10", "cifar10-more-tests", "cifar10-search", "vtab-eurosat"), ten),
        "dtd": textures, "vtab-dtd": textures,
        "cifar-fs-train": joined, "cifar-fs-test": joined | {"test_fraction": 0.5},
        **dict.fromkeys(("cifar100", "cifar100-unseen", "cifar100-search", "vtab-cifar100"), hundred),
        "vtab-svhn": {"source": "arrays", "path": str(folder / "mnist.npz"), "test_fraction": 0.5},
        **{key: hundred | {"classes": classes} for key, (classes, _, _) in REPLACED.items()},
    }  # fmt: skip
    models = {
        key: {
            "source": "local",
            "architecture": architecture,
            "weights": str(data / f"{file}.safetensors"),
            "source_accuracy": source_accuracy(online, key).accuracy,  # of the same weights
            **({"head": False} if file == "mobilenet_v2" else {}),
            **(
                {"options": small["models"][key]["options"]}
                if "options" in small["models"].get(key, {})
                else {}
            ),
        }
        for key, (architecture, file) in WEIGHTS.items()
    }
    models["mobilenet_v2-small"]["size"] = small["models"]["mobilenet_v2-small"]["size"]
    shown = copy.deepcopy({name: small[name] for name in ("figures", "tables", "rank")})
    shown["rank"]["models"].remove("resnet18")
    for panel in shown["figures"]["fig2"]["panels"]:
        panel["series"] = [part for part in panel["series"] if part["name"] != "ResNet"]
    words = {word: told for _, word, told in REPLACED.values()}
    words |= {"SVHN": "MNIST", "EuroSAT": "CIFAR-10"}
    for section in ("figures", "tables"):
        for picture in shown[section].values():
            for panel in picture["panels"]:
                if "title" in panel:
                    for word, told in words.items():
                        panel["title"] = re.sub(rf"\b{word}\b", told, panel["title"])
    titles = {key: told for key, (_, _, told) in REPLACED.items()} | {
        "vtab-svhn": "MNIST", "vtab-eurosat": "CIFAR-10",
    }  # fmt: skip
    return {"study": "small", "datasets": datasets, "models": models, **shown, "style": {"titles": titles}}


if __name__ == "__main__":
    data, folder = map(Path, sys.argv[1:])
    unpack(data, folder)
    text = yaml.safe_dump(overlay(data.resolve(), folder.resolve()), sort_keys=False)
    (folder / "small.yaml").write_text(text, encoding="utf-8")
