"""Filters and regulators of networks, with gains of a prescribed sparsity pattern."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from lmmfit.estimators._fitting import unchanged_on_error
from lmmfit.estimators._gain_problem import read_problem, read_system
from lmmfit.estimators._gain_publish import forget_table, publish_gain
from lmmfit.estimators._gain_runs import ConstantRun
from lmmfit.estimators._gain_search import find_gain
from lmmfit.estimators._gain_tables import read_tables
from lmmfit.estimators._parameters import check_parameters
from lmmfit.gains import GainSolution, filter_with_gain, simulate_network


class SparseGainEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Filter or regulator of a network, whose gain is zero off a sparsity pattern.

    The model is ``x[t+1] = A x[t] + B u[t] + w``, ``y[t] = C x[t] + v``, with the covariances Q
    of w and R of v. A filter corrects ``x[t|t] = x[t|t-1] + K (y[t] - C x[t|t-1])``; where K[i, j]
    must be zero, whoever estimates the state i need not know the output j. ``fit`` finds the gain
    of the pattern for which the steady trace of the errors' covariance is least, and proves that
    its errors stay bounded. The rows of a table are time, its columns the outputs y; NaN is
    missing, element by element, and corrects nothing.

    With ``problem="regulator"``, the inputs are ``u = -K x``, the trace is that of the matrix P
    of the cost x'Px of a state, the sum of ``x'Qx + u'Ru + 2 x'Su`` from there on, and the columns
    of a table are the states x.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n), default=None
        The identity by default, for a filter that is fitted to a table.
    C : array-like or sparse array of shape (o, n), default=None
        The same. Of a filter alone.
    Q : array-like or sparse array of shape (n, n), default=None
        Positive semidefinite. By default estimated from the table, as
        :class:`RiccatiFilter` does: by moments where neither A nor C is given, by the EM
        algorithm otherwise.
    R : array-like or sparse array of shape (o, o), default=None
        Positive definite; (m, m) of a regulator. Estimated by default in the same way.
    pattern : array-like, sparse array, str, list of sets, dict, graph or Pattern, default="diag"
        Of the n x o gain, or the m x n gain of a regulator, in any form of
        :func:`lmmfit.gains.as_pattern`: which entries are not zero, ``"diag"`` for equal
        consecutive shares, ``"full"``, the set of columns that each row may use, or a graph with
        ``nodes`` and ``neighbors`` or ``adj``, such as those of networkx.
    problem : {"filter", "regulator"}, default="filter"
    B : array-like or sparse array of shape (n, k), default=None
        Of known inputs ``U`` of a filter, which all methods then need; of the inputs of a
        regulator, which must be given.
    S : array-like or sparse array of shape (n, m), default=None
        Cross weight of a regulator.
    method : {"steady", "one-step", "finite-horizon", "moving-horizon"}, default="steady"
        ``steady`` minimises the trace itself. The others are published methods:
        :func:`lmmfit.gains.one_step_gain`, :func:`lmmfit.gains.finite_horizon_gain`, and, with a
        sequence of gains for the last rows, :func:`lmmfit.gains.moving_horizon_gain`.
    hops : int, default=None
        For a graph: the steps within which a node uses the outputs of another, 1 by default.
        With a number, an array or sparse array is the adjacency matrix of a graph instead of the
        pattern itself, see :func:`lmmfit.gains.graph_pattern`.
    state_nodes : sequence of length n, default=None
        Node that owns each state, for a graph and for ``simulate_network``. By default equal
        consecutive shares.
    output_nodes : sequence of length o, default=None
        Node that owns each output; each input of a regulator.
    window : int or "auto", default="auto"
        For ``finite-horizon``; and for ``moving-horizon``, which takes 5 by default.
    tol : float, default=None
        Where the method ends; that of its function by default.
    max_iter : int, default=None
        The same.
    n_init : int, default=1
        Starts of ``steady``, of which the best end is taken.
    warm_start : bool, default=False
        Whether ``steady`` begins with the gain of the last fit, without what is off the pattern.
        It does not where the shape is another, or the loop not stable.
    initial_state : array-like of shape (n,), default=None
        For a filter, the state at the first row as it is predicted: by default zero, or where
        neither A nor C is given the means of the columns. A moving horizon begins with it one
        row before.
    sparse_output : bool, default=False
        Whether ``gain_`` and ``pattern_`` are sparse.
    random_state : int, RandomState instance, numpy.random.Generator or None, default=None
        Of the starts after the first.

    Attributes
    ----------
    gain_ : ndarray or csr_array of shape (n, o)
        (m, n) for a regulator. With ``moving-horizon`` an ndarray of shape (W, n, o), or a list
        of W csr_arrays.
    pattern_ : bool ndarray or csr_array of the shape of the gain
    covariance_ : ndarray of shape (n, n)
        Exact steady covariance of the errors of x[t|t]; for a regulator P, of the cost x'Px.
    trace_ : float
        Of it.
    centralized_trace_ : float
        The trace without a pattern, which no gain goes below: of the Riccati equation of the
        whole network. Computed when it is first asked for.
    gap_ : float
        ``trace_`` over ``centralized_trace_``; 1 where the pattern costs nothing. The sequence
        of gains of a moving horizon has the same bound.
    spectral_radius_ : float
        Largest size of an eigenvalue of the loop, ``(I - K C) A`` or ``A - B K``, below 1; of a
        moving horizon, of the product of its loops.
    gradient_norm_ : float
        Of the trace with respect to the gain; not there for ``moving-horizon``.
    n_iter_ : int
    converged_ : bool
    trace_history_ : list of float
        Traces that the method has seen, in its order.
    solution_ : GainSolution or GainSequence
    filter_ : GainFilter
        Not there for a regulator or a moving horizon.
    A_, B_, C_, Q_, R_ : ndarray
        The matrices used. There is no ``C_`` for a regulator.
    em_ : EMResult or None
    initial_state_ : ndarray of shape (n,)
        Of a filter.
    loglik_ : float
        Sum of ``score_samples`` of the rows of fit; of a filter fitted to a table.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    RiccatiFilter : The filter without a pattern.
    lmmfit.gains.steady_gain : The gain alone, over arrays.

    Notes
    -----
    The order of the rows matters: do not shuffle them, and split a series by time. Several series
    are given as a list of arrays; so are their inputs.

    A gain that is not Kalman's leaves errors of prediction that are correlated from row to row.
    ``score`` of a filter is the mean log density of a row's error with its exact steady
    covariance: a proper score of predictions, by which patterns and methods can be compared, and
    no likelihood of the series. ``score`` of a regulator is minus the mean cost x'Px from the rows
    as states on.

    References
    ----------
    Pedroso, L. and Batista, P. (2021). Efficient algorithm for the computation of the solution to
    a sparse matrix equation in distributed control theory. Mathematics 9(13), 1497.

    Viegas, D., Batista, P., Oliveira, P. and Silvestre, C. (2018). Discrete-time distributed
    Kalman filter design for formations of autonomous vehicles. Control Engineering Practice 75.

    Examples
    --------
    Two nodes, each with one state and one output, of which neither knows the other's output:

    >>> import numpy as np
    >>> from lmmfit import SparseGainEstimator
    >>> A = np.array([[0.9, 0.3], [0.1, 0.8]])
    >>> model = SparseGainEstimator(A, np.eye(2), np.eye(2), np.eye(2), "diag").fit()
    >>> model.gain_.round(4), round(model.trace_, 4), round(model.gap_, 4)
    (array([[0.6125, 0.    ],
           [0.    , 0.5826]]), 1.1907, 1.0062)
    >>> Y = np.array([[1.0, 2.0], [np.nan, 2.0], [3.0, 1.0]])
    >>> model.transform(Y).round(3)
    array([[0.613, 1.165],
           [0.901, 1.58 ],
           [2.335, 1.148]])
    >>> run = model.simulate_network(Y)
    >>> bool(np.allclose(run.states, model.transform(Y))), run.links.tolist()
    (True, [[0, 1], [1, 0]])
    """

    _parameter_constraints = {  # noqa: RUF012
        "A": ["array-like", "sparse matrix", None],
        "C": ["array-like", "sparse matrix", None],
        "Q": ["array-like", "sparse matrix", None],
        "R": ["array-like", "sparse matrix", None],
        "pattern": [object],
        "problem": [StrOptions({"filter", "regulator"})],
        "B": ["array-like", "sparse matrix", None],
        "S": ["array-like", "sparse matrix", None],
        "method": [StrOptions({"steady", "one-step", "finite-horizon", "moving-horizon"})],
        "hops": [Interval(Integral, 0, None, closed="left"), None],
        "state_nodes": ["array-like", None],
        "output_nodes": ["array-like", None],
        "window": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0.0, 1.0, closed="neither"), None],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "initial_state": ["array-like", None],
        "sparse_output": ["boolean"],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        A=None,
        C=None,
        Q=None,
        R=None,
        pattern="diag",
        *,
        problem="filter",
        B=None,
        S=None,
        method="steady",
        hops=None,
        state_nodes=None,
        output_nodes=None,
        window="auto",
        tol=None,
        max_iter=None,
        n_init=1,
        warm_start=False,
        initial_state=None,
        sparse_output=False,
        random_state=None,
    ):
        self.A = A
        self.C = C
        self.Q = Q
        self.R = R
        self.pattern = pattern
        self.problem = problem
        self.B = B
        self.S = S
        self.method = method
        self.hops = hops
        self.state_nodes = state_nodes
        self.output_nodes = output_nodes
        self.window = window
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.warm_start = warm_start
        self.initial_state = initial_state
        self.sparse_output = sparse_output
        self.random_state = random_state

    def fit(self, X=None, y=None, U=None):
        """Find the gain.

        Parameters
        ----------
        X : array-like of shape (T, o), or list of such, optional
            Rows in the order of time; NaN is missing. Not needed where all matrices are given. For
            a regulator of shape (T, n), and without NaN.
        y : None
            Ignored.
        U : array-like of shape (T, k), or list of such, optional
            Known inputs.

        Returns
        -------
        SparseGainEstimator
            The fitted estimator.

        Warns
        -----
        RuntimeWarning
            If the method has not converged.

        Raises
        ------
        UnstableGainError
            If no gain of the pattern was found with errors that stay bounded. The estimator is
            then as it was, as after the other errors.
        NotDetectableError, NotStabilizableError
            If there can be none: no output sees, or no input reaches, a mode that is not stable.
        ValueError
            If a matrix, the pattern or a value is wrong.
        """
        check_parameters(self)
        with unchanged_on_error(self):
            series, inputs, _ = self._series(X, U, reset=True)
            system = read_system(self, series, inputs)
            problem, owners = read_problem(self, system)
            found = find_gain(self, problem)
            publish_gain(self, problem, system, found)
            self._owners, self._seen_a_table = owners, bool(series)
            if not series:
                forget_table(self)
            elif problem.kind == "filter":
                runs = self._runs(series, inputs, ("loglik",))
                self.loglik_ = float(sum(run.loglik.sum() for run in runs))
        return self

    def transform(self, X, U=None):
        """States given the rows so far, x[t|t]; of a regulator, the inputs -K x.

        Parameters
        ----------
        X : array-like of shape (T, o), or list of such
            States, of shape (T, n), for a regulator.
        U : array-like of shape (T, k), or list of such, optional

        Returns
        -------
        ndarray of shape (T, n), or list of such
            Of shape (T, m) for a regulator.
        """
        return self._apply(X, U, "states")

    def fit_transform(self, X, y=None, U=None):
        """Fit, and give the states, or the inputs of a regulator.

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

    def predict(self, X, U=None):
        """Each row as predicted from those before it; of a regulator, the inputs -K x.

        Parameters
        ----------
        X : array-like of shape (T, o), or list of such
            States, of shape (T, n), for a regulator.
        U : array-like of shape (T, k), or list of such, optional

        Returns
        -------
        ndarray of shape (T, o), or list of such
            Of shape (T, m) for a regulator.
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

        Raises
        ------
        ValueError
            If this is a regulator.
        """
        series, inputs, many = self._series(X, U)
        if self._problem.kind == "regulator":
            raise ValueError("a regulator has no innovations: it sees the states themselves.")
        runs = self._runs(series, inputs, ("outputs",))
        found = [Y - run.outputs for Y, run in zip(series, runs, strict=True)]
        return found if many else found[0]

    def score_samples(self, X, U=None):
        """Log density of each row's error of prediction; of a regulator, minus the cost x'Px.

        Parameters
        ----------
        X : array-like of shape (T, o), or list of such
            States, of shape (T, n), for a regulator.
        U : array-like of shape (T, k), or list of such, optional

        Returns
        -------
        ndarray of shape (T,), or list of such
            0 where all of a row is missing.
        """
        return self._apply(X, U, "loglik")

    def score(self, X, y=None, U=None):
        """Mean of ``score_samples`` over the rows.

        Parameters
        ----------
        X : array-like of shape (T, o), or list of such
            States, of shape (T, n), for a regulator.
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

    def update(self, state, X, U=None):
        """Filter further rows of a stream.

        Parameters
        ----------
        state : GainState or None
            After the rows so far; None before the first.
        X : array-like of shape (T, o)
        U : array-like of shape (T, k), optional

        Returns
        -------
        states : ndarray of shape (T, n)
            To the last bit those of one pass over all rows.
        state : GainState
            For the next call.

        Raises
        ------
        ValueError
            If X is a list of series, or not what fit has seen, or there is no constant gain.
        """
        Y, u = self._one_series(X, U, "update")
        start = self.initial_state_ if state is None else state
        found = filter_with_gain(self.filter_, Y, u, start, keep=("states",))
        return found.states, found.end

    def simulate_network(self, X, U=None, *, count_messages=True):
        """Run the filter as communicating nodes: each knows its own outputs, and what it is sent.

        The nodes are those of ``state_nodes`` and ``output_nodes``, or of the graph.

        Parameters
        ----------
        X : array-like of shape (T, o)
        U : array-like of shape (T, k), optional
        count_messages : bool, default=True
            Whether numbers sent are counted.

        Returns
        -------
        NetworkRun
            Its states are those of ``transform``, up to rounding.

        Raises
        ------
        ValueError
            If X is a list of series, or not what fit has seen, there is no constant gain, or
            nothing tells which node owns what.
        """
        Y, u = self._one_series(X, U, "simulate_network")
        state_nodes, output_nodes = self._owners
        return simulate_network(
            self.filter_, Y, u, state_nodes=state_nodes, output_nodes=output_nodes,
            start=self.initial_state_, count_messages=count_messages,
        )  # fmt: skip

    @property
    def centralized_trace_(self):
        """The trace without a pattern."""
        check_is_fitted(self)
        one = isinstance(self.solution_, GainSolution)
        return self.solution_.centralized_trace if one else self._run.centralized_trace

    @property
    def gap_(self):
        """The trace over the one without a pattern."""
        bound = self.centralized_trace_
        return self.trace_ / bound if bound > 0.0 else 1.0

    @property
    def _n_features_out(self):
        return len(self.Q_ if self._problem.kind == "filter" else self.R_)

    def _series(self, X, U, reset=False):
        """Checked series and inputs, as lists, and whether they were given so."""
        if reset:
            return read_tables(self, X, U, self.problem, reset=True)
        check_is_fitted(self)
        return read_tables(self, X, U, self._problem.kind)

    def _one_series(self, X, U, method):
        """A series for a filter with one gain."""
        series, inputs, many = self._series(X, U)
        if not isinstance(self._run, ConstantRun):
            what = "a regulator" if self._problem.kind == "regulator" else "a moving horizon"
            raise ValueError(f"{method} is for a filter with one constant gain, this is {what}.")
        if many:
            raise ValueError(f"X is a list of series: {method} takes one at a time.")
        return series[0], inputs[0]

    def _runs(self, series, inputs, keep):
        return [self._run.run(Y, u, keep) for Y, u in zip(series, inputs, strict=True)]

    def _apply(self, X, U, result):
        series, inputs, many = self._series(X, U)
        found = [getattr(run, result) for run in self._runs(series, inputs, (result,))]
        return found if many else found[0]

    def __sklearn_tags__(self):
        """Tags of scikit-learn."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.problem == "filter"
        tags.target_tags.required = False
        return tags
