"""Golden numbers: collections with exact solutions, the steel rail, SciPy, statsmodels."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from scipy.linalg import circulant, solve_continuous_are, solve_discrete_are
from scipy.sparse import csc_array

from lmmfit import RiccatiFilter
from lmmfit.datasets import load_nile, load_rail
from lmmfit.riccati import RiccatiError, solve_care, solve_dare

REFERENCE = Path(__file__).parents[1] / "reference" / "riccati"
UNIT = 2.0**-53  # of rounding


def golden(name):
    return json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))


# ------------------------------------------------------------------------------ CAREX and DAREX

CASES = {case["name"]: case for case in golden("benchmark_cases")}
REFUSED = {
    "carex 2.5": r"Q must be positive semidefinite, its smallest eigenvalue is -8\.10977",
    "darex 1.1": "R must be positive definite, its smallest eigenvalue is 0",
    "darex 1.4": "Q must be positive semidefinite, its smallest eigenvalue is -10",
}
METHODS = {
    "care": ("auto", "doubling", "cfqadi", "newton", "schur"),
    "dare": ("auto", "doubling", "schur"),
}
# Pairs that may fail, but must say so. Newton's method cannot start where A has modes on the
# imaginary axis (1.1, 2.3, 2.7, 3.2); SciPy's Schur method is not scaled; R of the examples 2.2 is
# all but singular.
HARD = {
    ("carex 1.1", "newton"), ("carex 2.3", "newton"), ("carex 2.3 easy", "newton"),
    ("carex 2.7", "newton"), ("carex 3.2", "newton"), ("carex 2.1", "schur"),
    ("carex 2.4", "schur"), ("carex 2.6", "schur"), ("carex 2.2", "auto"),
    ("carex 2.2", "doubling"), ("carex 2.2", "newton"), ("darex 2.1", "schur"),
    ("darex 2.4", "schur"), ("darex 2.2", "auto"), ("darex 2.2", "doubling"),
}  # fmt: skip


def matrices(case):
    """A, B, C; the weights; X."""
    packed = {key: np.array(case[key]) for key in "ABCQRSX" if key in case}
    if case.get("circulant"):
        packed = {key: circulant(M[:, 0]) for key, M in packed.items()}
    A, B, C, X = (packed.pop(key) for key in "ABCX")
    return (A, B, C), packed, X


def solved(case, method):
    given, weights, X = matrices(case)
    solve = solve_care if case["equation"] == "care" else solve_dare
    solution = solve(*given, **weights, method=method)
    return solution, np.linalg.norm(solution.X - X) / np.linalg.norm(X)


def sensitivity(case):
    """What a relative change of the data, or of the residual, is multiplied with in X."""
    return max(case["condition"], case["condition_of_residual"])


PAIRS = [
    (name, method)
    for name, case in CASES.items()
    for method in METHODS[case["equation"]]
    if name not in REFUSED
]


@pytest.mark.parametrize(("name", "method"), [pair for pair in PAIRS if pair not in HARD])
def test_exact_solutions(name, method):
    """Backward stable: 200 units of rounding in the data or in the residual explain the error."""
    solution, error = solved(CASES[name], method)
    assert solution.converged
    assert error <= 200 * UNIT * sensitivity(CASES[name])


@pytest.mark.parametrize(("name", "method"), sorted(HARD))
def test_hard_examples_are_right_or_say_so(name, method):
    """``converged`` promises a residual of 1e-11, and so 1e-11 times its condition in X."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            solution, error = solved(CASES[name], method)
        except RiccatiError:
            return
    if solution.converged:
        assert error <= 1e-11 * sensitivity(CASES[name])
    else:
        assert any("the residual is" in str(warning.message) for warning in told)


@pytest.mark.parametrize(
    ("name", "method"),
    [pair for pair in PAIRS if pair[0] in ("carex 2.1", "carex 2.3") and pair not in HARD],
)
def test_scaled_examples_keep_all_digits(name, method):
    """Their elements are from 1e-4 to 1e10, and their conditions alone would allow less."""
    assert solved(CASES[name], method)[1] <= 1e-14


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_examples_that_are_not_convex(name):
    """They have solutions, but none that is the cost of a regulator."""
    case = CASES[name]
    (A, B, C), weights, _ = matrices(case)
    solve = solve_care if case["equation"] == "care" else solve_dare
    for method in METHODS[case["equation"]]:
        with pytest.raises(ValueError, match=REFUSED[name]):
            solve(A, B, C, **weights, method=method)


