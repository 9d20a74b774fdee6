"""The log-likelihood of one group: equal to the normal log-density, and allocation-free."""

import tracemalloc

import mpmath
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from lmmfit.mixed import LmmObservation, log_likelihood, log_likelihood_inverse

SIZES = [
    (2000, 5, 3),
    (2000, 1, 1),
    (300, 4, 4),
    (40, 2, 3),
    (40, 0, 2),
    (40, 2, 0),
    (3, 2, 2),
    (2, 3, 4),  # fewer rows than fixed or random effects
    (1, 1, 1),
    (1, 4, 3),
]


def _problem(n, p, q, seed=0, centre=0.0):
    rng = np.random.default_rng([seed, n, p, q])
    X, Z = rng.normal(size=(n, p)), rng.normal(size=(n, q))
    L = np.tril(rng.normal(size=(q, q)))
    L[np.diag_indices(q)] = rng.uniform(0.5, 2.0, size=q)
    beta = rng.normal(size=p)
    y = centre + X @ beta + Z @ (L @ rng.normal(size=q)) + rng.normal(size=n)
    return y, X, Z, beta + 0.1 * rng.normal(size=p), L, rng.uniform(0.5, 2.0)


def _dense(y, X, Z, beta, L, sigma2):
    V = (Z @ L) @ (Z @ L).T + sigma2 * np.eye(len(y))
    return multivariate_normal.logpdf(y, X @ beta, V)


@pytest.mark.parametrize(("n", "p", "q"), SIZES)
def test_both_formulas_equal_the_normal_density(n, p, q):
    y, X, Z, beta, L, sigma2 = _problem(n, p, q)
    observation = LmmObservation(y, X, Z)
    wanted = _dense(y, X, Z, beta, L, sigma2)
    inverse = np.linalg.inv(L)
    assert log_likelihood(observation, beta, L, sigma2) == pytest.approx(wanted, rel=1e-12)
    got = log_likelihood_inverse(observation, beta, inverse, sigma2)
    assert got == pytest.approx(wanted, rel=1e-12)
    assert type(got) is float


@pytest.mark.parametrize("centre", [0.0, 1e4])
@pytest.mark.parametrize(("n", "p", "q"), [(9, 2, 2), (7, 1, 3), (3, 2, 4)])
def test_to_fifty_digits(n, p, q, centre):
    y, X, Z, beta, L, sigma2 = _problem(n, p, q, centre=centre)
    with mpmath.workdps(50):
        V = mpmath.matrix((Z @ np.eye(q)).tolist()) * mpmath.matrix(L.tolist())
        V = V * V.T + sigma2 * mpmath.eye(n)
        residual = mpmath.matrix(y.tolist()) - mpmath.matrix(X.tolist()) * mpmath.matrix(
            beta.tolist()
        )
        square = (residual.T * (V**-1) * residual)[0]
        wanted = -(n * mpmath.log(2 * mpmath.pi) + mpmath.log(mpmath.det(V)) + square) / 2
        wanted = float(wanted)
    observation = LmmObservation(y, X, Z)
    assert log_likelihood(observation, beta, L, sigma2) == pytest.approx(wanted, rel=1e-12)
    got = log_likelihood_inverse(observation, beta, np.linalg.inv(L), sigma2)
    assert got == pytest.approx(wanted, rel=1e-12)


def test_response_far_from_zero():
    """The mean takes off all but a part in 1e8: nothing may cancel in squares."""
    y, X, Z, beta, L, sigma2 = _problem(200, 3, 2)
    X[:, 0] = 1.0
    near = log_likelihood(LmmObservation(y, X, Z), beta, L, sigma2)
    far = LmmObservation(y + 1e8, X, Z)
    shifted = beta + np.array([1e8, 0.0, 0.0])
    # y + 1e8 itself is rounded to 1.5e-8.
    assert log_likelihood(far, shifted, L, sigma2) == pytest.approx(near, rel=1e-9)
    got = log_likelihood_inverse(far, shifted, np.linalg.inv(L), sigma2)
    assert got == pytest.approx(near, rel=1e-9)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_singular_factor(rank):
    y, X, Z, beta, L, sigma2 = _problem(50, 2, 3)
    L[:, rank:] = 0.0
    got = log_likelihood(LmmObservation(y, X, Z), beta, L, sigma2)
    assert got == pytest.approx(_dense(y, X, Z, beta, L, sigma2), rel=1e-12)


