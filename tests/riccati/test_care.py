"""The continuous equation: every method, both signs, what has no solution."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm, solve_continuous_are
from scipy.sparse import csc_array

from lmmfit.riccati import (
    HamiltonianShifts,
    NotBoundedRealError,
    NotDetectableError,
    NotStabilizableError,
    cfqadi,
    check_modes,
    compose,
    cycle_shifts,
    double_factored,
    double_until,
    factored_qadi_map,
    geometric_shifts,
    has_growing_mode,
    is_provably_stable,
    is_stable_metzler,
    iterate_map,
    lqr,
    newton_care,
    penzl_shifts,
    qadi_map,
    rightmost_eigenvalue,
    single_shift,
    solve_care,
    stabilizing_start,
    wachspress_shifts,
)

METHODS = ["doubling", "qadi", "cfqadi", "newton", "schur"]


def system(n=12, m=2, p=3, seed=0, gain=0.5):
    """A stable system whose H-infinity norm is ``gain`` of 1 or less."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, n))
    A -= (np.linalg.eigvals(A).real.max() + 0.5) * np.eye(n)
    B, C = rng.normal(size=(n, m)), rng.normal(size=(p, n))
    peak = max(
        np.linalg.norm(C @ np.linalg.solve(1j * w * np.eye(n) - A, B), 2)
        for w in np.r_[0, np.geomspace(1e-3, 1e3, 2000)]
    )
    return A, B * np.sqrt(gain / peak), C * np.sqrt(gain / peak)


def residual(A, B, C, X, sign, E=None):
    E = np.eye(len(A)) if E is None else E
    XE = X @ E
    terms = A.T @ XE, sign * XE.T @ B @ B.T @ XE, C.T @ C
    size = 2 * np.linalg.norm(terms[0]) + sum(np.linalg.norm(t) for t in terms[1:])
    return np.linalg.norm(terms[0] + terms[0].T + terms[1] + terms[2]) / size


def printed_steps(A, B, C, sign, shifts):
    """Equations 9a and 9b as printed."""
    X, I = np.zeros(A.shape, complex), np.eye(len(A))
    for p in shifts:
        half = np.linalg.solve(A.T + sign * X.T @ B @ B.T + p * I, -C.T @ C - X.T @ (A - p * I)).T
        X = np.linalg.solve(A.T + sign * half @ B @ B.T + p * I, -C.T @ C - half @ (A - p * I))
    return X


@pytest.mark.parametrize("sign", [-1, 1])
def test_steps_are_the_printed_ones(sign):
    A, B, C = system()
    shifts = [-1.3, -0.4, -3.0]
    wanted = printed_steps(A, B, C, sign, shifts)
    X = np.zeros_like(A)
    for p in shifts:
        X = qadi_map(A, B, C, sign, p)(X)
    assert X == pytest.approx(wanted.real, abs=1e-13)
    Z = cfqadi(A, B, C, sign, cycle_shifts(shifts), max_iter=3, tol=0.0).Z
    assert Z @ Z.T == pytest.approx(wanted.real, abs=1e-13)
    assert Z.shape == (12, 9)


@pytest.mark.parametrize("sign", [-1, 1])
def test_complex_pairs_stay_real(sign):
    A, B, C = system()
    p = -0.8 + 2.1j
    wanted = printed_steps(A, B, C, sign, [p, p.conjugate(), -1.0, p, p.conjugate()])
    assert np.abs(wanted.imag).max() < 1e-13
    it = cfqadi(A, B, C, sign, cycle_shifts([p, p.conjugate(), -1.0]), max_iter=3, tol=0.0)
    assert it.Z @ it.Z.T == pytest.approx(wanted.real, abs=1e-13)
    assert it.shifts == [p, -1.0, p]
    solution = solve_care(A, B, C, sign=sign, method="qadi", shifts=[p, p.conjugate(), -1.0])
    assert residual(A, B, C, solution.X, sign) < 1e-12


@pytest.mark.parametrize("sign", [-1, 1])
def test_doubling_gives_the_iterates_that_are_powers_of_two(sign):
    A, B, C = system()
    step = qadi_map(A, B, C, sign, -1.5)
    factored = again = factored_qadi_map(A, B, C, sign, -1.5)
    for doublings in (1, 2, 3):
        X, _ = iterate_map([step], np.zeros_like(A), tol=0.0, max_iter=2**doublings)
        doubled, _ = double_until(step, tol=0.0, max_iter=doublings)
        V, _, _ = double_factored(factored, tol=0.0, max_iter=doublings)
        again = again.doubled()
        assert doubled.h == pytest.approx(X, abs=1e-13)
        assert V @ V.T == pytest.approx(X, abs=1e-13)
        assert again.a == pytest.approx(doubled.a, abs=1e-12)
        assert again.U @ again.U.T == pytest.approx(-sign * doubled.g, abs=1e-12)
    first, second = qadi_map(A, B, C, sign, -0.5), qadi_map(A, B, C, sign, -2.0)
    start = 0.1 * np.eye(len(A))
    assert compose(first, second)(start) == pytest.approx(second(first(start)), abs=1e-13)