@pytest.mark.parametrize("name", [name for name in CASES if name not in REFUSED])
def test_packed_solutions_solve_the_packed_equations(name):
    """A mistake in the file, not in the package, would show here."""
    case = CASES[name]
    (A, B, C), weights, X = matrices(case)
    Q, R = weights["Q"], weights["R"]
    S = weights.get("S", np.zeros_like(B))
    if case["equation"] == "care":
        cross = X @ B + S
        terms = [A.T @ X, X @ A, -cross @ np.linalg.solve(R, cross.T), C.T @ Q @ C]
    else:
        cross = A.T @ X @ B + S
        middle = np.linalg.solve(R + B.T @ X @ B, cross.T)
        terms = [A.T @ X @ A, -X, -cross @ middle, C.T @ Q @ C]
    size = sum(np.linalg.norm(term) for term in terms)
    assert np.linalg.norm(sum(terms)) <= 1e-8 * size  # R of the examples 2.2 has lost 8 digits
    if case["condition"] < 1e3:
        assert np.linalg.norm(sum(terms)) <= 1e-13 * size


# --------------------------------------------------------------------------------- the steel rail

RAIL = {(case["n"], case["sign"]): case for case in golden("rail")}
WEIGHT = 0.2401  # R of the bounded-real case


def rail_solution(n, sign, **options):
    rail = load_rail(n)
    R = None if sign == -1 else WEIGHT * np.eye(7)
    solution = solve_care(rail.A, rail.B, rail.C, E=rail.E, R=R, sign=sign, **options)
    # K is R^-1 B'XE; the file's is R^-1/2 B'XE.
    return solution, np.linalg.norm(solution.K) * (1.0 if sign == -1 else np.sqrt(WEIGHT))


@pytest.mark.parametrize("sign", [-1, 1])
def test_rail_of_order_371(sign):
    wanted, (solution, norm_K) = RAIL[371, sign], rail_solution(371, sign)
    assert wanted["residual"] < 1e-15
    assert solution.converged
    assert solution.method == "cfqadi"
    assert norm_K == pytest.approx(wanted["norm_K"], rel=1e-9)
    assert np.sum(solution.Z**2) == pytest.approx(wanted["trace_X"], rel=1e-9)
    assert np.linalg.norm(solution.Z, 2) ** 2 == pytest.approx(wanted["norm_X"], rel=1e-9)
    assert solution.rightmost.real < 0


@pytest.mark.parametrize("sign", [-1, 1])
def test_rail_of_order_1357_in_few_shifts(sign):
    solution, norm_K = rail_solution(1357, sign, tol=1e-10)
    assert solution.converged
    assert solution.residual_norm <= 1e-10
    assert solution.n_iter <= 40
    # A residual of 1e-10 leaves about 1e-9 of the gain.
    assert norm_K == pytest.approx(RAIL[1357, sign]["norm_K"], rel=3e-9)


def test_norms_of_the_rail_that_others_have_published():
    """K of 371 and 1357 nodes, computed before by other programs, to the digits known."""
    for (n, sign), norm in {
        (371, -1): 0.05362754400661664, (371, 1): 0.13544400283519262,
        (1357, -1): 0.0346138892, (1357, 1): 0.0825263278,
    }.items():  # fmt: skip
        assert RAIL[n, sign]["norm_K"] == pytest.approx(norm, rel=2e-9)


# -------------------------------------------------------------------------- SciPy, all at once


def weighted_system(seed, n=10, m=2, p=3):
    """A stable system with E, Q, R and a cross term; small enough for both signs."""
    rng = np.random.default_rng(seed)
    E = np.eye(n) + 0.2 * rng.normal(size=(n, n)) / np.sqrt(n)
    A = rng.normal(size=(n, n))
    A = E @ (A - (np.linalg.eigvals(A).real.max() + 1.0) * np.eye(n))
    B, C = 0.1 * rng.normal(size=(n, m)), 0.3 * rng.normal(size=(p, n))
    Q, R = (np.eye(k) + 0.3 * np.cov(rng.normal(size=(k, 20))) for k in (p, m))
    S = 0.2 * C.T @ Q @ rng.normal(size=(p, m))
    return A, B, C, E, Q, R, S


@pytest.mark.parametrize("method", ["auto", "qadi", "cfqadi", "newton", "schur", "sparse"])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("seed", range(3))
def test_continuous_equation_with_everything(seed, sign, method):
    A, B, C, E, Q, R, S = weighted_system(seed)
    # Without balancing, which SciPy does as though E were the identity.
    X = solve_continuous_are(A, B, C.T @ Q @ C, -sign * R, e=E, s=S, balanced=False)
    if method == "sparse":
        solution = solve_care(csc_array(A), B, C, sign=sign, E=csc_array(E), Q=Q, R=R, S=S)
    else:
        solution = solve_care(A, B, C, sign=sign, E=E, Q=Q, R=R, S=S, method=method, tol=1e-13)
    assert solution.converged
    assert np.linalg.norm(solution.X - X) <= 1e-10 * np.linalg.norm(X)
    K = np.linalg.solve(R, B.T @ X @ E + S.T)
    assert np.linalg.norm(solution.K - K) <= 1e-10 * np.linalg.norm(K)


