"""What must be refused, by its name, with the number or the place that is wrong in the message."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.linalg import block_diag, solve_continuous_are
from scipy.optimize import minimize_scalar
from scipy.sparse import csc_array

from lmmfit import RiccatiFilter
from lmmfit.datasets import make_convection_diffusion, make_rlc_ladder
from lmmfit.riccati import (
    HamiltonianShifts,
    NotBoundedRealError,
    NotDetectableError,
    NotStabilizableError,
    RiccatiError,
    balanced_stochastic_truncation,
    cfqadi,
    dlqr,
    hinf_norm,
    kalman_bucy,
    lqr,
    passivity_preserving_reduction,
    rightmost_eigenvalue,
    solve_care,
    solve_dare,
    solve_positive_real,
    steady_filter,
)

DENSE = ("doubling", "qadi", "cfqadi", "newton", "schur")
DISCRETE = ("doubling", "iteration", "schur")


def estimator(**system):
    return RiccatiFilter(**system).fit(np.zeros((4, 3)))


def good_matrices():
    """Of a system with 5 states, 2 inputs, 3 outputs, stable in both kinds of time."""
    rng = np.random.default_rng(0)
    A = -0.1 * np.eye(5) + 0.3 * np.triu(rng.normal(size=(5, 5)), 1)
    B, C = rng.normal(size=(5, 2)), rng.normal(size=(3, 5))
    equation = {"A": A, "B": B, "C": C, "Q": np.eye(3), "R": np.eye(2), "E": np.eye(5),
                "S": np.zeros((5, 2))}  # fmt: skip
    regulator = {**equation, "Q": np.eye(5)}
    del regulator["C"]
    kalman = {"A": A, "C": C, "Q": np.eye(5), "R": np.eye(3), "B": B}
    bucy = {key: kalman[key] for key in "ACQR"}
    return {
        solve_care: equation, solve_dare: equation, lqr: regulator, dlqr: regulator,
        steady_filter: kalman, estimator: {key: kalman[key] for key in "ACQR"}, kalman_bucy: bucy,
    }  # fmt: skip


GOOD = good_matrices()
PLACES = [(function, name) for function, system in GOOD.items() for name in system]
WEIGHTED = [(function, name) for function, name in PLACES if name in ("Q", "R")]


def named(value):
    return getattr(value, "__name__", str(value))


def changed(function, name, value):
    return {**GOOD[function], name: value}


@pytest.mark.parametrize("function", GOOD, ids=named)
def test_the_good_matrices_are_accepted(function):
    found = function(**GOOD[function])
    assert getattr(found, "converged_", None) or found.converged


# ------------------------------------------------------------------------------- matrices


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("function", "name"), PLACES, ids=named)
def test_elements_that_are_not_finite(function, name, value):
    M = GOOD[function][name].copy()
    M[1, 1] = value
    with pytest.raises(ValueError, match=rf"^{name}\[1, 1\] is {value}"):
        function(**changed(function, name, M))


@pytest.mark.parametrize(("function", "name"), PLACES, ids=named)
def test_shapes(function, name):
    M = GOOD[function][name]
    rows, columns = M.shape
    for wrong in (M[:-1], M[:, :-1], np.zeros((rows, columns, 1)), M[0]):
        other = (name == "B" and len(wrong) == rows) or (name == "C" and len(wrong) < rows)
        if wrong.ndim == 2 and other:
            continue  # another number of inputs or outputs: then R, Q or S is wrong
        if function in (lqr, dlqr) and name == "A" and len(wrong) < rows:
            continue  # it is Q that is said not to fit
        shown = rf"\({', '.join(map(str, wrong.shape))},?\)"
        with pytest.raises(ValueError, match=rf"^{name}\b.*{shown}|{columns - 1} columns of C"):
            function(**changed(function, name, wrong))


@pytest.mark.parametrize("function", [lqr, dlqr, solve_care, solve_dare], ids=named)
def test_inputs_that_do_not_fit_their_weights(function):
    with pytest.raises(ValueError, match=r"^R must have shape \(1, 1\), got \(2, 2\)"):
        function(**changed(function, "B", np.ones((5, 1))))


@pytest.mark.parametrize(("function", "name"), WEIGHTED, ids=named)
def test_largest_asymmetry_is_named(function, name):
    n = len(GOOD[function][name])
    M = 4.0 * np.eye(n)
    M[1, 0] = 0.25
    M[0, n - 1] += 0.75  # for n = 2 the same two elements
    shown = rf"{name}\[0, {n - 1}\] is 0\.75 and {name}\[{n - 1}, 0\] is {0.25 if n == 2 else 0}\."
    with pytest.raises(ValueError, match=rf"^{name} must be symmetric: {shown}"):
        function(**changed(function, name, M))


@pytest.mark.parametrize(("function", "name"), WEIGHTED, ids=named)
@pytest.mark.parametrize("value", [-2.0, -1e-6])
def test_negative_weights(function, name, value):
    M = np.eye(len(GOOD[function][name]))
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=M.shape))[0]
    M[0, 0] = value
    with pytest.raises(ValueError, match=rf"^{name} must be positive.* eigenvalue is {value:g}"):
        function(**changed(function, name, rotation @ M @ rotation.T))


@pytest.mark.parametrize("function", GOOD, ids=named)
def test_noise_or_control_that_is_free(function):
    M = np.ones_like(GOOD[function]["R"])  # of rank one
    with pytest.raises(ValueError, match=r"^R must be positive definite, its smallest eigenvalue"):
        function(**changed(function, "R", M))


@pytest.mark.parametrize("function", [lqr, dlqr], ids=named)
def test_costs_that_are_not_convex(function):
    with pytest.raises(ValueError, match=r"^C'QC - S R\^-1 S' must be .* eigenvalue is -\d"):
        function(**changed(function, "S", np.ones((5, 2))))


@pytest.mark.parametrize("function", GOOD, ids=named)
@pytest.mark.parametrize("kind", [complex, str])
def test_numbers_that_are_not_real(function, kind):
    M = GOOD[function]["A"].astype(kind)
    with pytest.raises(ValueError, match=r"^A must hold real numbers, got an array of "):
        function(**changed(function, "A", M))


@pytest.mark.parametrize("function", [solve_care, lqr], ids=named)
def test_sparse_elements_that_are_not_finite(function):
    A = GOOD[function]["A"].copy()
    A[2, 3] = np.nan
    with pytest.raises(ValueError, match=r"^A\[2, 3\] is nan"):
        function(**changed(function, "A", csc_array(A)))
    E = np.eye(5)
    E[4, 0] = np.inf
    with pytest.raises(ValueError, match=r"^E\[4, 0\] is inf"):
        function(**changed(function, "E", csc_array(E)))


# ------------------------------------------------------------------------------- hidden modes

TURN = np.array([[np.cos(1.0), np.sin(1.0)], [-np.sin(1.0), np.cos(1.0)]])
CONTINUOUS_PAIRS = {
    "unstable": (np.array([[0.3, 2.0], [-2.0, 0.3]]), r"0\.3\+2j"),
    # These come with a rounding of their own.
    "on the axis": (np.array([[0.0, 2.0], [-2.0, 0.0]]), r"(0|-?\d\S*e-1\d)\+2j"),
    "at zero": (np.zeros((2, 2)), r"(0|-?\d\S*e-1\d)(\+\S+j)?"),
    "integrator": (np.array([[0.0, 1.0], [0.0, 0.0]]), r"-?\d\S*e-\d+(\+\S+j)?"),
}
DISCRETE_PAIRS = {
    "unstable": (1.2 * TURN, r"0\.648363\+1\.00977j"),
    "on the circle": (TURN, r"0\.540302\+0\.841471j"),
    "at one": (np.eye(2), "1"),
}


def hidden(pair, seed=0):
    """A pair of modes and a stable rest in mixed coordinates; B that misses it, C that does."""
    rng = np.random.default_rng(seed)
    A = block_diag(pair, 0.5 * np.diag([-1.0, -0.5, -0.2]))
    T = np.eye(5) + 0.3 * rng.normal(size=(5, 5))
    back = np.linalg.inv(T)
    B, C = rng.normal(size=(5, 2)), rng.normal(size=(2, 5))
    missing, unseen = B.copy(), C.copy()
    missing[:2], unseen[:, :2] = 0.0, 0.0
    return T @ A @ back, T @ B, C @ back, T @ missing, unseen @ back


@pytest.mark.parametrize("kind", CONTINUOUS_PAIRS)
@pytest.mark.parametrize("method", [*DENSE, "sparse"])
def test_hidden_modes_in_continuous_time(kind, method):
    pair, mode = CONTINUOUS_PAIRS[kind]
    A, B, C, missing, unseen = hidden(pair)
    E = np.diag([1.0, 2.0, 1.0, 0.5, 1.0])
    options = {} if method == "sparse" else {"method": method}
    for given, left in (({}, np.eye(5)), ({"E": E}, E)):
        with_E = options | given
        A_ = csc_array(left @ A) if method == "sparse" else left @ A
        with pytest.raises(NotStabilizableError, match=rf"mode {mode} of A is not stable and no"):
            solve_care(A_, left @ missing, C, **with_E)
        with pytest.raises(NotDetectableError, match=rf"mode {mode} of A .* and no output sees"):
            solve_care(A_, left @ B, unseen, **with_E)
        with pytest.raises(NotDetectableError, match=rf"mode {mode} of A .* and no output sees"):
            lqr(A_, left @ B, unseen.T @ unseen, np.eye(2), **with_E)
        with pytest.raises(NotBoundedRealError, match=rf"A has the mode {mode}, which is not"):
            solve_care(A_, 0.01 * left @ B, 0.01 * C, sign=1, **with_E)


@pytest.mark.parametrize(
    ("options", "seed"),
    [
        *[
            (options, seed)
            for options in ({}, {"method": "cfqadi"}, {"method": "newton"}, {"method": "schur"})
            for seed in range(8)
        ],
    ],
)
def test_integrators_that_are_reached_and_seen_are_no_obstacle(options, seed):
    """A double integrator in mixed coordinates: rounding puts its modes on either side."""
    A, B, C, missing, _ = hidden(CONTINUOUS_PAIRS["integrator"][0], seed)
    X = solve_continuous_are(A, B, C.T @ C, np.eye(2))
    solution = solve_care(A, B, C, **options)
    assert np.linalg.norm(solution.X - X) <= 1e-8 * np.linalg.norm(X)
    with pytest.raises(NotStabilizableError, match="is not stable and no input reaches it"):
        solve_care(A, missing, C, **options)


@pytest.mark.parametrize("kind", DISCRETE_PAIRS)
@pytest.mark.parametrize("method", DISCRETE)
def test_hidden_modes_in_discrete_time(kind, method):
    pair, mode = DISCRETE_PAIRS[kind]
    A, B, C, missing, unseen = hidden(pair)
    with pytest.raises(NotStabilizableError, match=f"mode {mode} of A is not stable and no input"):
        solve_dare(A, missing, C, method=method)
    with pytest.raises(NotDetectableError, match=f"mode {mode} of A is not stable and no output"):
        solve_dare(A, B, unseen, method=method)
    with pytest.raises(NotDetectableError, match=f"mode {mode} of A is not stable and no output"):
        dlqr(A, B, unseen.T @ unseen, np.eye(2), method=method)


@pytest.mark.parametrize("kind", DISCRETE_PAIRS)
def test_filters_speak_of_what_is_seen_and_driven(kind):
    pair, mode = DISCRETE_PAIRS[kind]
    A, B, C, missing, unseen = hidden(pair)
    for call in (steady_filter, RiccatiFilter(n_iter_em=1).set_params):

        def ask(*system, call=call):
            if call is steady_filter:
                return steady_filter(*system)
            return call(**dict(zip("ACQR", system, strict=True))).fit(np.zeros((4, 2)))

        with pytest.raises(NotDetectableError, match=f"C does not see the mode {mode} of A"):
            ask(A, unseen, B @ B.T, np.eye(2))
        with pytest.raises(NotStabilizableError, match=f"Q does not drive the mode {mode} of A"):
            ask(A, C, missing @ missing.T, np.eye(2))


def trap(n):
    """Double eigenvalues, two of them unstable: one input reaches a line of each plane."""
    return make_convection_diffusion(n, fx=lambda x, y: 10 * x, fy=lambda x, y: 10 * y, g=-60.0)


def test_a_small_residual_is_not_a_stable_loop():
    """Why there is a test of modes: without it the iteration ends well, with a wrong answer."""
    system = trap(12)
    A, B, C = system.A, system.B, system.C
    it = cfqadi(A, B, C, -1, HamiltonianShifts(A, B, C, -1), tol=1e-11, max_iter=200)
    assert it.history[-1] <= 1e-11
    assert rightmost_eigenvalue(A, B, -it.feedback.T).real == pytest.approx(7.188336, rel=1e-6)


@pytest.mark.parametrize("method", DENSE)
def test_double_modes_of_a_diffusion(method):
    system = trap(12)
    with pytest.raises(NotStabilizableError, match=r"mode 7\.18834 of A is not stable and no inp"):
        solve_care(system.A.toarray(), system.B, system.C, method=method)


@pytest.mark.parametrize(("n", "mode"), [(12, r"7\.18834"), (46, r"6\.1\d+")])
def test_double_modes_of_a_sparse_diffusion(n, mode):
    """The larger one has 2116 states, of which only those that are not stable are computed."""
    system, two = trap(n), np.random.default_rng(0).normal(size=(n * n, 2))
    with pytest.raises(
        NotStabilizableError, match=rf"mode {mode} of A is not stable and no input"
    ):
        solve_care(system.A, system.B, system.C)
    with pytest.raises(NotDetectableError, match=rf"mode {mode} of A is not stable and no output"):
        solve_care(system.A, two, system.C)


# ------------------------------------------------------------------- the norm of a bounded system


def peak(A, B, C):
    """Largest gain over the frequencies: a scan, and a search around its best."""

    def gain(w):
        return np.linalg.norm(C @ np.linalg.solve(1j * w * np.eye(len(A)) - A, B), 2)

    scan = np.linspace(0.0, 12.0, 2401)
    best = scan[np.argmax([gain(w) for w in scan])]
    found = minimize_scalar(
        lambda w: -gain(w), bounds=(best - 0.005, best + 0.005), method="bounded",
        options={"xatol": 1e-12},
    )  # fmt: skip
    return -found.fun


def resonators():
    """Ten of them, lightly damped and mixed: the gain has narrow peaks, none at zero."""
    rng = np.random.default_rng(5)
    A = block_diag(*[[[-0.05, w], [-w, -0.05]] for w in np.arange(1.0, 11.0)])
    T = np.eye(20) + 0.1 * rng.normal(size=(20, 20))
    A = T @ A @ np.linalg.inv(T)
    B, C = rng.normal(size=(20, 2)), rng.normal(size=(2, 20))
    return A, B / peak(A, B, C), C


def ladder():
    """The folded equation of a passive ladder: the largest gain is that at zero."""
    system = make_rlc_ladder(15)
    A = system.A.toarray() - system.B @ system.C / 2.0
    B, C = system.B / np.sqrt(2.0), system.C / np.sqrt(2.0)
    return A, B / peak(A, B, C), C


BOUNDED = {"resonators": resonators(), "ladder": ladder()}


def solve_plus(system, scale, method):
    A, B, C = BOUNDED[system]
    if method == "sparse":
        return solve_care(csc_array(A), scale * B, C, sign=1)
    return solve_care(A, scale * B, C, sign=1, method=method)


@pytest.mark.parametrize("system", BOUNDED)
@pytest.mark.parametrize("method", ["doubling", "cfqadi", "newton", "schur", "sparse"])
def test_norms_just_below_one(system, method):
    solution = solve_plus(system, 0.99, method)
    assert solution.converged
    assert solution.rightmost.real < 0
    wanted = solve_plus(system, 0.99, "doubling").X
    assert np.linalg.norm(solution.X - wanted) <= 1e-9 * np.linalg.norm(wanted)


@pytest.mark.parametrize("system", BOUNDED)
@pytest.mark.parametrize("scale", [1.0001, 1.01, 1.1, 2.0])
@pytest.mark.parametrize("method", [*DENSE, "sparse"])
def test_norms_above_one(system, scale, method):
    with pytest.raises(NotBoundedRealError, match=rf"its norm is at least {scale:.4g}"):
        solve_plus(system, scale, method)


@pytest.mark.parametrize("system", BOUNDED)
def test_the_norm(system):
    """By a search around the highest of many points."""
    A, B, C = BOUNDED[system]
    norm, frequency = hinf_norm(A, B, C)
    assert norm == pytest.approx(1.0, rel=1e-6)

    def gain(w):
        return np.linalg.norm(C @ np.linalg.solve(1j * w * np.eye(len(A)) - A, B), 2)

    assert gain(frequency) == pytest.approx(norm, rel=1e-12)
    assert max(gain(w) for w in np.r_[0.0, np.geomspace(1e-2, 1e2, 300)]) <= norm * (1 + 1e-8)
    E = np.diag(np.linspace(1.0, 2.0, len(A)))
    assert hinf_norm(E @ A, E @ B, C, E=E)[0] == pytest.approx(norm, rel=1e-6)
    assert hinf_norm(A + 10.0 * np.eye(len(A)), B, C)[0] == np.inf


def test_the_norm_and_its_frequency_are_named():
    A, B, C = BOUNDED["ladder"]
    with pytest.raises(NotBoundedRealError, match=r"norm is at least 1\.1\d* at the frequency 0,"):
        solve_care(A, 1.1 * B, C, sign=1, method="qadi")
    with pytest.raises(NotBoundedRealError, match=r"norm is at least 2\S* at the frequency 0,"):
        solve_care(A, 2.0 * B, C, sign=1, method="newton")


# ---------------------------------------------------------------------------- names and numbers


@pytest.mark.parametrize("function", [f for f in GOOD if f is not estimator], ids=named)
def test_methods_that_there_are_not(function):
    option = "solver" if function in (steady_filter, kalman_bucy) else "method"
    with pytest.raises(ValueError, match=r"^method='magic' is none of auto, doubling, .*schur\."):
        function(**GOOD[function], **{option: "magic"})


def test_solvers_that_there_are_not():
    with pytest.raises(ValueError, match="'magic' is none of auto"):
        estimator(**GOOD[estimator], solver="magic")


@pytest.mark.parametrize(
    ("method", "shifts", "message"),
    [
        ("doubling", [1.0], "negative real parts, got 1"),
        ("doubling", [np.nan], "negative real parts, got nan"),
        ("qadi", [-1.0, 0.5], r"negative real parts, got 0\.5"),
        ("qadi", [0.0], "negative real parts, got 0"),
        ("cfqadi", [2j], r"negative real parts, got 0\+2j"),
        ("cfqadi", [-1.0, 3.0 + 1j], r"negative real parts, got 3\+1j"),
        ("cfqadi", [-np.inf], "negative real parts, got -inf"),
        ("doubling", [-np.inf], "negative real parts, got -inf"),
        ("newton", [1.0], "negative real parts, got 1"),
        ("qadi", [], r"must be a name, a number or numbers, got \[\]"),
        ("doubling", None, "must be a name, a number or numbers, got None"),
        ("qadi", "hamiltonian", "is for method='cfqadi'"),
        *[(method, "magic", r"^shifts='magic' is none of auto, single") for method in DENSE],
    ],
)
def test_shifts(method, shifts, message):
    with pytest.raises(ValueError, match=message):
        solve_care(**GOOD[solve_care], method=method, shifts=shifts)


@pytest.mark.parametrize("function", [f for f in GOOD if f is not estimator], ids=named)
@pytest.mark.parametrize("tol", [0.0, 1.0, -1e-3, np.nan])
def test_tolerances(function, tol):
    with pytest.raises(ValueError, match=rf"^tol must be between 0 and 1, got {tol}"):
        function(**GOOD[function], tol=tol)


@pytest.mark.parametrize("function", [solve_care, solve_dare, lqr, dlqr], ids=named)
@pytest.mark.parametrize("max_iter", [0, -1, 2.5, "3"])
def test_numbers_of_steps(function, max_iter):
    with pytest.raises(ValueError, match=rf"^max_iter must be a whole .*, got {max_iter!r}"):
        function(**GOOD[function], max_iter=max_iter)


@pytest.mark.parametrize("function", [solve_care, solve_dare, lqr, dlqr], ids=named)
def test_singular_descriptors(function):
    E = np.ones((5, 5))
    with pytest.raises(ValueError, match=r"^E must not be singular, its condition number is"):
        function(**changed(function, "E", E))


@pytest.mark.parametrize("function", [f for f in GOOD if f is not estimator], ids=named)
def test_what_is_not_square(function):
    for wrong in (np.ones((4, 5)), np.ones((0, 0)), np.ones(5)):
        with pytest.raises(ValueError, match=r"^A must be a square matrix, its shape is"):
            function(**changed(function, "A", wrong))


@pytest.mark.parametrize("sign", [0, -2, "-", None])
def test_signs(sign):
    with pytest.raises(ValueError, match=f"^sign must be 1 or -1, got {sign!r}"):
        solve_care(**GOOD[solve_care], sign=sign)


# ----------------------------------------------------------------------------------- too few steps


@pytest.mark.parametrize(
    ("method", "options", "steps"),
    [
        ("qadi", {"max_iter": 3}, 3),
        ("cfqadi", {"max_iter": 2}, 2),
        ("newton", {"max_iter": 1}, 2),  # the residual of the last is one more
    ],
)
def test_continuous_iterations_cut_short(method, options, steps):
    A, B, C = BOUNDED["ladder"]
    with pytest.warns(RuntimeWarning, match=rf"after {steps} steps of method='{method}'"):
        solution = solve_care(A, B, C, method=method, **options)
    assert not solution.converged
    assert solution.residual_norm > 1e-11
    # With the plus sign too, where the norm is below 1.
    with pytest.warns(RuntimeWarning, match=rf"after {steps} steps of method='{method}'"):
        assert not solve_care(A, 0.9 * B, C, sign=1, method=method, **options).converged
    with pytest.raises(NotBoundedRealError, match=r"norm is at least 1\.1"):
        solve_care(A, 1.1 * B, C, sign=1, method=method, **options)


def test_doubling_cut_short():
    """From a bad shift, as Newton's steps would else mend it."""
    A, B, C = BOUNDED["resonators"]
    with pytest.warns(
        RuntimeWarning, match=r"after 1 steps of method='doubling', above tol=1e-12"
    ):
        solution = solve_care(A, B, C, method="doubling", shifts=[-1e4], max_iter=1)
    assert not solution.converged


