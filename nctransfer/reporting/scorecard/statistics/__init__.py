"""Statistics: one module each, found by name.

Each has ``Options``, the class of its options; ``measure(table, options, bound)``, which tests the claim on
the rows of its figures and tables; and ``simulate(table, options, truth, generator)``, which returns these
rows with numbers of a world in which the statistic's number is known, for the calibration of the test.
"""