@pytest.mark.parametrize("sign", [-1, 1])
def test_residual_factor_is_exact(sign):
    A, B, C = system()
    E = np.eye(12) + 0.1 * np.random.default_rng(1).normal(size=(12, 12))
    it = cfqadi(A, B, C, sign, cycle_shifts([-1.0, -0.5 + 1j]), E=E, max_iter=4, tol=0.0)
    X = it.Z @ it.Z.T
    XE = X @ E
    wanted = A.T @ XE + XE.T @ A + sign * XE.T @ B @ B.T @ XE + C.T @ C
    assert it.residual @ it.residual.T == pytest.approx(wanted, abs=1e-12)
    assert it.feedback == pytest.approx(E.T @ X @ B, abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("shape", [(12, 2, 3), (12, 1, 1), (40, 2, 1), (6, 6, 6)])
def test_methods_agree_with_scipy(method, sign, shape):
    A, B, C = system(*shape)
    X = solve_continuous_are(A, B, C.T @ C, -sign * np.eye(shape[1]))
    solution = solve_care(A, B, C, sign=sign, method=method)
    assert solution.converged
    assert np.linalg.norm(solution.X - X) < 1e-10 * np.linalg.norm(X)
    assert np.array_equal(solution.X, solution.X.T)
    assert solution.K == pytest.approx(B.T @ X, abs=1e-10)
    loop = np.linalg.eigvals(A + sign * B @ solution.K)
    assert solution.rightmost.real == pytest.approx(loop.real.max(), rel=1e-6)
    assert solution.rightmost.real < 0
    assert solution.n_iter == len(solution.history)
    if solution.Z is not None:
        assert solution.Z @ solution.Z.T == pytest.approx(solution.X, abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_weights_and_descriptors(method):
    A, B, C = system()
    rng = np.random.default_rng(2)
    Q, R = (np.cov(rng.normal(size=(k, 20))) for k in (3, 2))
    E = np.eye(12) + 0.1 * rng.normal(size=(12, 12))
    S = 0.3 * C.T @ Q @ rng.normal(size=(3, 2)) @ R  # within what keeps the cost convex
    for options in ({"Q": Q, "R": R}, {"E": E}, {"Q": Q, "R": R, "E": E}, {"S": 0.05 * S, "Q": Q}):
        s, r = options.get("S", np.zeros((12, 2))), options.get("R", np.eye(2))
        e, q = options.get("E", np.eye(12)), options.get("Q", np.eye(3))
        X = solve_care(A, B, C, method=method, **options).X
        cross = e.T @ X @ B + s
        terms = A.T @ X @ e, cross @ np.linalg.solve(r, cross.T), C.T @ q @ C
        gap = terms[0] + terms[0].T - terms[1] + terms[2]
        assert np.linalg.norm(gap) < 1e-11 * sum(np.linalg.norm(t) for t in terms)
        K = solve_care(A, B, C, method=method, **options).K
        assert K == pytest.approx(np.linalg.solve(r, cross.T), abs=1e-9)
        assert np.linalg.eigvals(np.linalg.solve(e, A - B @ K)).real.max() < 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(1, 3), st.integers(1, 3))
def test_any_system_is_solved_or_refused(seed, n, m, p):
    """Unstable ones too: the certificate holds for whatever is returned."""
    rng = np.random.default_rng(seed)
    A, B, C = rng.normal(size=(n, n)), rng.normal(size=(n, m)), rng.normal(size=(p, n))
    for method in ("doubling", "cfqadi"):
        solution = solve_care(A, B, C, method=method, tol=1e-9)
        assert np.linalg.eigvals(A - B @ solution.K).real.max() < 0
        assert residual(A, B, C, solution.X, -1) < 1e-7
        assert np.linalg.eigvalsh(solution.X)[0] > -1e-8 * np.linalg.norm(solution.X)


@pytest.mark.parametrize("method", METHODS)
def test_unstable_systems_begin_with_the_bernoulli_equation(method):
    A, B, C = system()
    A = A + 1.2 * np.eye(12)
    assert np.linalg.eigvals(A).real.max() > 0
    X = solve_continuous_are(A, B, C.T @ C, np.eye(2))
    solution = solve_care(A, B, C, method=method)
    assert np.linalg.norm(solution.X - X) < 1e-8 * np.linalg.norm(X)
    assert solution.rightmost.real < 0
    sparse = solve_care(csc_array(A), B, C, method="cfqadi")
    assert np.linalg.norm(sparse.X - X) < 1e-8 * np.linalg.norm(X)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sparse", [False, True])
def test_what_has_no_stabilizing_solution(method, sparse):
    A, B, C = system(gain=0.99)
    if sparse and method != "cfqadi":
        pytest.skip("sparse matrices are for cfqadi")

    def ask(A, B, C, **options):
        return solve_care(csc_array(A) if sparse else A, B, C, method=method, **options)

    bigger = np.zeros((13, 13))
    bigger[:12, :12], bigger[12, 12] = A, 0.7
    unseen, unreached = np.c_[C, np.zeros(3)], np.r_[B, np.zeros((1, 2))]
    one = np.ones((1, 2))
    with pytest.raises(
        NotStabilizableError, match=r"the mode 0\.7 of A is not stable and no input"
    ):
        ask(bigger, unreached, np.c_[C, np.ones(3)])
    with pytest.raises(
        NotDetectableError, match=r"the mode 0\.7 of A is not stable and no output"
    ):
        ask(bigger, np.r_[B, one], unseen)
    assert ask(A, B, C, sign=1).converged
    for factor in (1.05, 1.5):
        with pytest.raises(NotBoundedRealError, match="not bounded real"):
            ask(A, B * factor, C * factor, sign=1)
    with pytest.raises(NotBoundedRealError, match="mode"):
        ask(bigger, np.r_[B, one], np.c_[C, np.ones(3)], sign=1)


def test_double_modes_that_one_input_cannot_reach():
    """Each eigenvector is reached, and yet the pair is not: a test by vectors would miss it."""
    A, B, C = np.diag([1.0, 1.0, -1.0]), np.ones((3, 1)), np.ones((2, 3)) + np.eye(2, 3)
    with pytest.raises(NotStabilizableError, match="the mode 1"):
        solve_care(A, B, C)
    with pytest.raises(NotStabilizableError, match="the mode 1"):
        solve_care(A, B, C, method="cfqadi")


@pytest.mark.parametrize("method", METHODS)
def test_bad_matrices(method):
    A, B, C = system()
    bad = A.copy()
    bad[3, 4] = np.nan
    for matrices, options, match in (
        ((bad, B, C), {}, r"A\[3, 4\] is nan"),
        ((A[:, :5], B, C), {}, r"A must be a square matrix, its shape is \(12, 5\)"),
        ((A, B[:5], C), {}, r"B must have shape \(12, any\), got \(5, 2\)"),
        ((A, B, C[:, :5]), {}, r"C must have shape \(any, 12\)"),
        ((A, B, C), {"Q": -np.eye(3)}, "Q must be positive semidefinite, its smallest .* -1"),
        ((A, B, C), {"Q": np.triu(np.ones((3, 3)))}, r"Q must be symmetric: Q\[0, 1\] is 1"),
        ((A, B, C), {"R": np.zeros((2, 2))}, "R must be positive definite"),
        (
            (A, B, C),
            {"R": np.array([[1, 0.5], [0, 1]])},
            r"R must be symmetric: R\[0, 1\] is 0\.5",
        ),
        ((A, B, C), {"S": 100 * np.ones((12, 2))}, "must be positive semidefinite"),
        ((A, B, C), {"sign": 2}, "sign must be 1 or -1"),
        ((A, B, C), {"tol": 0.0}, "tol must be between"),
        ((A.astype(str), B, C), {}, "A must hold real numbers"),
    ):
        with pytest.raises(ValueError, match=match):
            solve_care(*matrices, method=method, **options)
    with pytest.raises(ValueError, match="method='magic'"):
        solve_care(A, B, C, method="magic")
    for shifts in ([1.0], [], "magic", [-1.0, 0.0]):
        with pytest.raises(ValueError, match="shift"):
            solve_care(A, B, C, method="cfqadi", shifts=shifts)


def test_too_few_steps_are_told():
    A, B, C = system()
    with pytest.warns(RuntimeWarning, match=r"the residual is .* after 2 steps .*cfqadi"):
        solution = solve_care(A, B, C, method="cfqadi", max_iter=2)
    assert not solution.converged
    assert solution.rightmost.real < 0


@pytest.mark.parametrize("shifts", ["auto", "single", "penzl", "hamiltonian", [-1.0, -0.3 + 1j]])
def test_shifts(shifts):
    A, B, C = system(30, 2, 1)
    X = solve_continuous_are(A, B, C.T @ C, np.eye(2))
    for matrices in ((A, B, C), (csc_array(A), B, C)):
        solution = solve_care(*matrices, method="cfqadi", shifts=shifts, tol=1e-13)
        assert np.linalg.norm(solution.X - X) < 1e-9 * np.linalg.norm(X)
        assert all(np.real(p) < 0 for p in solution.shifts)


def test_shifts_of_intervals():
    assert wachspress_shifts(2.0, 2.0, 2) == [-2.0, -2.0]
    shifts = np.array(wachspress_shifts(1.0, 1e4, 8))
    x = np.geomspace(1.0, 1e4, 5000)
    spread = np.prod(np.abs((shifts[:, None] + x) / (shifts[:, None] - x)), axis=0).max()
    geometric = np.array(geometric_shifts(1.0, 1e4, 8))
    assert (
        spread < np.prod(np.abs((geometric[:, None] + x) / (geometric[:, None] - x)), axis=0).max()
    )
    product = np.abs((shifts[:, None] + x) / (shifts[:, None] - x)).prod(axis=0)
    peaks = product[1:-1][(product[1:-1] > product[:-2]) & (product[1:-1] > product[2:])]
    assert peaks == pytest.approx(peaks[0], rel=1e-3)  # the error has equal ripples
    with pytest.raises(ValueError, match="smallest <= largest"):
        wachspress_shifts(2.0, 1.0, 3)
    with pytest.raises(ValueError, match="count must be"):
        geometric_shifts(1.0, 2.0, 0)
    n = 200
    A = csc_array(np.diag(-np.geomspace(1, 1e3, n)))
    assert len(penzl_shifts(A, 6)) == 6


def test_certificates_of_large_sparse_loops():
    """An unstable pair far up the imaginary axis is found."""
    n = 600
    rng = np.random.default_rng(0)
    blocks = np.zeros((n, n))
    for k in range(0, n, 2):
        a, b = -rng.uniform(0.1, 1), rng.uniform(0, 50)
        blocks[k : k + 2, k : k + 2] = [[a, b], [-b, a]]
    blocks[10:12, 10:12] = [[0.01, 40.0], [-40.0, 0.01]]
    A = csc_array(blocks)
    found = rightmost_eigenvalue(A)
    assert found.real == pytest.approx(0.01, rel=1e-6)
    B, K = np.zeros((n, 1)), np.zeros((1, n))
    B[10], K[0, 10] = 1.0, -0.5
    wanted = np.linalg.eigvals(blocks + B @ K).real.max()
    assert rightmost_eigenvalue(A, B, K).real == pytest.approx(wanted, rel=1e-6)


def test_newton_refines():
    A, B, C = system()
    X = solve_continuous_are(A, B, C.T @ C, np.eye(2))
    rough = X + 1e-3 * np.linalg.norm(X) * np.eye(12)
    found, history = newton_care(A, B @ B.T, C.T @ C, rough)
    assert np.linalg.norm(found - X) < 1e-12 * np.linalg.norm(X)
    assert history[0] > 1e-5 > history[-1]


def test_regulators():
    A, B, _ = system()
    rng = np.random.default_rng(3)
    Q, R = (np.cov(rng.normal(size=(k, 30))) for k in (12, 2))
    solution = lqr(A + np.eye(12), B, Q, R)
    X = solve_continuous_are(A + np.eye(12), B, Q, R)
    assert solution.K == pytest.approx(np.linalg.solve(R, B.T @ X), rel=1e-8)
    loop, x, cost, dt = A + np.eye(12) - B @ solution.K, rng.normal(size=12), 0.0, 1e-3
    step, start = expm(loop * dt), x.copy()
    for _ in range(20_000):
        u = solution.K @ x
        cost += dt * (x @ Q @ x + u @ R @ u)
        x = step @ x
    assert cost == pytest.approx(start @ solution.X @ start, rel=2e-2)


def test_hamiltonian_shifts_converge_on_oscillating_systems():
    """Real shifts alone stall where eigenvalues lie along the imaginary axis."""
    rng = np.random.default_rng(5)
    n = 80
    blocks = np.zeros((n, n))
    for k in range(0, n, 2):
        blocks[k : k + 2, k : k + 2] = (k + 1.0) * np.array([[-0.05, 1.0], [-1.0, -0.05]])
    B, C = rng.normal(size=(n, 1)), rng.normal(size=(1, n))
    it = cfqadi(blocks, B, C, -1, HamiltonianShifts(blocks, B, C, -1), tol=1e-11, max_iter=200)
    assert it.history[-1] <= 1e-11
    real = cfqadi(
        blocks, B, C, -1, cycle_shifts([single_shift(blocks, B, C, -1)]), tol=1e-11, max_iter=200
    )
    assert real.history[-1] > 1e-6


@pytest.mark.parametrize("method", METHODS)
def test_strongly_unstable_systems_are_solved_at_least_as_well_as_by_schur(method):
    rng = np.random.default_rng(2)
    A = rng.normal(size=(20, 20)) + np.eye(20)
    B, C = rng.normal(size=(20, 2)), rng.normal(size=(3, 20))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # SciPy's own is above rounding
        solution = solve_care(A, B, C, method=method)
        schur = solve_care(A, B, C, method="schur")
    bound = 2.0 * residual(A, B, C, schur.X, -1)
    assert residual(A, B, C, solution.X, -1) < bound
    assert solution.n_iter < 20 or method in ("qadi", "cfqadi")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 8), st.booleans())
