"""Exact products with the Hessian of a network, and what they are good for."""

from lmmfit._lazy import lazy_names

_HOMES = {
    "boltzmann": ("BoltzmannMachine",),
    "boltzmann_state": ("BoltzmannObjective", "BoltzmannState", "BoltzmannStatistics"),
    "density": ("SpectralDensity", "spectral_density"),
    "differences": ("finite_difference_product",),
    "entropy": ("maximum_entropy",),
    "estimates": ("Estimate",),
    "feedforward": ("FeedForwardNetwork",),
    "gibbs": ("GibbsStatistics", "sample_statistics"),
    "inverse": ("HessianSolution", "solve_hessian"),
    "lanczos": ("GaussRules", "lanczos_rules"),
    "layout": ("NetworkLayout",),
    "masked": ("MaskedObjective", "MaskedState", "check_mask"),
    "moments": ("PowerMoments", "chebyshev_moments", "skilling_moments"),
    "operator": ("HessianOperator", "StochasticHessian"),
    "perturbation": ("WeightPerturbation", "weight_perturbation"),
    "posterior": (
        "LaplacePosterior",
        "effective_parameters",
        "evidence_alpha",
        "laplace_posterior",
    ),
    "problem": ("NetworkObjective",),
    "products": ("gauss_newton_vector_product", "hessian_vector_product"),
    "pruning": ("PruningPath", "PruningStage", "prune", "prune_network"),
    "relaxation": ("RelaxationNetwork", "RelaxationState"),
    "saliency": ("removal_step", "saliencies"),
    "scaling": ("Scaling", "merge_rows"),
    "scikit_learn": ("network_of_sklearn", "state_of_sklearn"),
    "spectrum": ("EigenPairs", "eigenpairs"),
    "state": ("NetworkState",),
    "traces": ("estimate_diagonal", "estimate_logdet", "estimate_trace"),
    "unit_state": ("UnitObjective", "UnitState", "WeightState"),
    "units": ("UnitNetwork",),
}

__all__, __getattr__, __dir__ = lazy_names(globals(), _HOMES)
