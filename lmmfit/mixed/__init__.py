"""Linear mixed models: statistics, criterion, optimum and what follows from them."""

from importlib import import_module

_HOMES = {
    "terms": ("RandomTerm", "parse_random", "split_formula"),
    "columns": ("as_columns",),
    "factors": ("GroupLevels", "factorize"),
    "design": ("Design", "bind_design"),
    "layout": ("Basis", "Layout"),
    "statistics": ("MixedStatistics",),
    "crossed": ("CrossedStatistics",),
    "criterion": ("profiled_criterion",),
    "likelihood": ("Evaluation", "ProfiledCriterion"),
    "block_likelihood": ("BlockCriterion",),
    "newton": ("Optimum", "optimize_criterion"),
    "boundary": ("NullDirection",),
    "solution": ("MixedFit", "ZeroVariance", "fit_statistics"),
    "modes": ("GroupModes", "RandomEffects", "group_modes"),
    "residual": ("ResidualStructure", "parse_residual"),
    "residual_statistics": ("ResidualStatistics",),
    "residual_fit": ("fit_residual",),
    "prediction": ("predict_many", "predict_rows"),
    "simulation": ("simulate_rows",),
    "collinearity": ("diagnose_fixed_effects",),
    "summary": ("Summary", "summarize", "variance_table"),
    "table": ("Table",),
    "inference": ("coefficient_table", "wald_intervals"),
    "reference_distributions": ("FTest", "SmallSample"),
    "degrees": ("small_sample",),
    "comparison": ("anova",),
    "intervals": ("confidence_intervals",),
    "profiles": ("Profile", "ProfileCurve", "profile", "profile_intervals"),
    "resampling": ("Bootstrap", "bootstrap"),
    "contrasts": ("contrast",),
    "means": ("MarginalMeans", "marginal_means", "marginal_trends"),
    "multiplicity": ("adjust_p_values",),
    "explained": (
        "InformationCriteria", "VarianceExplained", "icc", "information_criteria",
        "variance_explained",
    ),
    "influences": ("Influence", "cooks_distance", "influence", "leverage", "residuals"),
    "many": ("ManyFits", "fit_many"),
    "observation": ("LmmObservation", "log_likelihood", "log_likelihood_inverse"),
    "plots": (
        "CaterpillarDisplay", "FittedLinesDisplay", "ProfileDisplay", "ResidualsDisplay",
        "VariancePartitionDisplay",
    ),
}  # fmt: skip
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name):
    """Import a module when one of its names is first used: a fit needs few of them."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
