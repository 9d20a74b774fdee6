"""Benchmarks of lmmfit against other packages: ``python -m benchmarks SUITE``.

A suite is one module with a ``cases(quick)`` function; a rival is one module of
``benchmarks.adapters``. Nothing here is part of the installed package.
"""

SUITES = {
    "mixed": "linear mixed models with one grouping factor",
    "crossed": "several grouping factors, inference, many responses; who is right",
    "mlp": "networks: products with the Hessian, optimisers, what a fit reaches in a given time",
    "hessian": "what can be asked of a Hessian: eigenvalues, trace, density, products, inverse",
    "riccati": "Riccati equations of both signs, a steel rail, filters of long series",
    "gains": "sparse gains: the equation of distributed control, filters and regulators from it",
    "linalg": "factorizations, band systems, stacks, least squares, error bounds",
}
"""Name of the suite's module -> what it measures."""
