"""Transferability scores, one module each, found by name (``rank.scores`` of the configuration).

A module has

- ``TITLES``: its scores by name, with their names in tables and figures; higher values predict better
  transfer;
- ``terms(problem)``: numbers by name for the features of one model
  (:class:`~nctransfer.transferability.problem.Problem`): the scores themselves, or the input of ``pooled``;

and may have

- ``pooled(terms)``: the scores of a pool of models from their terms, arrays (M,) by name;
- ``NEEDS_HEAD = True``: it reads the logits of the source classifier;
- ``LIMIT``: name of the setting of ``ScoringSettings`` that limits its number of samples.

A module raises :class:`~nctransfer.errors.DegenerateInputError` for features for which it is undefined.
"""
