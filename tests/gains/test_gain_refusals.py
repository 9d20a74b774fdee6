"""What cannot be solved is refused, by name and place; a stop before the end is a warning."""

import numpy as np
import pytest

from lmmfit.gains import (
    GainError,
    UnstableGainError,
    filter_problem,
    finite_horizon_gain,
    moving_horizon_gain,
    one_step_gain,
    one_step_regulator,
    regulator_problem,
    steady_gain,
    steady_regulator,
    time_varying_filter,
    time_varying_regulator,
)
from lmmfit.gains.moving_horizon import filter_moving_horizon
from lmmfit.riccati import NotDetectableError, NotStabilizableError

FILTERS = (one_step_gain, finite_horizon_gain, moving_horizon_gain, steady_gain)
REGULATORS = (one_step_regulator, steady_regulator)


def network(**changes):
    """Three tanks in a row; only what is changed is wrong."""
    A = np.array([[0.9, 0.1, 0.0], [0.0, 0.8, 0.1], [0.0, 0.0, 0.7]])
    given = {"A": A, "C": np.eye(3), "Q": np.eye(3), "R": np.eye(3), "pattern": "diag"}
    return given | changes


def with_entry(i, j, value):
    M = np.eye(3)
    M[i, j] = value
    return M


WRONG = {
    "A not square": ({"A": np.ones((3, 2))}, r"A must be a square matrix, its shape is \(3, 2\)"),
    "A with NaN": ({"A": with_entry(1, 2, np.nan)}, r"A\[1, 2\] is nan"),
    "C with inf": ({"C": with_entry(2, 0, np.inf)}, r"C\[2, 0\] is inf"),
    "C too wide": ({"C": np.ones((3, 4))}, r"C must have shape \(any, 3\), got \(3, 4\)"),
    "Q with NaN": ({"Q": with_entry(0, 0, np.nan)}, r"Q\[0, 0\] is nan"),
    "Q asymmetric": (
        {"Q": with_entry(0, 2, 0.5)},
        r"Q must be symmetric: Q\[0, 2\] is 0.5 and Q\[2, 0\] is 0",
    ),
    "R asymmetric": ({"R": with_entry(1, 0, 0.25)}, r"R must be symmetric: R\[0, 1\] is 0"),
    "Q indefinite": (
        {"Q": with_entry(1, 1, -2.0)},
        r"Q must be positive semidefinite, its smallest eigenvalue is -2",
    ),
    "R singular": (
        {"R": with_entry(1, 1, 0.0)},
        r"R must be positive definite, its smallest eigenvalue is 0",
    ),
    "Q of another size": ({"Q": np.eye(2)}, r"Q must have shape \(3, 3\), got \(2, 2\)"),
    "pattern transposed": (
        {"C": np.eye(3)[:2], "R": np.eye(2), "pattern": np.ones((2, 3))},
        r"pattern must have shape \(3, 2\), got \(2, 3\)",
    ),
    "pattern with NaN": ({"pattern": with_entry(2, 1, np.nan)}, r"pattern is nan at \[2, 1\]"),
    "unknown pattern": ({"pattern": "diagonal"}, "diagonal"),
}


@pytest.mark.parametrize("solve", FILTERS)
@pytest.mark.parametrize("name", WRONG)
def test_wrong_matrices(solve, name):
    changes, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        solve(**network(**changes))


@pytest.mark.parametrize("solve", REGULATORS)
def test_wrong_regulators(solve):
    A, one = network()["A"], np.eye(3)
    with pytest.raises(ValueError, match=r"B\[0, 1\] is nan"):
        solve(A, with_entry(0, 1, np.nan), one, one, "diag")
    with pytest.raises(ValueError, match=r"pattern must have shape \(2, 3\), got \(3, 2\)"):
        solve(A, one[:, :2], one, np.eye(2), np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"\[Q S; S' R\] must be positive semidefinite"):
        solve(A, one, one, one, "diag", S=2.0 * one)


