"""Riccati and Lyapunov equations, and what is built on them: filters, regulators, reduction."""

from lmmfit._lazy import lazy_names

_HOMES = {
    "bernoulli": ("stabilizing_start",),
    "care": ("solve_care",),
    "certificate": (
        "closed_loop_radius",
        "rightmost_eigenvalue",
        "typical_size",
    ),
    "dare": ("solve_dare",),
    "doubling": (
        "RiccatiMap",
        "compose",
        "double_until",
        "iterate_map",
        "next_change",
        "qadi_map",
        "without_dust",
    ),
    "em": ("EMResult", "fit_em"),
    "errors": (
        "NotBoundedRealError",
        "NotDetectableError",
        "NotStabilizableError",
        "RiccatiError",
    ),
    "factor_iteration": ("FactorIteration", "cfqadi"),
    "factored": ("FactoredMap", "double_factored", "factored_qadi_map"),
    "forecasting": ("Forecast", "forecast", "simulate"),
    "kalman": ("FilterState", "FilteredSeries", "filter_series", "start_filter"),
    "lyapunov": ("solve_lyapunov",),
    "lyapunov_solution": ("LyapunovSolution",),
    "model": ("ReducedModel", "transfer_function"),
    "modes": ("check_modes", "unstable_space"),
    "newton": ("newton_care",),
    "norms": ("hinf_norm",),
    "passivity": ("passivity_preserving_reduction", "solve_positive_real"),
    "reduction": ("balanced_stochastic_truncation",),
    "regulator": ("dlqr", "lqr"),
    "sampling": ("discretise",),
    "shifted_solver": ("ShiftedSolver", "sparse_in_truth"),
    "hamiltonian_shifts": ("HamiltonianShifts",),
    "shifts": (
        "check_shifts",
        "cycle_shifts",
        "geometric_shifts",
        "named_shifts",
        "penzl_shifts",
        "quick_shift",
        "single_shift",
        "wachspress_shifts",
    ),
    "smoother": ("SmoothedSeries", "smooth_series"),
    "solution": ("RiccatiSolution",),
    "stability": (
        "has_growing_mode",
        "is_dissipative",
        "is_provably_stable",
        "is_stable_metzler",
    ),
    "steady": ("ContinuousFilter", "SteadyFilter", "kalman_bucy", "steady_filter"),
}

__all__, __getattr__, __dir__ = lazy_names(globals(), _HOMES)