@pytest.mark.parametrize("method", ["auto", "doubling", "iteration", "schur"])
@pytest.mark.parametrize("radius", [0.6, 1.1])
@pytest.mark.parametrize("seed", range(3))
def test_discrete_equation_with_everything(seed, radius, method):
    A, B, C, E, Q, R, S = weighted_system(seed)
    A = A * radius / np.abs(np.linalg.eigvals(np.linalg.solve(E, A))).max()
    S = 0.2 * S
    X = solve_discrete_are(A, 5 * B, C.T @ Q @ C, R, e=E, s=S, balanced=False)
    solution = solve_dare(A, 5 * B, C, E=E, Q=Q, R=R, S=S, method=method, tol=1e-13)
    assert solution.converged
    assert np.linalg.norm(solution.X - X) <= 1e-10 * np.linalg.norm(X)


# ------------------------------------------------------------------------------------ statsmodels

NILE = load_nile().target[:, None].astype(float)


def statsmodels_filter(model, Y, cov, mean):
    """Of a fitted filter's matrices; it never takes the steady gain for the exact one."""
    n, other = len(model.A_), sm.tsa.statespace.MLEModel(Y, k_states=len(model.A_))
    other.ssm.loglikelihood_burn = 0
    other.ssm.tolerance = 0.0
    for name, M in (("design", model.C_), ("obs_cov", model.R_), ("transition", model.A_),
                    ("selection", np.eye(n)), ("state_cov", model.Q_)):  # fmt: skip
        other[name] = M
    if cov is None:
        other.ssm.initialize_stationary()
    else:
        other.ssm.initialize_known(mean, cov)
    return other.ssm.smooth()


def test_nile_by_the_estimator():
    model = RiccatiFilter(Q=[[1469.1]], R=[[15099.0]], initial_state=[1000.0]).fit(NILE)
    assert_allclose(model.P_, 5501.2579418, rtol=1e-11)
    assert_allclose(model.K_, 0.2670480126, rtol=1e-9)
    theirs = statsmodels_filter(model, NILE, model.P_, np.array([1000.0]))
    assert model.loglik_ == pytest.approx(theirs.llf_obs.sum(), rel=1e-12)
    assert_allclose(model.score_samples(NILE), theirs.llf_obs, rtol=0, atol=1e-9)
    assert_allclose(model.transform(NILE), theirs.filtered_state.T, rtol=1e-12)


@pytest.mark.parametrize("start", ["steady", "stationary", "given"])
def test_elements_missing_from_three_outputs(start):
    """Rows that are whole, in part there, and gone; each of them exactly as statsmodels."""
    rng = np.random.default_rng(3)
    A = rng.normal(size=(4, 4))
    A *= 0.9 / np.abs(np.linalg.eigvals(A)).max()
    C, V = rng.normal(size=(3, 4)), rng.normal(size=(3, 3))
    R = V @ V.T + 0.2 * np.eye(3)
    cov = np.diag([1.0, 2.0, 3.0, 40.0])
    mean = np.array([1.0, -2.0, 0.5, 3.0]) if start == "given" else np.zeros(4)
    model = RiccatiFilter(
        A, C, np.diag([1.0, 0.5, 2.0, 0.0]), R, initial_state=mean,
        initial_cov=cov if start == "given" else start,
    )  # fmt: skip
    Y = model.fit(np.zeros((1, 3))).simulate(300, random_state=1)
    Y[rng.random(Y.shape) < 0.2] = np.nan
    Y[100:110] = np.nan
    model.fit(Y)
    theirs = statsmodels_filter(
        model, Y, {"steady": model.P_, "stationary": None, "given": cov}[start], mean
    )
    seen = np.isnan(Y).sum(axis=1)
    assert set(seen) == {0, 1, 2, 3}
    assert_allclose(model.score_samples(Y), theirs.llf_obs, rtol=0, atol=1e-9)
    assert model.loglik_ == pytest.approx(theirs.llf_obs.sum(), rel=1e-11)
    size = np.abs(theirs.filtered_state).max()
    assert_allclose(model.transform(Y), theirs.filtered_state.T, rtol=0, atol=1e-9 * size)
    assert_allclose(model.smooth(Y), theirs.smoothed_state.T, rtol=0, atol=1e-9 * size)
    predicted = theirs.predicted_state[:, :-1].T @ C.T
    assert_allclose(model.predict(Y), predicted, rtol=0, atol=1e-9 * size)