@pytest.mark.parametrize("solve", [one_step_gain, finite_horizon_gain, steady_gain])
def test_wrong_options(solve):
    with pytest.raises(ValueError, match="tol must be between 0 and 1, got 0"):
        solve(**network(), tol=0)
    with pytest.raises(ValueError, match="max_iter must be a whole number of at least 1, got 0"):
        solve(**network(), max_iter=0)


def test_wrong_options_of_one_method():
    for window in (1, 2.5, True, "long"):
        with pytest.raises(ValueError, match="window must be 'auto' or a whole number of at lea"):
            finite_horizon_gain(**network(), window=window)
    for window in (0, "auto"):
        with pytest.raises(ValueError, match=r"window must be .*a whole number of at least 1"):
            moving_horizon_gain(**network(), window=window)
    with pytest.raises(ValueError, match="n_init must be a whole number of at least 1, got 0"):
        steady_gain(**network(), n_init=0)
    with pytest.raises(ValueError, match="initial_cov must be symmetric"):
        one_step_gain(**network(), initial_cov=with_entry(0, 1, 1.0))


class TestHiddenModes:
    def test_undetectable(self):
        # State 2 grows, and no output depends on it.
        A, C = np.diag([0.5, 0.6, 1.1]), np.diag([1.0, 1.0, 0.0])
        for solve in FILTERS:
            with pytest.raises(NotDetectableError, match=r"sees the mode 1\.1 of A.* in state 2"):
                solve(**network(A=A, C=C))

    def test_undetectable_rotation(self):
        angle = np.pi / 3
        turn = 1.2 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        A = np.zeros((3, 3))
        A[0, 0], A[1:, 1:] = 0.5, turn
        with pytest.raises(NotDetectableError, match=r"mode 0\.6[+-]1\.03923j .* in state [12]"):
            steady_gain(**network(A=A, C=np.diag([1.0, 0.0, 0.0])))

    def test_unreachable(self):
        A, B = np.diag([0.5, 1.3, 0.9]), np.diag([1.0, 0.0, 1.0])
        for solve in REGULATORS:
            with pytest.raises(NotStabilizableError, match=r"reaches the mode 1\.3 .* in state 1"):
                solve(A, B, np.eye(3), np.eye(3), "diag")

    def test_pattern_that_sees_too_little(self):
        A, pattern = np.diag([0.5, 0.6, 1.1]), np.diag([1, 1, 0])
        for solve in FILTERS:
            with pytest.raises(UnstableGainError, match=r"Widen the pattern|steady"):
                solve(**network(A=A, pattern=pattern))

    def test_visible_network_is_not_blamed(self):
        A, pattern = np.diag([0.5, 0.6, 1.1]), np.diag([1, 1, 0])
        with pytest.raises(UnstableGainError) as caught:
            one_step_gain(**network(A=A, pattern=pattern))
        assert caught.value.spectral_radius in (None, pytest.approx(1.1))


class TestStarts:
    def test_unstable_start(self):
        with pytest.raises(UnstableGainError, match=r"start from .* spectral radius is 4\.5"):
            steady_gain(**network(A=np.diag([0.9, 0.9, 0.9])), start=np.diag([6.0, 0, 0]))

    def test_start_off_the_pattern(self):
        with pytest.raises(ValueError, match=r"start\[0, 2\] is 0\.5, but the pattern has no su"):
            steady_gain(**network(), start=with_entry(0, 2, 0.5))
        A, B = network()["A"], np.eye(3)[:, :2]
        start = np.array([[0.1, 0.0, 0.0], [0.0, 0.1, 0.3]])
        with pytest.raises(ValueError, match=r"start\[1, 2\] is 0\.3, but the pattern has no su"):
            steady_regulator(A, B, np.eye(3), np.eye(2), np.eye(2, 3), start=start)

    def test_start_of_another_shape(self):
        with pytest.raises(ValueError, match=r"start must have shape \(3, 3\), got \(2, 2\)"):
            steady_gain(**network(), start=np.eye(2))


