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
    "inverse": ("HessianSolution", "solve_hessian"),
    "lanczos": ("GaussRules", "lanczos_rules"),
    "gibbs": ("GibbsStatistics", "sample_statistics"),
    "layout": ("NetworkLayout",),
    "masked": ("MaskedObjective", "MaskedState"),
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
    "relaxation": ("RelaxationNetwork", "RelaxationState"),
    "pruning": ("PruningPath", "PruningStage", "prune", "prune_network"),
    "saliency": ("removal_step", "saliencies"),
    "scikit_learn": ("network_of_sklearn", "state_of_sklearn"),
    "scaling": ("Scaling", "merge_rows"),
    "spectrum": ("EigenPairs", "eigenpairs"),
    "state": ("NetworkState",),
    "traces": ("estimate_diagonal", "estimate_logdet", "estimate_trace"),
    "unit_state": ("UnitObjective", "UnitState", "WeightState"),
    "units": ("UnitNetwork",),
}

__all__, __getattr__, __dir__ = lazy_names(globals(), _HOMES)
