"""What the kinds of figures and tables show, in words, for REPORT.md and the report alone."""

# What a kind of figure or table shows, in a line.
KINDS = {
    "across_datasets": "One model on several data sets",
    "candidates_diagram": "Units that can be tuned",
    "collapse_by_unit": "NC1 by unit after fine-tuning",
    "comparison": "Losses and projection heads",
    "few_shot": "Few-shot learning",
    "layerwise": "NC1 and probe accuracy by unit",
    "layerwise_diagram": "Layer-wise transfer, as a diagram",
    "methods": "Fine-tuning methods",
    "over_training": "Collapse over training",
    "measurements": "What is measured where",
    "pretraining": "Pre-training losses",
    "ranking": "Models ranked",
    "ranking_units": "Units ranked",
    "samples": "Accuracy by samples per class",
    "search": "Learning rate and weight decay",
    "tasks": "Tasks of a benchmark",
    "transfer": "Transfer accuracy against NC1",
    "tuned_unit_law": "Layer FT of each unit",
    "tuned_units": "Which units are tuned, and how many",
    "tuning_diagram": "What Layer FT and SCL FT train, as a diagram",
}


def shows(kind: str) -> str:
    """What a kind of figure or table shows."""
    return KINDS.get(kind, kind.replace("_", " ").capitalize())