class TestStopsBeforeTheEnd:
    def test_warnings(self):
        with pytest.warns(RuntimeWarning, match=r"after 2 one-step iterations, above tol=1e-05"):
            found = one_step_gain(**network(), max_iter=2)
        assert not found.converged
        with pytest.warns(RuntimeWarning, match="minimisation has not converged after 1 steps"):
            found = steady_gain(**network(pattern="full"), max_iter=1)
        assert not found.converged
        with pytest.warns(RuntimeWarning, match="after 1 sweeps of the finite-horizon method"):
            found = finite_horizon_gain(**network(pattern="full"), max_iter=1, window=60)
        assert not found.converged
        with pytest.warns(RuntimeWarning, match="after 2 windows of the moving horizon"):
            found = moving_horizon_gain(**network(), max_iter=2)
        assert not found.converged

    def test_window_too_short(self):
        with pytest.raises(GainError, match="within a window of 3 steps the trace changes by"):
            finite_horizon_gain(**network(A=0.99 * np.eye(3), R=100 * np.eye(3)), window=3)


class TestTimeVarying:
    def test_shapes(self):
        given = network()
        given["A"] = np.stack([given["A"]] * 4)
        with pytest.raises(ValueError, match="for the same steps, got A for 4, C for 3"):
            time_varying_filter(**given | {"C": np.ones((3, 3, 3))}, initial_cov=np.eye(3))
        with pytest.raises(ValueError, match="none of A, C, Q, R has a matrix for each step"):
            time_varying_filter(**network(), initial_cov=np.eye(3))
        with pytest.raises(ValueError, match="for the same steps, got A for 4, Q for 3"):
            time_varying_regulator(given["A"], np.eye(3), np.ones((4, 3, 3)), np.eye(3), "diag")

    def test_the_step_is_named(self):
        given = network()
        A = np.stack([given["A"]] * 4)
        A[1, 0, 2] = np.nan
        with pytest.raises(ValueError, match=r"at step 2: A\[0, 2\] is nan"):
            time_varying_filter(**given | {"A": A}, initial_cov=np.eye(3))
        R = np.stack([np.eye(3)] * 4)
        R[3, 1, 1] = -1.0
        with pytest.raises(ValueError, match="at step 3: R must be positive definite"):
            time_varying_filter(**given | {"R": R}, initial_cov=np.eye(3))

    def test_options(self):
        A = np.stack([np.eye(3)] * 2)
        with pytest.raises(ValueError, match="initial_cov must be positive semidefinite"):
            time_varying_filter(**network(A=A), initial_cov=-np.eye(3))
        with pytest.raises(ValueError, match="forgetting must be above 0 and at most 1, got 2"):
            time_varying_filter(**network(A=A), initial_cov=np.eye(3), forgetting=2)
        with pytest.raises(ValueError, match="method='causal' is none of finite-horizon, one-st"):
            time_varying_regulator(A, np.eye(3), np.eye(3), np.eye(3), "diag", method="causal")
        with pytest.warns(RuntimeWarning, match="after 1 sweeps, above tol=1e-05"):
            time_varying_filter(
                **network(A=0.5 * A + 0.3, C=np.eye(3) + 0.5), initial_cov=np.eye(3), max_iter=1
            )


def test_moving_filter():
    K = np.zeros((2, 3, 3))
    with pytest.raises(ValueError, match=r"K must be finite gains of shape \(W, 3, 3\), got the"):
        filter_moving_horizon(np.eye(3), np.eye(3), K[0], np.zeros((4, 3)))
    with pytest.raises(ValueError, match="one column for each of 3 outputs"):
        filter_moving_horizon(np.eye(3), np.eye(3), K, np.zeros((4, 2)))
    with pytest.raises(ValueError, match="initial_state must be 3 finite numbers"):
        filter_moving_horizon(np.eye(3), np.eye(3), K, np.zeros((4, 3)), initial_state=[1.0])


def test_nothing_is_changed():
    given = network()
    before = {name: np.copy(M) for name, M in given.items() if name != "pattern"}
    filter_problem(**given)
    steady_gain(**given)
    regulator_problem(given["A"], given["C"], given["Q"], given["R"], "diag")
    for name, M in before.items():
        np.testing.assert_array_equal(given[name], M)
