"""Second-order optimisers: descents that propose steps, searches that judge them."""

from lmmfit._lazy import lazy_names

_HOMES = {
    "damping": ("Damping",),
    "dense_newton": ("NewtonResult", "minimize_newton", "promised_decrease"),
    "driver": ("minimize",),
    "eigen_rate": ("SGD", "EigenvalueRate", "Stream"),
    "limited_memory": ("LimitedMemory", "SteepestDescent", "apply_inverse"),
    "line_search": ("ExactLineSearch", "LineSearch"),
    "methods": ("LBFGS", "GaussNewton", "LevenbergMarquardt", "NewtonCG"),
    "normal_equations": ("NormalEquations",),
    "objective": ("Objective",),
    "run": ("OptimizeResult", "Optimizer", "Recombined", "Run"),
    "scaled_conjugate": ("SCG",),
    "starts": ("screen_starts",),
    "switching": ("Switching",),
    "truncated_cg": ("TruncatedCG",),
    "trust_region": ("TrustRegion",),
}

__all__, __getattr__, __dir__ = lazy_names(globals(), _HOMES)