def test_designs_without_full_rank():
    y, X, Z, beta, L, sigma2 = _problem(50, 3, 3)
    X[:, 2], Z[:, 1], Z[:, 2] = X[:, 0] - X[:, 1], 2.0 * Z[:, 0], 0.0
    wanted = _dense(y, X, Z, beta, L, sigma2)
    observation = LmmObservation(y, X, Z)
    assert log_likelihood(observation, beta, L, sigma2) == pytest.approx(wanted, rel=1e-12)
    got = log_likelihood_inverse(observation, beta, np.linalg.inv(L), sigma2)
    assert got == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("scale", [1e-120, 1e-60, 1.0, 1e60, 1e120])
def test_determinants_beyond_the_range_of_doubles(scale):
    y, X, Z, beta, L, _ = _problem(20, 2, 4)
    observation = LmmObservation(scale * y, X, scale * Z)
    near = log_likelihood(LmmObservation(y, X, Z), beta / scale * scale, L, 1.0)
    far = log_likelihood(observation, beta * scale, L, scale**2)
    assert far == pytest.approx(near - 20 * np.log(scale), rel=1e-11)
    wide = log_likelihood(LmmObservation(y, X, Z / scale), beta, L * scale, 1.0)
    assert wide == pytest.approx(near, rel=1e-11)
    inverse = np.linalg.inv(L) / scale
    wide = log_likelihood_inverse(LmmObservation(y, X, Z / scale), beta, inverse, 1.0)
    assert wide == pytest.approx(near, rel=1e-11)


@pytest.mark.parametrize("function", [log_likelihood, log_likelihood_inverse])
def test_nothing_is_allocated(function):
    y, X, Z, beta, L, sigma2 = _problem(2000, 5, 3)
    observation = LmmObservation(y, X, Z)
    factor = np.ascontiguousarray(np.linalg.inv(L)) if "inverse" in function.__name__ else L

    def call(times):
        for _ in range(times):
            function(observation, beta, factor, sigma2)

    call(10)
    tracemalloc.start()
    try:
        call(10)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        call(1000)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # What stays: nothing. The peak holds the floats and frames of the interpreter.
    assert after - before < 200
    assert peak - before < 1000


def test_repeated_calls_agree_and_arguments_stay():
    y, X, Z, beta, L, sigma2 = _problem(60, 3, 3)
    observation, copies = LmmObservation(y, X, Z), (beta.copy(), L.copy())
    values = {log_likelihood(observation, beta, L, sigma2) for _ in range(5)}
    inverse = np.linalg.inv(L)
    log_likelihood_inverse(observation, beta, inverse, sigma2)
    values.add(log_likelihood(observation, beta, L, sigma2))
    assert len(values) == 1
    np.testing.assert_array_equal(beta, copies[0])
    np.testing.assert_array_equal(L, copies[1])


def test_observations_do_not_share_room():
    first, second = (_problem(40, 2, 2, seed=seed) for seed in (1, 2))
    one, two = LmmObservation(*first[:3]), LmmObservation(*second[:3])
    value = log_likelihood(one, *first[3:])
    log_likelihood(two, *second[3:])
    assert log_likelihood(one, *first[3:]) == value