@pytest.mark.parametrize("function", [solve_dare, dlqr, steady_filter], ids=named)
def test_discrete_iterations_cut_short(function):
    with pytest.warns(RuntimeWarning, match=r"the residual is \S+ after 1 steps .* Allow more"):
        found = function(**GOOD[function], max_iter=1)
    assert not found.converged
    assert found.residual_norm > 1e-11


# ------------------------------------------------------------------------------------- reduction

REDUCTIONS = (balanced_stochastic_truncation, passivity_preserving_reduction, solve_positive_real)


@pytest.mark.parametrize("reduce", REDUCTIONS, ids=named)
@pytest.mark.parametrize("sparse", [True, False])
def test_models_that_cannot_be_reduced(reduce, sparse):
    system = make_rlc_ladder(8)
    A, B, C, D = system.A.toarray(), system.B, system.C, np.asarray(system.D)

    def ask(A, B, C, D, **options):
        return reduce(csc_array(A) if sparse else A, B, C, D, **options)

    spoilt = A.copy()
    spoilt[7, 7] = np.nan
    with pytest.raises(ValueError, match=r"^A\[7, 7\] is nan"):
        ask(spoilt, B, C, D)
    spoilt = B.copy()
    spoilt[3, 0] = np.inf
    with pytest.raises(ValueError, match=r"^B\[3, 0\] is inf"):
        ask(A, spoilt, C, D)
    with pytest.raises(ValueError, match=r"^C must have shape \(1, 16\), got \(2, 16\)"):
        ask(A, B, np.vstack([C, C]), D)
    with pytest.raises(ValueError, match=r"^E must have shape \(16, 16\), got \(15, 15\)"):
        ask(A, B, C, D, E=np.eye(15))
    mode = rightmost_eigenvalue(A).real + 0.5
    with pytest.raises(RiccatiError, match=rf"^A has the mode {mode:.6g}\S*, which is not stable"):
        ask(A + 0.5 * np.eye(16), B, C, D)
    with pytest.raises(RiccatiError, match=r"^A has the mode \S*2j, which is not stable"):
        ask(block_diag([[0.0, 2.0], [-2.0, 0.0]], -1.0), np.ones((3, 1)), np.ones((1, 3)), D)


