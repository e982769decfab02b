"""Which models can classify by text, told without importing their libraries."""


def has_text_tower(source: str, name: str | None) -> bool:
    """Whether a model comes with a text tower, so that ``zero_shot`` is possible.

    Args:
        source: of the model's entry.
        name: its ``name``, or its ``architecture`` where the weights are the user's. Whether
            a file of weights holds more than the image tower only the job can tell.
    """
    return source == "open_clip" or (source == "local" and str(name).startswith("open_clip/"))