def test_other_kinds_of_arrays():
    y, X, Z, beta, L, sigma2 = _problem(30, 2, 3)
    observation = LmmObservation(y.tolist(), X.tolist(), np.asfortranarray(Z))
    wanted = log_likelihood(LmmObservation(y, X, Z), beta, L, sigma2)
    inverse = np.linalg.inv(L)
    wide = np.zeros((6, 6))
    wide[::2, ::2] = L
    for b, factor in [
        (beta.tolist(), L.tolist()),
        (beta, np.asfortranarray(L)),
        (np.repeat(beta, 2)[::2], wide[::2, ::2]),
        (beta, L + np.triu(np.full((3, 3), 9.0), 1)),
    ]:
        got = log_likelihood(observation, b, factor, sigma2)
        assert got == pytest.approx(wanted, rel=1e-13)
    got = log_likelihood_inverse(observation, beta.tolist(), np.asfortranarray(inverse), sigma2)
    assert got == pytest.approx(wanted, rel=1e-12)
    integers = LmmObservation([1, 2, 4], [[1], [1], [1]], [[1], [1], [1]])
    floats = LmmObservation([1.0, 2.0, 4.0], np.ones((3, 1)), np.ones((3, 1)))
    value = log_likelihood(integers, [2], [[1]], 1)
    assert value == log_likelihood(floats, np.array([2.0]), np.ones((1, 1)), 1.0)
    single = np.float32(0.5) * np.ones((1, 1), np.float32)
    assert log_likelihood(floats, np.ones(1, np.float32), single, np.float32(1.0)) == (
        pytest.approx(log_likelihood(floats, np.ones(1), np.full((1, 1), 0.5), 1.0), rel=1e-14)
    )


@pytest.mark.parametrize("function", [log_likelihood, log_likelihood_inverse])
class TestErrors:
    def _observation(self):
        return LmmObservation(*_problem(10, 2, 2)[:3])

    @pytest.mark.parametrize("beta", [np.zeros(3), np.zeros(1), np.zeros((2, 1)), [0.0]])
    def test_beta(self, function, beta):
        with pytest.raises(ValueError, match=r"beta must have shape \(2,\), got"):
            function(self._observation(), beta, np.eye(2), 1.0)

    @pytest.mark.parametrize("factor", [np.eye(3), np.eye(1), np.ones(2), np.eye(2)[:, :1]])
    def test_factor(self, function, factor):
        with pytest.raises(ValueError, match=r"L(_inverse)? must have shape \(2, 2\), got"):
            function(self._observation(), np.zeros(2), factor, 1.0)

    @pytest.mark.parametrize("sigma2", [0.0, -1.0, np.nan, np.inf])
    def test_sigma2(self, function, sigma2):
        with pytest.raises(ValueError, match="sigma2 must be positive and finite, got"):
            function(self._observation(), np.zeros(2), np.eye(2), sigma2)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_not_finite(self, function, value):
        with pytest.raises(ValueError, match=r"beta and L(_inverse)? must be finite"):
            function(self._observation(), np.array([value, 0.0]), np.eye(2), 1.0)
        with pytest.raises(ValueError, match=r"beta and L(_inverse)? must be finite"):
            function(self._observation(), np.zeros(2), np.diag([1.0, value]), 1.0)


def test_singular_inverse():
    observation = LmmObservation(*_problem(10, 2, 2)[:3])
    with pytest.raises(ValueError, match="L_inverse is singular: its diagonal has a zero"):
        log_likelihood_inverse(observation, np.zeros(2), np.diag([1.0, 0.0]), 1.0)


@pytest.mark.parametrize(
    ("y", "X", "Z"),
    [
        (np.ones((3, 1)), np.ones((3, 1)), np.ones((3, 1))),
        (np.ones(3), np.ones(3), np.ones((3, 1))),
        (np.ones(3), np.ones((3, 1)), np.ones(3)),
        (np.ones(3), np.ones((4, 1)), np.ones((3, 1))),
        (np.ones(3), np.ones((3, 1)), np.ones((2, 1))),
    ],
)
def test_shapes_of_an_observation(y, X, Z):
    with pytest.raises(ValueError, match=r"y must have shape \(n,\), X \(n, p\) and Z \(n, q\)"):
        LmmObservation(y, X, Z)


@pytest.mark.parametrize("name", ["y", "X", "Z"])
def test_values_of_an_observation(name):
    arrays = {"y": np.ones(5), "X": np.ones((5, 2)), "Z": np.ones((5, 1))}
    arrays[name][3] = np.nan
    with pytest.raises(ValueError, match=f"{name} is not finite in row 3"):
        LmmObservation(**arrays)


def test_repr():
    assert repr(LmmObservation(*_problem(10, 2, 3)[:3])) == "LmmObservation(n=10, p=2, q=3)"
