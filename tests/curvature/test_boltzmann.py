"""Boltzmann machines by enumeration: a plain twin, golden numbers, what must always hold."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmfit.curvature import BoltzmannMachine, HessianOperator, finite_difference_product
from lmmfit.optimize import (
    LBFGS,
    SCG,
    ExactLineSearch,
    NewtonCG,
    Recombined,
    SteepestDescent,
    minimize,
)

REFERENCE = Path(__file__).parents[1] / "reference" / "boltzmann_cases.json"
CASES = {case["name"]: case for case in json.loads(REFERENCE.read_text(encoding="utf-8"))["cases"]}
MACHINES = [
    BoltzmannMachine(2, 0),
    BoltzmannMachine(1, 0, bias_unit=True),
    BoltzmannMachine(3, 2, temperature=0.6),
    BoltzmannMachine(4, 3, bias_unit=True),
    BoltzmannMachine(3, 2, 1.7, bias_unit=True, n_inputs=2),
    BoltzmannMachine(4, 0, 0.9, n_inputs=1),
]


class PlainMachine:
    """The sums as they are written, for complex weights too, so that derivatives are exact."""

    def __init__(self, machine, P_env):
        self.machine, self.P_env = machine, P_env
        n = machine.n_visible + machine.n_hidden
        bias = (1,) if machine.bias_unit else ()
        self.states = [s + bias for s in itertools.product((0, 1), repeat=n)]
        self.pairs = list(itertools.combinations(range(n + len(bias)), 2))

    def weights_of_states(self, w):
        T = self.machine.temperature
        return [
            np.exp(-sum(s[i] * s[j] * x for (i, j), x in zip(self.pairs, w, strict=True)) / T)
            for s in self.states
        ]

    def moments(self, chosen, weights):
        total = sum(weights[a] for a in chosen)
        return total, [
            sum(weights[a] * self.states[a][i] * self.states[a][j] for a in chosen) / total
            for i, j in self.pairs
        ]

    def value_and_gradient(self, w):
        m, weights = self.machine, self.weights_of_states(w)
        value, gradient = 0.0, np.zeros(len(w), dtype=complex)
        for index, visible in enumerate(itertools.product((0, 1), repeat=m.n_visible)):
            P = self.P_env[index]
            if P == 0:
                continue
            inputs = visible[: m.n_inputs]
            clamped = [a for a, s in enumerate(self.states) if s[: m.n_visible] == visible]
            given = [a for a, s in enumerate(self.states) if s[: m.n_inputs] == inputs]
            P_in = sum(
                p
                for p, other in zip(
                    self.P_env, itertools.product((0, 1), repeat=m.n_visible), strict=True
                )
                if other[: m.n_inputs] == inputs
            )
            total, plus = self.moments(clamped, weights)
            all_total, minus = self.moments(given, weights)
            value += P * np.log(P / P_in * all_total / total)
            gradient += P * (np.array(plus) - np.array(minus)) / m.temperature
        return value, gradient

    def product(self, w, v):
        h = 1e-30
        return self.value_and_gradient(w + 1j * h * v)[1].imag / h


def problem(machine, seed=0):
    rng = np.random.default_rng(seed)
    P_env = rng.dirichlet(np.ones(2**machine.n_visible))
    P_env[rng.integers(len(P_env))] = 0.0
    w, v = rng.normal(size=(2, machine.n_parameters))
    return P_env / P_env.sum(), w, v


def close(found, wanted, tolerance=1e-13):
    np.testing.assert_allclose(
        found, wanted, rtol=0, atol=tolerance * (1 + np.max(np.abs(wanted)))
    )


@pytest.mark.parametrize("machine", MACHINES, ids=repr)
def test_as_the_plain_twin(machine):
    P_env, w, v = problem(machine)
    state, twin = machine.evaluate(w, P_env), PlainMachine(machine, P_env)
    value, gradient = twin.value_and_gradient(w)
    assert state.value == pytest.approx(value.real, abs=1e-14)
    close(state.gradient, gradient.real)
    close(state.hessian_vector_product(v), twin.product(w, v))


@pytest.mark.parametrize("name", CASES)
def test_golden_numbers(name):
    case = CASES[name]
    machine = BoltzmannMachine(
        case["n_visible"],
        case["n_hidden"],
        case["T"],
        bias_unit=case["bias_unit"],
        n_inputs=case["n_inputs_clamped_both_phases"],
    )
    state = machine.evaluate(case["w"], case["P_env"])
    statistics = state.statistics(case["v"])
    np.testing.assert_array_equal(machine.pairs, case["pairs"])
    close(state.value, case["G"])
    close(state.gradient, case["grad"])
    close(state.hessian_vector_product(case["v"]), case["Hv"])
    close(state.hessian(), case["H"])
    close(state.p_plus, case["p_plus"])
    close(state.p_minus, case["p_minus"])
    for field in ("q_plus", "q_minus", "D_plus", "D_minus", "R_p_plus", "R_p_minus"):
        close(getattr(statistics, field), case[field])


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name]["n_hidden"]])
def test_the_waking_average_belongs_to_each_pattern(name):
    case = CASES[name]
    machine = BoltzmannMachine(
        case["n_visible"],
        case["n_hidden"],
        case["T"],
        case["bias_unit"],
        case["n_inputs_clamped_both_phases"],
    )
    state = machine.evaluate(case["w"], case["P_env"])
    found, s = state.hessian_vector_product(case["v"]), state.statistics(case["v"])
    R_plus = (state.p_plus * s.D_plus - s.q_plus) / case["T"]  # one <D> for all patterns
    wrong = (R_plus - s.R_p_minus) / case["T"]
    close(wrong, case["Hv_if_clamped_average_taken_globally"])
    assert np.abs(found - wrong).max() > 0.01


@pytest.mark.parametrize("machine", MACHINES, ids=repr)
def test_statistics_make_the_product(machine):
    P_env, w, v = problem(machine, 1)
    state, T = machine.evaluate(w, P_env), machine.temperature
    s = state.statistics(v)
    close(state.gradient, (state.p_plus - state.p_minus) / T)
    close(state.hessian_vector_product(v), (s.R_p_plus - s.R_p_minus) / T)
    close(state.gauss_newton_vector_product(v), -s.R_p_minus / T)
    close(s.D_plus, state.p_plus @ v)  # equation 18
    close(s.D_minus, state.p_minus @ v)
    if machine.n_hidden == 0:
        close(s.R_p_plus, np.zeros_like(v), 1e-15)
    if machine.n_inputs == 0:  # equation 20 as printed
        close(s.R_p_minus, (state.p_minus * s.D_minus - s.q_minus) / T)


@pytest.mark.parametrize("machine", MACHINES, ids=repr)
def test_the_hallucinating_covariance_is_the_positive_part(machine):
    P_env, w, _ = problem(machine, 2)
    state = machine.evaluate(w, P_env)
    G = state.gauss_newton_vector_product(np.eye(machine.n_parameters))
    close(G, G.T)
    assert np.linalg.eigvalsh(0.5 * (G + G.T))[0] > -1e-14
    if machine.n_hidden == 0:
        close(state.hessian(), G)


@given(
    n_visible=st.integers(1, 5),
    n_hidden=st.integers(0, 4),
    bias_unit=st.booleans(),
    n_inputs=st.integers(0, 3),
    temperature=st.sampled_from([0.3, 1.0, 4.0]),
    seed=st.integers(0, 10**6),
)
def test_properties(n_visible, n_hidden, bias_unit, n_inputs, temperature, seed):
    if n_inputs >= n_visible or n_visible + n_hidden + bias_unit < 2:
        return
    machine = BoltzmannMachine(n_visible, n_hidden, temperature, bias_unit, n_inputs)
    P_env, w, v = problem(machine, seed)
    u = np.random.default_rng(seed + 1).normal(size=machine.n_parameters)
    state = machine.evaluate(w, P_env)
    assert state.value >= -1e-14
    close(state.probabilities.reshape(2**n_inputs, -1).sum(axis=1), np.ones(2**n_inputs))
    for product in (state.hessian_vector_product, state.gauss_newton_vector_product):
        Pu, Pv = product(u), product(v)
        scale = 1 + np.linalg.norm(Pu) * np.linalg.norm(v)
        assert abs(u @ Pv - v @ Pu) < 1e-12 * scale
        close(product(2 * u - 3 * v), 2 * Pu - 3 * Pv, 1e-12)
        close(product(np.column_stack([u, v])), np.column_stack([Pu, Pv]))
    hotter = BoltzmannMachine(n_visible, n_hidden, 2 * temperature, bias_unit, n_inputs)
    assert hotter.evaluate(2 * w, P_env).value == pytest.approx(state.value, abs=1e-13)


def test_differences_of_gradients():
    machine = BoltzmannMachine(5, 4, bias_unit=True, n_inputs=2)
    P_env, w, v = problem(machine)
    objective = machine.objective(P_env)
    Hv = objective.evaluate(w).hessian_vector_product(v)
    close(finite_difference_product(objective, w, v), Hv, 1e-6)
    operator = HessianOperator(objective.evaluate(w))
    close(operator @ v, Hv)


def test_a_machine_reproduces_its_own_distribution():
    machine = BoltzmannMachine(4, 2, bias_unit=True)
    _, w, v = problem(machine)
    P_env = machine.evaluate(w, np.full(16, 1 / 16)).probabilities
    state = machine.evaluate(w, P_env)
    assert abs(state.value) < 1e-14
    close(state.gradient, np.zeros(machine.n_parameters), 1e-15)
    assert v @ state.hessian_vector_product(v) >= 0


def test_a_unit_is_on_with_the_printed_probability_of_the_other_sign():
    machine = BoltzmannMachine(1, 0, 0.5, bias_unit=True)
    P = machine.evaluate([0.7], [0.5, 0.5]).probabilities
    assert P[1] == pytest.approx(1 / (1 + np.exp(0.7 / 0.5)), rel=1e-15)


@pytest.mark.parametrize("scale", [300.0, 1e5])
def test_large_weights_stay_finite(scale):
    machine = BoltzmannMachine(4, 3, 0.5, bias_unit=True)
    P_env, w, v = problem(machine)
    state = machine.evaluate(scale * w, P_env)
    assert np.isfinite(state.value)
    assert np.isfinite(state.gradient).all()
    assert np.isfinite(state.hessian_vector_product(v)).all()


def test_a_step_too_long_has_no_value():
    objective = BoltzmannMachine(3, 2).objective(np.full(8, 1 / 8))
    assert not np.isfinite(objective.evaluate(np.full(10, -1e308)).value)


def test_twenty_units():
    machine = BoltzmannMachine(12, 8, bias_unit=True)
    P_env, w, v = problem(machine)
    state = machine.evaluate(0.3 * w, P_env)
    h = 1e-4
    ahead, behind = (machine.evaluate(0.3 * w + s * v, P_env).value for s in (h, -h))
    assert (ahead - behind) / (2 * h) == pytest.approx(state.gradient @ v, rel=1e-6)
    second = (ahead - 2 * state.value + behind) / h**2
    assert second == pytest.approx(v @ state.hessian_vector_product(v), rel=1e-4)


@pytest.mark.parametrize(
    "optimizer",
    [SCG(), NewtonCG(), LBFGS(), Recombined(SteepestDescent(), ExactLineSearch())],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_training(optimizer):
    machine = BoltzmannMachine(3, 2, bias_unit=True)
    P_env, w, _ = problem(machine, 5)
    P_env = 0.9 * P_env + 0.1 / 8
    objective = machine.objective(P_env)
    start = objective.evaluate(0.3 * w)
    result = minimize(objective, start.theta, optimizer, tol=1e-4, max_iter=2000)
    assert result.converged
    assert result.value < 0.3 * start.value


def test_without_hidden_units_there_is_one_minimum():
    machine = BoltzmannMachine(3, 0, bias_unit=True)
    P_env, *_ = problem(machine, 3)
    objective, rng = machine.objective(0.9 * P_env + 0.1 / 8), np.random.default_rng(0)
    ends = [minimize(objective, machine.initial_weights(rng)).x for _ in range(3)]
    close(ends[1], ends[0], 1e-6)
    close(ends[2], ends[0], 1e-6)


def test_environments():
    machine = BoltzmannMachine(3, 0)
    np.testing.assert_array_equal(
        machine.visible_states[[0, 1, 4]], [[0, 0, 0], [0, 0, 1], [1, 0, 0]]
    )
    P_env = machine.environment([[1, 0, 0], [0, 1, 1], [1, 0, 0]])
    close(P_env, np.array([0, 0, 0, 1, 2, 0, 0, 0]) / 3)
    close(machine.environment([[1, 0, 0], [0, 1, 1]], [6, 3]), P_env)
    close(machine.environment(machine.visible_states), np.full(8, 1 / 8))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 2), "n_visible must be an integer of at least 1, got 0"),
        ((2, -1), "n_hidden must be an integer of at least 0, got -1"),
        ((2.5, 1), r"n_visible .* got 2\.5"),
        ((2, 1, 0.0), "temperature must be finite and above 0, got 0.0"),
        ((2, 1, 1.0, False, 2), "n_inputs=2 of n_visible=2"),
        ((1, 0), "a single unit"),
    ],
)
def test_machines_that_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BoltzmannMachine(*arguments)


@pytest.mark.parametrize(
    ("P_env", "message"),
    [
        (np.ones(3) / 3, r"P_env must have shape \(4,\)"),
        ([0.5, 0.5, 0.5, -0.5], r"P_env\[3\] is -0.5"),
        ([0.5, np.nan, 0.5, 0.0], r"P_env\[1\] is nan"),
        ([0.5, 0.5, 0.5, 0.0], "P_env sums to 1.5, not to 1"),
    ],
)
def test_environments_that_are_refused(P_env, message):
    with pytest.raises(ValueError, match=message):
        BoltzmannMachine(2, 1).objective(P_env)


@pytest.mark.parametrize(
    ("patterns", "weights", "message"),
    [
        ([[0, 1, 1]], None, r"patterns must have shape \(n, 2\)"),
        ([[0, 1], [2, 1]], None, "row 1 of column 0 has 2"),
        ([[0, 1]], [1, 2], r"weights must have shape \(1,\)"),
        ([[0, 1], [1, 1]], [1, -2], "row 1: -2"),
        ([[0, 1]], [0], "weights are all 0"),
    ],
)
def test_patterns_that_are_refused(patterns, weights, message):
    with pytest.raises(ValueError, match=message):
        BoltzmannMachine(2, 1).environment(patterns, weights)


def test_vectors_that_are_refused():
    machine, P_env = BoltzmannMachine(2, 1), np.full(4, 0.25)
    with pytest.raises(ValueError, match=r"w\[1\], of units 0 and 2, is nan"):
        machine.evaluate([0, np.nan, 0], P_env)
    with pytest.raises(ValueError, match=r"w must have shape \(3,\)"):
        machine.evaluate([0, 0], P_env)
    with pytest.raises(ValueError, match=r"w must have shape \(3,\)"):
        machine.objective(P_env).evaluate([0, 0])
    with pytest.raises(ValueError, match=r"v must have shape \(3,\) or \(3, m\)"):
        machine.evaluate(np.zeros(3), P_env).hessian_vector_product(np.zeros(4))


def test_too_many_units_are_refused():
    machine = BoltzmannMachine(15, 6, bias_unit=True)
    with pytest.raises(ValueError, match=r"21 units besides the bias .* sampling"):
        machine.environment(np.zeros((1, 15)))
