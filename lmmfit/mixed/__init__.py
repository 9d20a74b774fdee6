"""Linear mixed models: statistics, criterion, optimum and what follows from them."""

from lmmfit.mixed.anova import anova
from lmmfit.mixed.block_likelihood import BlockCriterion
from lmmfit.mixed.boundary import NullDirection
from lmmfit.mixed.collinearity import diagnose_fixed_effects
from lmmfit.mixed.columns import as_columns
from lmmfit.mixed.contrasts import contrast
from lmmfit.mixed.criterion import profiled_criterion
from lmmfit.mixed.crossed import CrossedStatistics
from lmmfit.mixed.design import Design, bind_design
from lmmfit.mixed.explained import (
    InformationCriteria,
    VarianceExplained,
    icc,
    information_criteria,
    variance_explained,
)
from lmmfit.mixed.factors import GroupLevels, factorize
from lmmfit.mixed.inference import coefficient_table, wald_intervals
from lmmfit.mixed.influence import Influence, cooks_distance, influence, leverage, residuals
from lmmfit.mixed.intervals import confidence_intervals
from lmmfit.mixed.layout import Basis, Layout
from lmmfit.mixed.likelihood import Evaluation, ProfiledCriterion
from lmmfit.mixed.many import ManyFits, fit_many
from lmmfit.mixed.means import MarginalMeans, marginal_means, marginal_trends
from lmmfit.mixed.modes import GroupModes, RandomEffects, group_modes
from lmmfit.mixed.multiplicity import adjust_p_values
from lmmfit.mixed.newton import Optimum, optimize_criterion
from lmmfit.mixed.observation import LmmObservation, log_likelihood, log_likelihood_inverse
from lmmfit.mixed.plots import CaterpillarDisplay, FittedLinesDisplay, ResidualsDisplay
from lmmfit.mixed.prediction import predict_rows
from lmmfit.mixed.profile import Profile, ProfileCurve, profile, profile_intervals
from lmmfit.mixed.resampling import Bootstrap, bootstrap
from lmmfit.mixed.small_sample import SmallSample, small_sample
from lmmfit.mixed.solution import MixedFit, ZeroVariance, fit_statistics
from lmmfit.mixed.statistics import MixedStatistics
from lmmfit.mixed.summary import Summary, summarize, variance_table
from lmmfit.mixed.table import Table
from lmmfit.mixed.terms import RandomTerm, parse_random, split_formula

__all__ = [
    "Basis",
    "BlockCriterion",
    "Bootstrap",
    "CaterpillarDisplay",
    "CrossedStatistics",
    "Design",
    "Evaluation",
    "FittedLinesDisplay",
    "GroupLevels",
    "GroupModes",
    "Influence",
    "InformationCriteria",
    "Layout",
    "LmmObservation",
    "ManyFits",
    "MarginalMeans",
    "MixedFit",
    "MixedStatistics",
    "NullDirection",
    "Optimum",
    "Profile",
    "ProfileCurve",
    "ProfiledCriterion",
    "RandomEffects",
    "RandomTerm",
    "ResidualsDisplay",
    "SmallSample",
    "Summary",
    "Table",
    "VarianceExplained",
    "ZeroVariance",
    "adjust_p_values",
    "anova",
    "as_columns",
    "bind_design",
    "bootstrap",
    "coefficient_table",
    "confidence_intervals",
    "contrast",
    "cooks_distance",
    "diagnose_fixed_effects",
    "factorize",
    "fit_many",
    "fit_statistics",
    "group_modes",
    "icc",
    "influence",
    "information_criteria",
    "leverage",
    "log_likelihood",
    "log_likelihood_inverse",
    "marginal_means",
    "marginal_trends",
    "optimize_criterion",
    "parse_random",
    "predict_rows",
    "profile",
    "profile_intervals",
    "profiled_criterion",
    "residuals",
    "small_sample",
    "split_formula",
    "summarize",
    "variance_explained",
    "variance_table",
    "wald_intervals",
]
