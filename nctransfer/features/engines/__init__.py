"""Engines: what computes the forward pass of an extraction, one module each.

A module defines ``prepare(backbone, poolings, settings)``, a context that gives the function from a batch of
images, (N, 3, H, W) uint8 of the input size, to all outputs by the name of their column, each (N, width);
``poolings`` are those of the units, none for the penultimate feature alone.
"""
