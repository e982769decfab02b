"""Losses against their formulas, their predictions, and the heads that they are trained through."""

import copy
import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nctransfer import variants
from nctransfer.errors import ModelError
from nctransfer.training import losses
from nctransfer.training.heads import attach_head, projection_head, without_head
from nctransfer.training.loss_settings import LossSettings
from nctransfer.training.objective import Classifying, Objective
from nctransfer.training.settings import ProjectionHeadSettings

LOSSES = variants.names(losses)


def settings_class(name: str) -> type[LossSettings]:
    return variants.settings_class(losses, name, LossSettings)


def build(name: str, classes: int = 5, **options) -> Objective:
    return variants.load(losses, name, "loss").build(settings_class(name)(name=name, **options), classes)


def projection(layers: int = 0, hidden: int | None = None, output: int = 4) -> ProjectionHeadSettings:
    return ProjectionHeadSettings(layers=layers, hidden=hidden, output=output)


@pytest.fixture
def logits() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(12, 5, generator=generator), torch.arange(12) % 5


@pytest.fixture
def embeddings() -> tuple[Tensor, Tensor]:
    """Two views of 12 images; class 4 is absent, class 3 has one image."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 0, 3])
    return torch.randn(24, 7, generator=generator), labels.repeat(2)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_an_objective_that_a_step_against_its_gradient_lowers(name, embeddings):
    objective = build(name)
    assert isinstance(objective, Objective)
    assert objective.views in (1, 2)
    assert objective.classifies == (objective.views == 1) != settings_class(name).embeds
    outputs = embeddings[0][:, :5].clone().requires_grad_()
    loss = objective(outputs, embeddings[1])
    assert (loss.shape, loss.dtype) == ((), torch.float32)
    (gradient,) = torch.autograd.grad(loss, outputs)
    assert objective(outputs - 0.05 * gradient, embeddings[1]) < loss


@pytest.mark.parametrize("name", LOSSES)
def test_outputs_of_half_precision_lose_no_more_than_their_rounding(name, embeddings):
    objective = build(name)
    outputs = embeddings[0][:, :5].bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        low = objective(outputs, embeddings[1])
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, objective(outputs.float(), embeddings[1]))


@pytest.mark.parametrize("name", ["cross_entropy", "mean_squared_error"])
def test_logits_name_a_class_from_the_start(name, logits):
    objective = build(name)
    assert isinstance(objective, Classifying)
    assert objective.ready
    objective.observe(*logits)
    objective.end_epoch()
    assert objective.predict(logits[0]).tolist() == [
        max(range(5), key=row.__getitem__) for row in logits[0].tolist()
    ]
    assert objective.state_dict() == {}


@pytest.mark.parametrize("smoothing", [None, 0.1])
def test_cross_entropy_is_its_formula(logits, smoothing):
    outputs, labels = logits
    objective = build("cross_entropy", **({} if smoothing is None else {"label_smoothing": smoothing}))
    share = smoothing or 0.0
    total = 0.0
    for row, label in zip(outputs.tolist(), labels.tolist(), strict=True):
        normaliser = math.log(sum(math.exp(value) for value in row))
        for c, value in enumerate(row):
            total -= (share / 5 + (1 - share) * (c == label)) * (value - normaliser)
    assert objective(outputs, labels).item() == pytest.approx(total / 12, rel=1e-5)


@pytest.mark.parametrize("options", [{}, {"mse_weight": 15.0, "mse_target": 30.0}], ids=["plain", "rescaled"])
def test_the_squared_error_is_its_formula(logits, options):
    outputs, labels = logits
    k, target = options.get("mse_weight", 1), options.get("mse_target", 1)
    total = 0.0
    for row, label in zip(outputs.tolist(), labels.tolist(), strict=True):
        others = sum(value**2 for c, value in enumerate(row) if c != label)
        total += (k * (row[label] - target) ** 2 + others) / 5
    objective = build("mean_squared_error", **options)
    assert objective(outputs, labels).item() == pytest.approx(total / 12, rel=1e-5)


def contrastive(outputs: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """L_out, anchor by anchor."""
    unit = outputs.double() / outputs.double().norm(dim=1, keepdim=True)
    losses = []
    for i in range(len(unit)):
        others = [a for a in range(len(unit)) if a != i]
        positives = [p for p in others if labels[p] == labels[i]]
        denominator = sum(torch.exp(unit[i] @ unit[a] / temperature) for a in others)
        terms = [torch.log(torch.exp(unit[i] @ unit[p] / temperature) / denominator) for p in positives]
        losses.append(-sum(terms) / len(positives))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_the_contrastive_loss_and_its_gradient_are_those_of_l_out(embeddings, temperature):
    outputs, labels = embeddings
    ours, theirs = (outputs.clone().requires_grad_() for _ in range(2))
    loss = build("supervised_contrastive", temperature=temperature)(ours, labels)
    expected = contrastive(theirs, labels, temperature)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)


def test_anchors_without_loss_count_in_the_mean():
    # two pairs of equal embeddings, opposite each other: at a low temperature nothing is left to lose for
    # them, and a mean over the other anchors alone would be three times too large
    outputs = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [1, 0], [-1, 0], [0.9, 0.2]])
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    loss = build("supervised_contrastive", temperature=0.01)(outputs, labels)
    torch.testing.assert_close(loss.double(), contrastive(outputs, labels, 0.01), rtol=1e-4, atol=1e-4)
    assert loss > 1


def test_the_length_of_an_embedding_does_not_matter(embeddings):
    outputs, labels = embeddings
    objective = build("supervised_contrastive")
    scales = torch.linspace(0.1, 50, 24).unsqueeze(1)
    torch.testing.assert_close(objective(outputs * scales, labels), objective(outputs, labels))


def test_a_batch_of_one_class_has_no_contrastive_loss(embeddings):
    outputs = embeddings[0].clone().requires_grad_()
    loss = build("supervised_contrastive")(outputs, torch.zeros(24, dtype=torch.int64))
    loss.backward()
    assert loss == 0
    assert not outputs.grad.any()


def test_contrastive_classes_are_the_nearest_mean_directions(embeddings):
    outputs, labels = embeddings
    objective = build("supervised_contrastive")
    assert not objective.ready
    for part in torch.randperm(24, generator=torch.Generator().manual_seed(2)).split(5):
        objective.observe(outputs[part].requires_grad_(), labels[part])
        assert not objective.ready
        assert not objective.sums.requires_grad  # no graph is kept
    objective.end_epoch()
    assert objective.ready
    shown = torch.randn(200, 7, generator=torch.Generator().manual_seed(3))
    unit = functional.normalize(outputs)
    means = {c: unit[labels == c].mean(0) for c in range(4)}
    expected = [
        max(means, key=lambda c: functional.cosine_similarity(row, means[c], dim=0).item()) for row in shown
    ]
    assert objective.predict(shown).tolist() == expected
    assert set(expected) == {0, 1, 2, 3}


def test_an_absent_class_is_never_predicted():
    objective = build("supervised_contrastive", classes=3)
    objective.observe(torch.tensor([[1.0, 0], [1, 0]]), torch.tensor([0, 2]))
    objective.end_epoch()
    # all cosines with the classes present are negative, and an absent one must not win with 0
    assert objective.predict(torch.tensor([[-1.0, 0.1]])).item() in (0, 2)


def test_predictions_use_the_last_complete_epoch_alone():
    objective = build("supervised_contrastive", classes=2)
    labels = torch.tensor([0, 1])
    objective.observe(torch.eye(2), labels)
    objective.end_epoch()
    objective.observe(torch.eye(2).flip(0), labels)
    assert objective.predict(torch.eye(2)).tolist() == [0, 1]
    objective.end_epoch()
    assert objective.predict(torch.eye(2)).tolist() == [1, 0]


@pytest.mark.parametrize("halfway", [False, True], ids=["between epochs", "within an epoch"])
def test_a_contrastive_objective_goes_on_from_its_state(embeddings, halfway):
    outputs, labels = embeddings
    objective = build("supervised_contrastive")
    assert not load(objective).ready
    objective.observe(outputs, labels)
    objective.end_epoch()
    if halfway:
        objective.observe(outputs[:10].flip(1), labels[:10])
    resumed = load(objective)
    assert resumed.ready
    shown = outputs + 0.3
    assert torch.equal(resumed.predict(shown), objective.predict(shown))
    for one in (objective, resumed):
        one.observe(outputs[10:].flip(1), labels[10:])
        one.end_epoch()
    assert torch.equal(resumed.directions, objective.directions)
    # a state from further on also replaces buffers that have a width already
    resumed.load_state_dict(build("supervised_contrastive").state_dict())
    assert not resumed.ready


def load(objective: Objective) -> Objective:
    other = build("supervised_contrastive")
    other.load_state_dict(copy.deepcopy(objective.state_dict()))
    return other


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 6)
        self.top = nn.ModuleDict({"fc": nn.Linear(6, 3), "norm": nn.LayerNorm(6)})
        self.fc2 = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.top["fc"](self.body(x))


def widths(head: nn.Module) -> list[tuple[str, int, int]]:
    return [
        (type(part).__name__, getattr(part, "in_features", 0), getattr(part, "out_features", 0))
        for part in head.modules()
        if not list(part.children())
    ]


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_an_mlp_k_has_k_hidden_layers_and_a_linear_last_one(layers):
    head = projection_head(6, layers, 10, 4)
    sizes = [6, *[10] * layers, 4]
    linear = [("Linear", a, b) for a, b in pairwise(sizes)]
    expected = [part for layer in linear for part in (layer, ("ReLU", 0, 0))][:-1]
    assert widths(head) == expected
    assert head(torch.zeros(2, 6)).shape == (2, 4)


@pytest.mark.parametrize(
    ("head", "classes", "expected"),
    [
        (projection(), None, [("Linear", 6, 4)]),
        (
            projection(layers=1),
            3,
            [("Linear", 6, 6), ("ReLU", 0, 0), ("Linear", 6, 4), ("Linear", 4, 3)],
        ),
        (projection(layers=1, hidden=9), None, [("Linear", 6, 9), ("ReLU", 0, 0), ("Linear", 9, 4)]),
    ],
)
def test_a_head_takes_the_classifiers_place(head, classes, expected):
    network = Net().to(torch.bfloat16)
    attach_head(network, "top.fc", head, classes)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.bfloat16}
    assert [part for part in widths(network.top["fc"]) if part[0] != "Sequential"] == expected
    output = classes or head.output
    assert network(torch.zeros(2, 4, dtype=torch.bfloat16)).shape == (2, output)


def test_without_its_head_a_state_is_the_backbones():
    network = Net()
    backbone = {name for name in network.state_dict() if not name.startswith("top.fc.")}
    attach_head(network, "top.fc", projection(layers=2), 3)
    bare = without_head(network.state_dict(), "top.fc")
    assert set(bare) == backbone
    # a name that only begins alike is no part of the head
    assert "fc2.weight" in without_head(network.state_dict(), "fc")


@pytest.mark.parametrize(
    ("path", "found"), [("top.norm", "LayerNorm"), ("top.nowhere", "nothing"), ("", "nothing")]
)
def test_no_linear_layer_at_the_path_is_an_error_that_names_it(path, found):
    with pytest.raises(ModelError, match=f"Net: there is {found} at '{path}'"):
        attach_head(Net(), path, projection(), None)


@pytest.mark.parametrize("name", LOSSES)
def test_every_option_of_a_loss_is_read(name):
    class Read:
        def __getattr__(self, option):
            read.add(option)
            return 1

    read: set[str] = set()
    variants.load(losses, name, "loss").build(Read(), 3)
    assert read == set(settings_class(name).model_fields) - set(LossSettings.model_fields)
