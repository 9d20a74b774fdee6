"""Linear mixed models as a scikit-learn regressor."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from lmmfit.estimators._parameters import check_parameters
from lmmfit.mixed.collinearity import describe_collinearity
from lmmfit.mixed.columns import ArrayColumns, as_columns
from lmmfit.mixed.design import bind_design
from lmmfit.mixed.formula import mentioned_columns
from lmmfit.mixed.inference import wald_intervals
from lmmfit.mixed.layout import INTERCEPT
from lmmfit.mixed.modes import RandomEffects
from lmmfit.mixed.prediction import predict_rows
from lmmfit.mixed.solution import fit_statistics
from lmmfit.mixed.summary import summarize
from lmmfit.mixed.table import Table

_CALLER = 4  # frames between a warning and the call of fit


class LinearMixedModel(RegressorMixin, BaseEstimator):
    """Linear mixed model fitted by REML or maximum likelihood.

    Rows belong to groups whose intercepts and slopes vary around the population's: with
    ``b_g ~ N(0, Sigma)`` for each group g and residuals of variance ``sigma2``,
    ``y = X beta + Z b_g + residual``. The grouping column and the slopes are named in
    ``random`` and taken from X; the other columns of X are the fixed effects.

    Parameters
    ----------
    random : str, default=None
        Random effects in lme4's grammar: ``"(1 + x | g)"`` for a random intercept and slope
        of column ``x`` by column ``g``, ``||`` for uncorrelated effects, terms joined by
        ``+``. Columns of an array are ``x0``, ``x1``, ... None is a linear model.
    fixed : str, default=None
        Right-hand side of a formula for the fixed effects, such as ``"a * b + I(x**2)"``
        (needs formulaic unless it only adds numeric columns). By default every column
        that is no grouping column enters as it is; slope columns stay fixed effects too.
    method : {"reml", "ml"}, default="reml"
        Restricted or full maximum likelihood.
    fit_intercept : bool, default=True
        Whether the fixed effects have an intercept. A formula can leave it out by ``0 +``.
    new_levels : {"population", "error", "nan"}, default="population"
        What predict does with a group never seen: random effects of zero, an error, or NaN.
    max_iter : int, default=100
        Newton steps at most.
    tol : float, default=1e-9
        Decrease of the criterion, in units of -2 log-likelihood, below which a Newton step
        is the last.

    Attributes
    ----------
    coef_ : ndarray of shape (n_fixed,)
        Coefficients of the fixed effects, the intercept left out; 0 for aliased columns.
    intercept_ : float
        Fixed intercept; 0.0 without one.
    fixed_effects_ : Table
        Columns name, estimate, std_error; aliased columns are left out.
    random_effects_ : dict of str to RandomEffects
        For each term the conditional modes (levels x effects) and their covariances. Keys
        are the grouping factors; further terms of the same factor end in ``.1``, ``.2``.
    cov_re_ : dict of str to ndarray of shape (q, q)
        Covariance matrix of the random effects of each term.
    sigma2_ : float
        Residual variance, in squared units of y.
    theta_ : ndarray of shape (k,)
        Relative covariance factor: the lower triangle of each term, column by column.
    loglik_ : float
        Log-likelihood, the restricted one for REML.
    deviance_ : float
        The optimised criterion, -2 ``loglik_``.
    n_iter_ : int
        Evaluations of the criterion.
    converged_ : bool
        Whether the optimality conditions hold, those on the boundary included.
    singular_ : bool
        Whether a combination of random effects has zero variance.
    boundary_report_ : tuple of ZeroVariance
        Those combinations, with the derivative that certifies each.
    aliased_ : list of str
        Columns dropped because the others determine them.
    statistics_ : MixedStatistics
        Sufficient statistics of the data.
    design_ : Design
        Where the columns of the model come from.
    result_ : MixedFit
        The fit as the engine gives it.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns of X, where it has any.

    See Also
    --------
    lmmfit.lmm : The same from one formula.

    Notes
    -----
    Fixed effects and residual variance are profiled out of the likelihood (Bates et al.
    2015); the rest is minimised by Newton's method with exact derivatives over the
    cross-products of each group, and certified on the boundary of the covariance matrices.
    ``sample_weight`` follows lme4: residuals have variance ``sigma2 / weight``, and rows of
    weight zero do not count.

    References
    ----------
    Bates, D., Maechler, M., Bolker, B. and Walker, S. (2015). Fitting linear mixed-effects
    models using lme4. Journal of Statistical Software 67(1).

    Examples
    --------
    >>> from lmmfit import LinearMixedModel
    >>> from lmmfit.datasets import load_sleepstudy
    >>> X, y = load_sleepstudy(return_X_y=True, as_frame=True)
    >>> model = LinearMixedModel(random="(Days | Subject)").fit(X, y)
    >>> round(model.deviance_, 3), model.coef_.round(3)
    (1743.628, array([10.467]))
    >>> model.random_effects_["Subject"]["308"]
    {'(Intercept)': 2.258..., 'Days': 9.198...}
    """

    _parameter_constraints = {  # noqa: RUF012
        "random": [str, None],
        "fixed": [str, None],
        "method": [StrOptions({"reml", "ml"})],
        "fit_intercept": ["boolean"],
        "new_levels": [StrOptions({"population", "error", "nan"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0.0, None, closed="left")],
    }

    def __init__(
        self,
        random=None,
        *,
        fixed=None,
        method="reml",
        fit_intercept=True,
        new_levels="population",
        max_iter=100,
        tol=1e-9,
    ):
        self.random = random
        self.fixed = fixed
        self.method = method
        self.fit_intercept = fit_intercept
        self.new_levels = new_levels
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : data frame or array-like of shape (n, n_features)
            Fixed effects, slopes and grouping columns. Any data frame that narwhals reads.
        y : array-like of shape (n,)
            Response.
        sample_weight : array-like of shape (n,), optional
            Inverse relative variances of the residuals; zero leaves a row out.

        Returns
        -------
        LinearMixedModel
            The fitted estimator.

        Raises
        ------
        ValueError
            If a column is missing, holds no numbers or a value that is not finite. The
            estimator is then as it was before.
        """
        return self._fit(X, y, sample_weight, None)

    def partial_fit(self, X, y, sample_weight=None):
        """Fit the model to all rows given so far; rows of earlier calls are not needed again.

        Parameters
        ----------
        X : data frame or array-like of shape (n, n_features)
            Further rows, of known or new groups.
        y : array-like of shape (n,)
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        LinearMixedModel
            The estimator, fitted to the sum of the statistics; the same as one fit to all rows.

        Raises
        ------
        ValueError
            As for fit; what was learnt before is kept.
        """
        return self._fit(X, y, sample_weight, getattr(self, "statistics_", None))

    def predict(self, X, *, conditional=True, return_std=False):
        """Predict the response.

        Parameters
        ----------
        X : data frame or array-like of shape (n, n_features)
        conditional : bool, default=True
            Whether to use the random effects of known groups; False predicts the population.
        return_std : bool, default=False
            Whether to return the standard deviation of a new observation as well: it holds
            the uncertainty of fixed and random effects and the residual variance. That of
            the expected value alone is ``sqrt(std**2 - sigma2_)``.

        Returns
        -------
        y_mean : ndarray of shape (n,)
        y_std : ndarray of shape (n,), only with ``return_std``

        Raises
        ------
        ValueError
            If a value is missing or, with ``new_levels="error"``, a group is new.
        """
        check_is_fitted(self)
        return predict_rows(
            self.result_,
            self.design_,
            self._columns(X, reset=False),
            conditional=conditional,
            return_std=return_std,
            new_levels=self.new_levels,
        )

    def summary(self):
        """Summary of the fit in the order of lme4; prints as text, shows as HTML in notebooks.

        Returns
        -------
        Summary
        """
        check_is_fitted(self)
        return summarize(self)

    def conf_int(self, level=0.95):
        """Wald confidence intervals of the fixed effects.

        Parameters
        ----------
        level : float, default=0.95

        Returns
        -------
        Table
            Columns name, lower, upper.
        """
        check_is_fitted(self)
        return wald_intervals(self, level)

    @property
    def random_effects_(self):
        """Conditional modes and covariances of the random effects of each term."""
        check_is_fitted(self)
        layout, found = self.design_.layout, {}
        levels = self.statistics_.factor_levels
        taken = [0] * layout.n_factors
        for key, (start, stop), owner in zip(
            self.cov_re_, layout.blocks, layout.owners, strict=True
        ):
            modes, first = self.result_.modes[owner], taken[owner]
            own = slice(first, first + stop - start)
            taken[owner] = own.stop
            found[key] = RandomEffects(
                self.design_.terms[len(found)].group,
                levels[owner].labels,
                tuple(layout.random_names[start:stop]),
                modes.modes[:, own],
                modes.covariance[:, own, own],
            )
        return found

    def _fit(self, X, y, sample_weight, earlier):
        """Validate, summarise, optimise, publish; on an error the estimator is as before."""
        check_parameters(self)
        before = self.__dict__.copy()
        try:
            self.__dict__.pop("formula_", None)
            if earlier is not None and self._structure() != self.design_.structure:
                raise ValueError(
                    f"partial_fit goes on with random and fixed as they were, "
                    f"{self.design_.structure}; they are {self._structure()} now. Call fit."
                )
            columns = self._columns(X, reset=earlier is None)
            y, weight = self._targets(y, sample_weight, columns)
            design = self.design_ if earlier is not None else self._bind(columns)
            statistics = design.summarize(
                columns, y, sample_weight=weight, basis=earlier.basis if earlier else None
            )
            if earlier is not None:
                statistics = earlier + statistics
            result = fit_statistics(statistics, self.method, tol=self.tol, max_iter=self.max_iter)
            self._publish(design, result)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        self._warn()
        return self

    def _bind(self, columns):
        return bind_design(columns, *self._structure())

    def _structure(self):
        """What the statistics depend on."""
        return self.random, self.fixed, bool(self.fit_intercept)

    def _columns(self, X, reset):
        """View X by columns; check names and their number."""
        columns = as_columns(X)
        if columns is None or not (reset or hasattr(self, "feature_names_in_")):
            X = validate_data(self, X, dtype=None, ensure_all_finite=False, reset=reset)
            return ArrayColumns(X, getattr(self, "feature_names_in_", None))
        if self.fixed is not None:
            wanted = mentioned_columns([self.fixed, self.random or ""], columns.names)
            columns = columns.select(wanted)
            X = columns.native()
        if reset:
            self.n_features_in_ = len(columns.names)
            self.feature_names_in_ = np.array(columns.names, dtype=object)
        elif self.fixed is None and columns.names != list(getattr(self, "feature_names_in_", ())):
            validate_data(self, X, skip_check_array=True, reset=False)
        return columns

    def _targets(self, y, sample_weight, columns):
        """Check the response and the weights."""
        if y is None:
            raise ValueError(
                f"requires y to be passed, but the target y is None: {type(self).__name__} is "
                "a regressor."
            )
        values = y.to_numpy() if hasattr(y, "to_numpy") else y
        plain = isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "fiub"
        y = values if plain else column_or_1d(y, dtype=np.float64, warn=True)
        y = np.asarray(y, dtype=np.float64)
        if len(y) != len(columns):
            raise ValueError(
                "Found input variables with inconsistent numbers of samples: "
                f"X has {len(columns)} rows and y {len(y)}."
            )
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, y, dtype=np.float64)
        return y, sample_weight

    def _publish(self, design, result):
        """Set the fitted attributes."""
        names = design.layout.fixed_names
        kept = [j for j in range(len(names)) if j not in result.aliased]
        slopes = [j for j, name in enumerate(names) if name != INTERCEPT]
        self.design_, self.result_, self.statistics_ = design, result, result.statistics
        self.coef_ = result.beta[slopes]
        self.intercept_ = float(result.beta[names.index(INTERCEPT)]) if INTERCEPT in names else 0.0
        self.fixed_effects_ = Table(
            {
                "name": np.array([names[j] for j in kept], dtype=object),
                "estimate": result.beta[kept],
                "std_error": np.sqrt(result.beta_covariance.diagonal()[kept]),
            }
        )
        self.cov_re_ = dict(zip(_term_keys(design.terms), result.block_covariances, strict=True))
        self.sigma2_, self.theta_ = result.sigma2, result.theta
        self.loglik_, self.deviance_ = result.loglik, result.deviance
        self.n_iter_, self.converged_ = result.n_iter, result.converged
        self.singular_, self.boundary_report_ = bool(result.boundary), result.boundary
        self.aliased_ = [names[j] for j in result.aliased]

    def _warn(self):
        """Say what the user must know of the fit."""
        statistics, result = self.statistics_, self.result_
        told = describe_collinearity(statistics, bool(self.aliased_))
        if self.aliased_:
            warnings.warn(
                f"the design is rank-deficient: {self.aliased_} are determined by the other "
                f"fixed effects and were dropped (coefficient 0): {told}.", UserWarning, _CALLER,
            )  # fmt: skip
        elif told:
            warnings.warn(
                f"the fixed effects are nearly collinear: {told}. Their coefficients are poorly "
                "determined; lmmfit.mixed.diagnose_fixed_effects(model.statistics_) tells more.",
                UserWarning, _CALLER,
            )  # fmt: skip
        if result.saturated:
            warnings.warn(
                "the fixed effects fit the response exactly: no variance is left to estimate, "
                "and the likelihood is unbounded.", UserWarning, _CALLER,
            )  # fmt: skip
        confounded, design = False, self.design_
        sizes = [len(levels) for levels in statistics.factor_levels]
        for term, (start, stop), owner in zip(
            design.terms, design.layout.blocks, design.layout.owners, strict=True
        ):
            m = sizes[owner]
            if m == 1 or m * (stop - start) >= statistics.n_rows:
                confounded = True
                warnings.warn(
                    f"the random effects {term} have {m} level(s) for {statistics.n_rows} rows: "
                    "their variance cannot be told from the residual's. Use a grouping column "
                    "with several levels and several rows in each.", UserWarning, _CALLER,
                )  # fmt: skip
        if not self.converged_ and not confounded:
            warnings.warn(
                f"no optimum was certified ({result.reason} after {self.n_iter_} evaluations): "
                "raise max_iter, or scale the columns of X.", ConvergenceWarning, _CALLER,
            )  # fmt: skip


def _term_keys(terms):
    """One key for each term: the grouping factor, numbered when it comes again."""
    keys = []
    for term in terms:
        again = sum(1 for other in terms[: len(keys)] if other.group == term.group)
        keys.append(f"{term.group}.{again}" if again else term.group)
    return keys