def test_proofs_of_stability(seed, n, sparse):
    """No proof for what is not stable; every compartment model that is stable has one."""
    rng = np.random.default_rng(seed)
    for A in (
        rng.normal(size=(n, n)) - rng.uniform(0.0, 3.0) * np.eye(n),
        rng.uniform(size=(n, n)) - rng.uniform(0.5, n + 1.0) * np.eye(n),
    ):
        E = np.diag(rng.uniform(0.5, 2.0, n))
        for e in (None, E):
            modes = np.linalg.eigvals(A if e is None else np.linalg.solve(e, A)).real
            form = [None if M is None else csc_array(M) if sparse else M for M in (A, e)]
            proven = is_provably_stable(*form)
            assert not (proven and modes.max() >= 0)
            off = A - np.diag(np.diag(A))
            if off.min() >= 0 and modes.max() < -1e-6:
                assert is_stable_metzler(*form)
                assert proven


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("columns", [2, 150])
def test_doubling_proves_the_loop_of_a_large_dense_system_stable(sign, columns):
    rng = np.random.default_rng(4)
    A = rng.normal(size=(260, 260))
    A -= (np.linalg.eigvals(A).real.max() + 1.0) * np.eye(260)
    B, C = 0.05 * rng.normal(size=(260, columns)), 0.05 * rng.normal(size=(2, 260))
    assert not is_provably_stable(A)
    solution = solve_care(A, B, C, sign=sign)
    assert solution.proven
    assert solution.converged
    rightmost = np.linalg.eigvals(A + sign * B @ solution.K).real.max()
    assert rightmost < 0
    assert solution.rightmost.real == pytest.approx(rightmost, rel=1e-10)
    assert residual(A, B, C, solution.X, sign) < 1e-12
    # Large systems that are not stable go the way of the small ones.
    unstable = A + 3.0 * np.eye(260)
    assert has_growing_mode(unstable)
    if sign == 1:
        with pytest.raises(NotBoundedRealError, match="which is not stable"):
            solve_care(unstable, B, C, sign=1)
        with pytest.raises(NotBoundedRealError, match="not bounded real"):
            solve_care(A, 1e3 * B, C, sign=1)
    else:
        big = np.zeros((261, 261))
        big[:260, :260], big[260, 260] = A, 0.7
        with pytest.raises(NotDetectableError, match=r"mode 0\.7 of A"):
            solve_care(big, np.r_[B, np.ones((1, columns))], np.c_[C, np.zeros(2)])


def test_newton_goes_above_a_solution_that_is_far():
    """From far below, steps that may only reduce the residual are short for ever."""
    rng = np.random.default_rng(2)
    A = rng.normal(size=(20, 20)) + np.eye(20)
    B, C = rng.normal(size=(20, 2)), rng.normal(size=(3, 20))
    start = stabilizing_start(*check_modes(A, B, C), B, C)
    X, history = newton_care(A, B @ B.T, C.T @ C, start.Z @ start.Z.T)
    assert history[1] > history[0]
    assert len(history) < 15
    assert np.linalg.eigvals(A - B @ B.T @ X).real.max() < 0


def test_innovations_form_leaves_nothing_but_rounding():
    """Q = K R K', S = K R: what remains of Q is zero, or a little below."""
    A, K, R = np.array([[-0.9, 0.2], [0.0, -0.5]]), np.array([[0.3, 0.1], [0.0, 0.2]]), np.eye(2)
    solution = solve_care(A.T, np.eye(2), np.eye(2), Q=K @ R @ K.T, R=R, S=K @ R)
    assert solution.X == pytest.approx(np.zeros((2, 2)), abs=1e-15)
    assert solution.K.T == pytest.approx(K)