@pytest.mark.parametrize(
    "reduce", [passivity_preserving_reduction, solve_positive_real], ids=named
)
@pytest.mark.parametrize("sparse", [True, False])
def test_models_that_are_just_not_passive(reduce, sparse):
    """G + G^H is 2 D - 2 s C (..) B at its lowest: with the ladder's sign turned, s decides."""
    system = make_rlc_ladder(8)
    A, B, C, D = system.A, system.B, system.C, np.asarray(system.D)
    A = A if sparse else A.toarray()
    dense = system.A.toarray()
    lowest = -peak_of_real_part(dense, B, C)
    scale = D.item() / lowest
    passive = reduce(A, B, 0.99 * scale * C, D)
    assert getattr(passive, "converged", None) or passive.is_passive
    for factor in (1.01, 1.1, 2.0):
        with pytest.raises(
            NotBoundedRealError, match=r"eigenvalue is -\d\S* at w = |not be proven"
        ):
            reduce(A, B, factor * scale * C, D)


def peak_of_real_part(A, B, C):
    w = np.linspace(0.0, 5.0, 2001)
    response = [(C @ np.linalg.solve(1j * x * np.eye(len(A)) - A, B)).item().real for x in w]
    return max(response)


# ------------------------------------------------------------------------- the estimator, refitted


