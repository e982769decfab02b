"""Transferability scores, one module each, found by name (``rank.scores`` of the configuration).

A module has

- ``TITLES``: its scores by name, with their names in tables and figures; higher values predict better
  transfer;
- ``terms(problem)``: numbers by name for the features of one model
  (:class:`~nctransfer.transferability.problem.Problem`): the scores themselves, or the input of ``summands``;

and may have

- ``summands(terms)``: for each score what each term adds to it in a pool of models, arrays (M,) by term; the
  score is their sum, and rankings show each term alone and the score without each;
- ``TERMS``: names of these terms in tables;
- ``NEEDS_HEAD = True``: it reads the logits of the source classifier;
- ``LIMIT``: name of the setting of ``ScoringSettings`` that limits its number of samples.

A module raises :class:`~nctransfer.errors.DegenerateInputError` for features for which it is undefined.
"""
