"""Linear mixed models as a scikit-learn regressor."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from lmmfit import mixed  # its rooms open at first use: a fit needs few of them
from lmmfit.estimators import _many
from lmmfit.estimators._fitting import begin_callbacks, unchanged_on_error
from lmmfit.estimators._parameters import check_parameters
from lmmfit.estimators._publish import publish
from lmmfit.estimators._targets import check_targets
from lmmfit.estimators._warnings import warn_of_fit
from lmmfit.mixed.columns import ArrayColumns, as_columns
from lmmfit.mixed.design import bind_design
from lmmfit.mixed.formula import mentioned_columns
from lmmfit.mixed.modes import random_effects
from lmmfit.mixed.prediction import predict_rows
from lmmfit.mixed.residual import parse_residual, residual_columns, without_columns
from lmmfit.mixed.residual_fit import fit_residual
from lmmfit.mixed.residual_statistics import ResidualStatistics
from lmmfit.mixed.solution import fit_statistics

_CALLER = 5  # frames between a warning and the call of fit


class LinearMixedModel(CallbackSupportMixin, RegressorMixin, BaseEstimator):
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
    residual : str, default=None
        Residual structure: ``"ident(s)"`` for a residual variance of each level of column
        ``s``, ``"ar1(g)"`` for residuals that correlate as a first-order autoregression along
        the rows of each level of ``g``, ``"ar1(t | g)"`` with whole times ``t``, or
        ``"ident(s) + ar1(g)"``. Columns that only ``residual`` names are no fixed effects,
        unless ``fixed`` names them. None is one variance for independent residuals.
    n_jobs : int, default=None
        Threads for many responses, as joblib counts them.
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
        Residual variance, in squared units of y; that of the first stratum with ``ident``.
    response_names_ : list
        Of a fit to many responses: names of the columns of y, or their numbers. The first axis
        of the attributes above and below is then that of the responses; ``response(name)`` is
        the model of one.
    residual_ : ResidualStructure or None
        The estimated residual structure: ``strata``, their standard deviations over that of the
        first ``delta``, the correlation ``phi``, their standard errors in ``table``.
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
        Sufficient statistics of the data; at the estimated residual structure, if any.
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
    weight zero do not count. Residual structures are those of ``varIdent`` and ``corAR1`` in
    nlme; standard errors, tests and intervals take their estimates as known.

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
        "residual": [str, None],
        "n_jobs": [Integral, None],
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
        residual=None,
        n_jobs=None,
        max_iter=100,
        tol=1e-9,
    ):
        self.random = random
        self.fixed = fixed
        self.method = method
        self.fit_intercept = fit_intercept
        self.new_levels = new_levels
        self.residual = residual
        self.n_jobs = n_jobs
        self.max_iter = max_iter
        self.tol = tol

    @with_callbacks
    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : data frame or array-like of shape (n, n_features)
            Fixed effects, slopes and grouping columns. Any data frame that narwhals reads.
        y : array-like of shape (n,) or (n, k)
            Response, or k responses of the same rows, each fitted by itself: all that does not
            depend on the response is done once.
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

    @with_callbacks
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
            As for fit, and with a residual structure; what was learnt before is kept.
        """
        if hasattr(self, "response_names_") or _many.is_many(y):
            raise ValueError(
                "partial_fit takes one response: statistics of many are not kept. Call fit with "
                "all rows."
            )
        before = getattr(self, "residual_", None)
        if self.residual is not None or before is not None:
            text = self.residual if before is None else before.terms.text
            raise ValueError(
                f"partial_fit cannot go on with the residual structure {text!r}: its parameters "
                "need the statistics of all rows. Call fit with all rows."
            )
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
            the uncertainty of fixed and random effects and the residual variance, with
            ``ident`` that of the row's stratum. That of the expected value alone is
            ``sqrt(std**2 - sigma2_)``. Residuals of other rows of a group are not used.

        Returns
        -------
        y_mean : ndarray of shape (n,) or (n, k)
        y_std : ndarray of the same shape, only with ``return_std``

        Raises
        ------
        ValueError
            If a value is missing or, with ``new_levels="error"``, a group is new; with
            ``return_std``, if a stratum of ``ident`` is new.
        """
        check_is_fitted(self)
        columns = self._columns(X, reset=False)
        if hasattr(self, "response_names_"):
            return _many.predict_responses(self, columns, conditional, return_std)
        return predict_rows(
            self.result_,
            self.design_,
            columns,
            conditional=conditional,
            return_std=return_std,
            new_levels=self.new_levels,
        )

    def summary(self, ddf="satterthwaite"):
        """Summary of the fit in the order of lme4; prints as text, shows as HTML in notebooks.

        Parameters
        ----------
        ddf : {"satterthwaite", "kenward-roger", "normal"}, default="satterthwaite"
            Degrees of freedom of the tests of fixed effects.

        Returns
        -------
        Summary
        """
        self._check_one_response("summary()")
        return mixed.summarize(self, ddf)

    def conf_int(self, level=0.95, *, method="wald", parameters=None, **options):
        """Confidence intervals.

        Parameters
        ----------
        level : float, default=0.95
        method : {"wald", "profile", "bootstrap"}, default="wald"
        parameters : sequence of str, optional
            By default the fixed effects for ``"wald"``, and all parameters for the others.
        **options
            Those of :func:`lmmfit.mixed.confidence_intervals`, such as ``n_resamples``.

        Returns
        -------
        Table
            Columns name, lower, upper; with ``parameters``, or another method, estimate too.
        """
        self._check_one_response("conf_int()")
        if method == "wald" and parameters is None and not options:
            return mixed.wald_intervals(self, level)
        return mixed.confidence_intervals(
            self, method, level=level, parameters=parameters, **options
        )

    def simulate(self, X, n_simulations=1, *, conditional=False, sample_weight=None,
                 random_state=None):  # fmt: skip
        """Simulate responses for the rows of X from the fitted model.

        Parameters
        ----------
        X : data frame or array-like of shape (n, n_features)
            Levels never seen are levels like any other.
        n_simulations : int, default=1
        conditional : bool, default=False
            Whether to keep the conditional modes of the random effects instead of drawing new
            ones.
        sample_weight : array-like of shape (n,), optional
            Inverse relative variances of the residuals.
        random_state : int, numpy.random.Generator or None, default=None

        Returns
        -------
        ndarray of shape (n, n_simulations)
            Fit a model to all of them by ``fit(X, simulated)``.
        """
        self._check_one_response("simulate()")
        if not isinstance(n_simulations, Integral) or n_simulations < 1:
            raise ValueError(f"n_simulations must be a positive integer, got {n_simulations!r}.")
        columns = self._columns(X, reset=False)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, np.zeros(len(columns)))
        return mixed.simulate_rows(
            self.result_, self.design_, columns, int(n_simulations),
            np.random.default_rng(random_state), conditional=conditional, weights=sample_weight,
        )  # fmt: skip

    def refit(self, X, y, sample_weight=None):
        """Fit the same model to another response, such as a simulated one.

        Parameters
        ----------
        X : data frame or array-like of shape (n, n_features)
        y : array-like of shape (n,) or (n, k)
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        LinearMixedModel
            A new fitted estimator; this one is as it was.
        """
        check_is_fitted(self)
        other = clone(self).fit(X, y, sample_weight=sample_weight)
        if hasattr(self, "formula_"):
            other.formula_ = self.formula_
        return other

    def response(self, which):
        """The model of one of many responses, with all that follows from one.

        Parameters
        ----------
        which : int or str
            Position or name of the response.

        Returns
        -------
        LinearMixedModel
            Fitted.
        """
        check_is_fitted(self)
        return _many.one_response(self, which)

    @property
    def random_effects_(self):
        """Conditional modes and covariances of the random effects of each term."""
        self._check_one_response("random_effects_")
        return random_effects(self.result_, self.design_.layout, list(self.cov_re_))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _fit(self, X, y, sample_weight, earlier):
        """Validate, summarise, optimise, publish; on an error the estimator is as before."""
        check_parameters(self)
        with unchanged_on_error(self):
            for name in ("formula_", "response_names_"):
                self.__dict__.pop(name, None)
            if earlier is not None and self._structure() != self.design_.structure:
                raise ValueError(
                    f"partial_fit goes on with random and fixed as they were, "
                    f"{self.design_.structure}; they are {self._structure()} now. Call fit."
                )
            columns = self._columns(X, reset=earlier is None)
            y, weight = check_targets(self, y, sample_weight, columns, earlier)
            tasks = _many.n_tasks(y.shape[1]) if y.ndim == 2 else 0
            context = begin_callbacks(self, X, y, max_subtasks=tasks, sequential_subtasks=False)
            design = self.design_ if earlier is not None else self._bind(columns)
            if y.ndim == 2:
                result = _many.optimize_many(self, design, columns, y, weight, context)
            else:
                result = self._optimize(design, columns, y, weight, earlier)
            publish(self, design, result)
            if context is not None:
                context.call_on_fit_task_end(estimator=self, X=X, y=y)
        warn_of_fit(self, _CALLER)
        return self

    def _optimize(self, design, columns, y, weight, earlier):
        """Summarise the rows and fit the sum of the statistics."""
        terms = parse_residual(self.residual)
        options = {"tol": self.tol, "max_iter": self.max_iter}
        if terms is not None:
            statistics = ResidualStatistics.summarize(design, columns, y, terms, weight)
            return fit_residual(statistics, self.method, **options)
        statistics = design.summarize(
            columns, y, sample_weight=weight, basis=earlier.basis if earlier else None
        )
        if earlier is not None:
            statistics = earlier + statistics
        return fit_statistics(statistics, self.method, **options)

    def _bind(self, columns):
        if self.fixed is None and self.residual is not None:
            kept = mentioned_columns([self.random or ""], columns.names)
            columns = without_columns(columns, set(residual_columns(self.residual)) - {*kept})
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
            wanted = {*wanted, *residual_columns(self.residual)}
            columns = columns.select([name for name in columns.names if name in wanted])
            X = columns.native()
        if reset:
            self.n_features_in_ = len(columns.names)
            self.feature_names_in_ = np.array(columns.names, dtype=object)
        elif self.fixed is None and columns.names != list(getattr(self, "feature_names_in_", ())):
            validate_data(self, X, skip_check_array=True, reset=False)
        return columns

    def _check_one_response(self, what):
        check_is_fitted(self)
        if hasattr(self, "response_names_"):
            raise ValueError(
                f"{what} is of one response, and this model was fitted to "
                f"{len(self.response_names_)}: take one by response(name)."
            )