def spoilt_systems():
    A, _, _, missing, unseen = hidden(DISCRETE_PAIRS["unstable"][0])
    nan = A.copy()
    nan[2, 3] = np.nan
    return {
        "nan": ({"A": nan}, ValueError, r"A\[2, 3\] is nan"),
        "asymmetric R": ({"R": [[2.0, 0.5], [0.0, 2.0]]}, ValueError, r"R\[0, 1\] is 0\.5"),
        "indefinite Q": ({"Q": -np.eye(5)}, ValueError, "eigenvalue is -1"),
        "unseen": ({"C": unseen}, NotDetectableError, r"the mode 0\.648363\+1\.00977j"),
        "not driven": (
            {"Q": missing @ missing.T}, NotStabilizableError, r"the mode 0\.648363\+1\.00977j"
        ),
        "wrong B": ({"B": np.ones((4, 1))}, ValueError, r"B must have shape \(5, any\)"),
    }  # fmt: skip


@pytest.mark.parametrize("spoilt", spoilt_systems())
def test_a_failed_refit_leaves_the_estimator(spoilt):
    A, _, C, _, _ = hidden(DISCRETE_PAIRS["unstable"][0])
    Y = np.random.default_rng(0).normal(size=(30, 2))
    model = RiccatiFilter(A, C, np.eye(5), np.eye(2)).fit(Y)
    before, states = {k: v for k, v in vars(model).items() if k.endswith("_")}, model.transform(Y)
    options, error, message = spoilt_systems()[spoilt]
    with pytest.raises(error, match=message):
        model.set_params(**options).fit(10.0 * Y)
    assert {k for k in vars(model) if k.endswith("_")} == set(before)
    assert all(getattr(model, key) is value for key, value in before.items())
    assert_array_equal(model.transform(Y), states)
