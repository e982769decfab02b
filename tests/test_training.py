"""The small trainer of source models: against torch's own scheduler, repeatable, honest about failure."""

import math

import pytest
import torch
from torch import nn

from nctransfer.errors import TrainingError
from nctransfer.training.loop import Split, Standardisation, cosine, evaluate, train

SETTINGS = {
    "loss": "cross_entropy",
    "epochs": 6,
    "batch_size": 16,
    "learning_rate": 0.05,
    "learning_rate_min": 1e-4,
    "momentum": 0.9,
    "weight_decay": 1e-4,
}


@pytest.fixture
def splits() -> dict[str, Split]:
    """Two classes told apart by brightness."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(65) % 2
    images = torch.randint(0, 100, (65, 3, 8, 8), generator=generator) + 100 * labels.view(-1, 1, 1, 1)
    whole = Split(images.to(torch.uint8), labels)
    return {"train": whole, "test": Split(whole.images[:20], whole.labels[:20])}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )


def test_the_cosine_is_torchs():
    parameter = nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=50, eta_min=1e-4)
    for epoch in range(50):
        assert cosine(epoch, 50, 0.1, 1e-4) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9)
        optimiser.step()
        schedule.step()


def test_standardised_images_have_mean_0_and_variance_1(splits):
    images = splits["train"].images
    scaled = Standardisation.of(images)(images)
    torch.testing.assert_close(scaled.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(scaled.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)


def test_a_constant_channel_is_left_unscaled():
    scale = Standardisation.of(torch.full((4, 3, 2, 2), 7, dtype=torch.uint8))
    assert scale.std == (1.0, 1.0, 1.0)


def test_it_learns_what_can_be_learnt_and_keeps_a_history(splits):
    scale = Standardisation.of(splits["train"].images)
    model = network()
    history = train(model, splits, scale, SETTINGS, seed=3)
    assert list(history["epoch"].unique()) == [1, 2, 3, 4, 5, 6]
    assert history.iloc[-1]["accuracy"] > 90
    assert history.iloc[-1]["accuracy"] == evaluate(model, splits["test"], scale)
    losses = history[history["split"] == "train"]["loss"]
    assert losses.iloc[-1] < losses.iloc[0]
    assert history.iloc[0]["learning_rate"] == pytest.approx(0.05)


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(splits):
    scale = Standardisation.of(splits["train"].images)
    states = []
    for seed in (3, 3, 4):
        model = network()
        train(model, splits, scale, SETTINGS, seed=seed)
        states.append(torch.cat([value.flatten().double() for value in model.state_dict().values()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_one_step_is_that_of_torchs_optimiser(splits):
    scale = Standardisation.of(splits["train"].images)
    ours, theirs = network(), network()
    train(ours, splits, scale, SETTINGS | {"epochs": 1, "batch_size": 65}, seed=3)
    optimiser = torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    loss = nn.functional.cross_entropy(theirs.train()(scale(splits["train"].images)), splits["train"].labels)
    loss.backward()
    optimiser.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def test_divergence_is_an_error_that_names_the_key(splits):
    scale = Standardisation.of(splits["train"].images)
    with pytest.raises(TrainingError, match=r"the loss is .* in epoch 1; lower training.learning_rate"):
        train(network(), splits, scale, SETTINGS | {"learning_rate": math.inf}, seed=0)


def test_nothing_to_train_on_is_an_error(splits):
    one = {"train": Split(splits["train"].images[:1], splits["train"].labels[:1]), "test": splits["test"]}
    with pytest.raises(TrainingError, match="at least 2 images; the training split has 1"):
        train(network(), one, Standardisation.of(one["train"].images), SETTINGS, seed=0)
