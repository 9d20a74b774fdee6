"""Steady-state Kalman filtering of tables whose rows are time."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from lmmfit.estimators._fitting import unchanged_on_error
from lmmfit.estimators._parameters import check_parameters
from lmmfit.estimators._state_space import estimate_system
from lmmfit.riccati import (
    filter_series,
    forecast,
    kalman_bucy,
    simulate,
    smooth_series,
    start_filter,
    steady_filter,
)
from lmmfit.riccati.kalman import series_of
from lmmfit.riccati.systems import check_system, fold_descriptor


class RiccatiFilter(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Steady-state Kalman filter of a table whose rows are time.

    The model is ``E x[t+1] = A x[t] + B u[t] + w``, ``y[t] = C x[t] + v``, with the covariances Q
    of w, R of v and S of w with v; the columns of the table are the outputs y. ``fit`` checks the
    matrices, solves the Riccati equation for the steady covariance and proves that the filter is
    stable. NaN is missing, element by element: around it the exact covariance is followed until
    it is the steady one again.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n), default=None
        The identity by default.
    C : array-like or sparse array of shape (o, n), default=None
        The identity by default.
    Q : array-like or sparse array of shape (n, n), default=None
        Positive semidefinite. Estimated by default.
    R : array-like or sparse array of shape (o, o), default=None
        Positive definite. Estimated by default.
    B : array-like or sparse array of shape (n, k), default=None
        Of known inputs ``U``, which all methods then need.
    S : array-like or sparse array of shape (n, o), default=None
        Covariance E[w v'] of w and v of the same row, such that ``[Q S; S' R]`` is positive
        semidefinite; zero by default. With it Q and R must be given, and ``em`` and ``dt`` be
        None.
    E : array-like or sparse array of shape (n, n), default=None
        Not singular; the identity by default. It is folded into A, B, Q and S, once; what is
        estimated are the folded matrices.
    time : {"discrete", "continuous"}, default="discrete"
        With ``continuous``, A, B and Q are those of ``E dx = A x dt + B u dt + dw``; A, Q and R
        must be given.
    dt : float, default=None
        Time from one row to the next, for ``continuous``. Without it only the gain of the
        Kalman-Bucy filter is found, and no inputs are taken.
    solver : str, default="auto"
        ``method`` of :func:`lmmfit.riccati.solve_dare`, or of
        :func:`lmmfit.riccati.solve_care` without ``dt``.
    tol : float, default=1e-12
        Residual of the Riccati equation, relative to the sizes of its terms.
    initial_state : array-like of shape (n,), default=None
        Mean of the state at the first row: by default zero, or where neither A nor C is given the
        means of the columns.
    initial_cov : {"steady", "stationary"} or array-like of shape (n, n), default="steady"
        Its covariance: the steady one, that of the process itself for a stable A, or another.
    em : sequence of {"A", "C", "Q", "R"}, default=None
        Matrices that are found by the EM algorithm; those given are where it begins. By default
        those of Q and R that are not given, if A or C is.
    n_iter_em : int, default=100
        EM steps at most.
    tol_em : float, default=1e-6
        Change of each matrix by one EM step, relative to its size, that ends it.
    states : {"filtered", "smoothed"}, default="filtered"
        What ``transform`` gives: states given the rows so far, or given all.

    Attributes
    ----------
    A_, C_, Q_, R_, B_ : ndarray
        The matrices used: with E folded in, ``A_`` is ``E^{-1} A``, ``B_`` is ``E^{-1} B`` and
        ``Q_`` is ``E^{-1} Q E^{-T}``; with dt those of the samples. ``B_`` is not there without
        dt in continuous time.
    cross_ : ndarray of shape (n, o)
        The covariance of w and v used: S, or ``E^{-1} S``; zero where there was none.
    K_ : ndarray of shape (n, o)
        Gain: x[t|t] = x[t|t-1] + K (y[t] - C x[t|t-1]).
    K_predictor_ : ndarray of shape (n, o)
        From a row to the next, ``A K`` plus ``cross_`` times the inverse of ``S_``.
    P_, P_filtered_ : ndarray of shape (n, n)
        Steady covariances of the state before and after its row is seen.
    S_ : ndarray of shape (o, o)
        Covariance of the innovations; not the parameter S, which is ``cross_``.
    spectral_radius_ : float
        Largest size of an eigenvalue of ``A - K_predictor C``, below 1.
    rightmost_ : complex
        The eigenvalue of ``A - K C`` with the largest real part; for continuous time without dt.
    residual_norm_ : float
        Of the Riccati equation, relative to the sizes of its terms.
    initial_state_ : ndarray of shape (n,)
    loglik_ : float
        Log-likelihood of the rows of fit.
    converged_ : bool
        Whether the Riccati equation, and the EM algorithm if there was one, converged.
    n_iter_ : int
        Steps of the solver.
    em_ : EMResult or None
    filter_ : SteadyFilter or ContinuousFilter
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    lmmfit.riccati.filter_series : The filter alone, over arrays.

    Notes
    -----
    The order of the rows matters: do not shuffle them, and split a series by time. Several series
    are given as a list of arrays; so are their inputs.

    With no matrices given the model is a local level for each column. The differences d of such a
    column have the variance q + 2 r and the covariance -r from one to the next, which gives q and
    r by moments; each is kept above a hundredth of the variance of d, and so positive.

    References
    ----------
    Anderson, B. D. O. and Moore, J. B. (1979). Optimal Filtering. Prentice-Hall.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit import RiccatiFilter
    >>> flow = np.array([[1120.0], [1160.0], [963.0], [np.nan], [1160.0], [1160.0]])
    >>> model = RiccatiFilter(Q=[[1469.1]], R=[[15099.0]]).fit(flow)
    >>> model.K_.round(4), model.transform(flow).ravel().round(1)
    (array([[0.267]]), array([1114.6, 1126.7, 1083. , 1083. , 1107.3, 1122.7]))
    >>> model.forecast(flow, 2).round(1).ravel()
    array([1122.7, 1122.7])
    """

    _parameter_constraints = {  # noqa: RUF012
        "A": ["array-like", "sparse matrix", None],
        "C": ["array-like", "sparse matrix", None],
        "Q": ["array-like", "sparse matrix", None],
        "R": ["array-like", "sparse matrix", None],
        "B": ["array-like", "sparse matrix", None],
        "S": ["array-like", "sparse matrix", None],
        "E": ["array-like", "sparse matrix", None],
        "time": [StrOptions({"discrete", "continuous"})],
        "dt": [Interval(Real, 0.0, None, closed="neither"), None],
        "solver": [str],
        "tol": [Interval(Real, 0.0, 1.0, closed="neither")],
        "initial_state": ["array-like", None],
        "initial_cov": [StrOptions({"steady", "stationary"}), "array-like"],
        "em": ["array-like", None],
        "n_iter_em": [Interval(Integral, 1, None, closed="left")],
        "tol_em": [Interval(Real, 0.0, None, closed="left")],
        "states": [StrOptions({"filtered", "smoothed"})],
    }

    def __init__(
        self,
        A=None,
        C=None,
        Q=None,
        R=None,
        B=None,
        *,
        S=None,
        E=None,
        time="discrete",
        dt=None,
        solver="auto",
        tol=1e-12,
        initial_state=None,
        initial_cov="steady",
        em=None,
        n_iter_em=100,
        tol_em=1e-6,
        states="filtered",
    ):
        self.A = A
        self.C = C
        self.Q = Q
        self.R = R
        self.B = B
        self.S = S
        self.E = E
        self.time = time
        self.dt = dt
        self.solver = solver
        self.tol = tol
        self.initial_state = initial_state
        self.initial_cov = initial_cov
        self.em = em
        self.n_iter_em = n_iter_em
        self.tol_em = tol_em
        self.states = states

    def fit(self, X, y=None, U=None):
        """Find the steady-state filter.

        Parameters
        ----------
        X : array-like of shape (T, o), or list of such
            Rows in the order of time; NaN is missing.
        y : None
            Ignored.
        U : array-like of shape (T, k), or list of such, optional
            Known inputs.

        Returns
        -------
        RiccatiFilter
            The fitted estimator.

        Raises
        ------
        ValueError
            If a matrix or a value is wrong, or if there is no steady filter. The estimator is
            then as it was.
        """
        check_parameters(self)
        with unchanged_on_error(self):
            series, inputs, _ = self._series(X, U, reset=True)
            A, C, Q, R, B, S, E, mean, self.em_ = estimate_system(self, series, inputs)
            options = {"S": S, "E": E, "solver": self.solver, "tol": self.tol}
            if self.time == "continuous" and self.dt is None:
                self._publish_continuous(kalman_bucy(A, C, Q, R, **options), A, C, Q, R, S, E)
                return self
            if self.dt is not None:
                options["dt"] = self.dt
            found = steady_filter(A, C, Q, R, B, time=self.time, **options)
            self._start = start_filter(found, mean, self.initial_cov)
            self._publish(found)
            runs = self._runs(series, inputs, ("loglik",))
            self.loglik_ = float(sum(run.loglik.sum() for run in runs))
        return self

    def transform(self, X, U=None):
        """States given the rows so far; with ``states="smoothed"``, given all.

        Parameters
        ----------
        X : array-like of shape (T, o), or list of such
        U : array-like of shape (T, k), or list of such, optional

        Returns
        -------
        ndarray of shape (T, n), or list of such
        """
        if self.states == "smoothed":
            return self.smooth(X, U)
        return self._apply(X, U, "states")

    def fit_transform(self, X, y=None, U=None):
        """Fit, and give the states.

        Parameters
        ----------
        X : array-like of shape (T, o), or list of such
        y : None
            Ignored.
        U : array-like of shape (T, k), or list of such, optional

        Returns
        -------
        ndarray of shape (T, n), or list of such
        """
        return self.fit(X, U=U).transform(X, U)

    def smooth(self, X, U=None):
        """States given all rows, those to come included.

        Parameters
        ----------
        X : array-like of shape (T, o), or list of such
        U : array-like of shape (T, k), or list of such, optional

        Returns
        -------
        ndarray of shape (T, n), or list of such
        """
        series, inputs, many = self._series(X, U)
        found = [
            smooth_series(self.filter_, Y, u, self._start).states
            for Y, u in zip(series, inputs, strict=True)
        ]
        return found if many else found[0]

    def predict(self, X, U=None):
        """Each row as predicted from those before it.

        Parameters
        ----------
        X : array-like of shape (T, o), or list of such
        U : array-like of shape (T, k), or list of such, optional

        Returns
        -------
        ndarray of shape (T, o), or list of such
        """
        return self._apply(X, U, "outputs")

    def innovations(self, X, U=None):
        """Rows less their predictions; NaN where an element is missing.

        Parameters
        ----------
        X : array-like of shape (T, o), or list of such
        U : array-like of shape (T, k), or list of such, optional

        Returns
        -------
        ndarray of shape (T, o), or list of such
        """
        series, inputs, many = self._series(X, U)
        runs = self._runs(series, inputs, ("outputs",))
        found = [Y - run.outputs for Y, run in zip(series, runs, strict=True)]
        return found if many else found[0]

    def score_samples(self, X, U=None):
        """Log-likelihood of each row given those before it; 0 where all of it is missing.

        Parameters
        ----------
        X : array-like of shape (T, o), or list of such
        U : array-like of shape (T, k), or list of such, optional

        Returns
        -------
        ndarray of shape (T,), or list of such
        """
        return self._apply(X, U, "loglik")

    def score(self, X, y=None, U=None):
        """Mean log-likelihood of a row.

        Parameters
        ----------
        X : array-like of shape (T, o), or list of such
        y : None
            Ignored.
        U : array-like of shape (T, k), or list of such, optional

        Returns
        -------
        float
        """
        series, inputs, _ = self._series(X, U)
        runs = self._runs(series, inputs, ("loglik",))
        return float(np.concatenate([run.loglik for run in runs]).mean())

    def forecast(self, X, h=1, U=None, *, U_next=None, return_std=False):
        """Predict the rows that follow.

        Parameters
        ----------
        X : array-like of shape (T, o), or list of such
        h : int, default=1
            Rows to come.
        U : array-like of shape (T, k), or list of such, optional
            Inputs of the rows of X.
        U_next : array-like of shape (h, k), or list of such, optional
            Inputs of the rows to come.
        return_std : bool, default=False
            Whether to return the standard deviations of the observations too.

        Returns
        -------
        outputs : ndarray of shape (h, o), or list of such
        std : ndarray of the same shape, or list of such, only with ``return_std``
        """
        series, inputs, many = self._series(X, U)
        later = list(U_next) if many and U_next is not None else [U_next] * len(series)
        found = [
            forecast(self.filter_, run.end, h, u)
            for run, u in zip(self._runs(series, inputs, ()), later, strict=True)
        ]
        means = [one.outputs for one in found]
        stds = [np.sqrt(np.diagonal(one.output_covariances, axis1=1, axis2=2)) for one in found]
        means, stds = (means, stds) if many else (means[0], stds[0])
        return (means, stds) if return_std else means

    def update(self, state, X, U=None):
        """Filter further rows of a stream.

        Parameters
        ----------
        state : FilterState or None
            After the rows so far; None before the first.
        X : array-like of shape (T, o)
        U : array-like of shape (T, k), optional

        Returns
        -------
        states : ndarray of shape (T, n)
            To the last bit those of one pass over all rows.
        state : FilterState
            For the next call, and for :func:`lmmfit.riccati.forecast`.

        Raises
        ------
        ValueError
            If X is a list of series, or not what fit has seen.
        """
        series, inputs, many = self._series(X, U)
        if many:
            raise ValueError("X is a list of series: a stream is one; keep a state for each.")
        start = self._start if state is None else state
        found = filter_series(self.filter_, series[0], inputs[0], start, keep=("states",))
        return found.states, found.end

    def simulate(self, T, U=None, *, random_state=None):
        """Draw a series from the model.

        Parameters
        ----------
        T : int
            Rows.
        U : array-like of shape (T, k), optional
        random_state : int, numpy.random.Generator or None

        Returns
        -------
        ndarray of shape (T, o)
        """
        self._check_filter()
        return simulate(self.filter_, T, U, self._start, seed=random_state)[0]

    @property
    def _n_features_out(self):
        return self.A_.shape[0]

    def _check_filter(self):
        check_is_fitted(self)
        if not hasattr(self, "spectral_radius_"):
            raise ValueError(
                "the filter was fitted in continuous time, and has a gain but no samples: give "
                "dt, the time from one row to the next."
            )

    def _series(self, X, U, reset=False):
        """Checked series and inputs, as lists, and whether they were given so."""
        if not reset:
            self._check_filter()
        tables, inputs, many = series_of(X, U)
        options = {"dtype": np.float64, "ensure_all_finite": "allow-nan", "order": "C"}
        series = [
            validate_data(self, table, reset=reset and i == 0, **options)
            for i, table in enumerate(tables)
        ]
        return series, inputs, many

    def _runs(self, series, inputs, keep):
        return [
            filter_series(self.filter_, Y, u, self._start, keep=keep)
            for Y, u in zip(series, inputs, strict=True)
        ]

    def _apply(self, X, U, result):
        series, inputs, many = self._series(X, U)
        found = [getattr(run, result) for run in self._runs(series, inputs, (result,))]
        return found if many else found[0]

    def _publish(self, found):
        self.__dict__.pop("rightmost_", None)
        self.filter_ = found
        self.A_, self.C_, self.Q_, self.R_, self.B_ = found.A, found.C, found.Q, found.R, found.B
        self.cross_ = found.cross
        self.K_, self.K_predictor_ = found.K, found.K_predictor
        self.P_, self.P_filtered_, self.S_ = found.P, found.P_filtered, found.S
        self.spectral_radius_, self.residual_norm_ = found.spectral_radius, found.residual_norm
        self.n_iter_, self.initial_state_ = found.n_iter, self._start.mean
        self.converged_ = found.converged and (self.em_ is None or self.em_.converged)

    def _publish_continuous(self, found, A, C, Q, R, S, E):
        for name in ("spectral_radius_", "K_predictor_", "P_filtered_", "S_", "loglik_",
                     "initial_state_", "B_"):  # fmt: skip
            self.__dict__.pop(name, None)
        self.filter_ = found
        self.A_, self.C_, self.Q_, self.R_, _, self.cross_ = check_system(A, C, Q, R, S=S)
        if E is not None:
            self.A_, self.Q_, _, self.cross_ = fold_descriptor(E, self.A_, self.Q_, S=self.cross_)
        self.K_, self.P_, self.rightmost_ = found.K, found.P, found.rightmost
        self.residual_norm_, self.converged_ = found.residual_norm, found.converged
        self.n_iter_ = found.n_iter

    def __sklearn_tags__(self):
        """Tags of scikit-learn."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = False
        return tags
