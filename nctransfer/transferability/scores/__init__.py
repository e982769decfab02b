"""Transferability scores, one module each, found by name (``rank.scores`` of the configuration).

A module has

- ``TITLES``: the scores that it gives, by name, as tables and figures write them; higher predicts
  better transfer;
- ``terms(problem)``: numbers of one model's features (:class:`~nctransfer.transferability.problem.Problem`)
  by name: the scores themselves, or what ``pooled`` makes them of;

and may have

- ``pooled(terms)``: the scores of a pool of models from their terms, arrays (M,) by name;
- ``NEEDS_HEAD = True``: it reads the source classifier's logits;
- ``LIMIT``: name of the setting of ``ScoringSettings`` that bounds the samples it is given.

A module that has no meaning on some features raises :class:`~nctransfer.errors.DegenerateInputError`.
"""
