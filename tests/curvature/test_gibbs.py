"""Gibbs sampling against enumeration: unbiased, errors that cover, and fall with the samples."""

import numpy as np
import pytest

from lmmfit.curvature import BoltzmannMachine, sample_statistics

PLAIN = BoltzmannMachine(3, 2, 0.8, bias_unit=True)
CONDITIONAL = BoltzmannMachine(4, 2, n_inputs=2)
ERRORS = {"hessian_vector_product": "product_error"}


def problem(machine, seed=1):
    rng = np.random.default_rng(seed)
    w, v = rng.normal(size=(2, machine.n_parameters)) * [[0.5], [1.0]]
    P_env = rng.dirichlet(np.ones(2**machine.n_visible))
    P_env[np.argsort(P_env)[:-4]] = 0.0  # fewer chains
    return w, P_env / P_env.sum(), v


def exact_numbers(machine, w, P_env, v):
    state = machine.evaluate(w, P_env)
    s = state.statistics(v)
    return {
        "gradient": state.gradient,
        "hessian_vector_product": state.hessian_vector_product(v),
        "p_plus": state.p_plus,
        "p_minus": state.p_minus,
        **{name: getattr(s, name) for name in ("q_plus", "q_minus", "D_plus", "D_minus")},
    }


def estimates(machine, seeds, with_v=True, **options):
    """Estimates and their errors of many seeds, and the exact numbers."""
    w, P_env, v = problem(machine)
    options = {"n_sweeps": 40, "n_chains": 8, "n_burn_in": 30} | options
    runs = [
        sample_statistics(machine, w, P_env, v if with_v else None, seed=seed, **options)
        for seed in range(seeds)
    ]
    return {
        name: (
            np.array([np.atleast_1d(getattr(run, name)) for run in runs]),
            np.array(
                [np.atleast_1d(getattr(run, ERRORS.get(name, f"{name}_error"))) for run in runs]
            ),
            np.atleast_1d(wanted),
        )
        for name, wanted in exact_numbers(machine, w, P_env, v).items()
        if getattr(runs[0], name) is not None
    }


def spread(found):
    values, _, wanted = found
    return np.sqrt(np.mean((values - wanted) ** 2))


@pytest.mark.parametrize("estimator", ["conditional", "counts"])
@pytest.mark.parametrize("machine", [PLAIN, CONDITIONAL], ids=["plain", "conditional"])
def test_unbiased_and_covered(machine, estimator):
    for name, (values, errors, wanted) in estimates(machine, 120, estimator=estimator).items():
        deviation = values.std(axis=0, ddof=1)
        exact = deviation < 1e-12
        assert np.abs(values[:, exact] - wanted[exact]).max(initial=0.0) < 1e-12
        assert np.abs(errors[:, exact]).max(initial=0.0) < 1e-12
        off = (values.mean(axis=0) - wanted)[~exact] / (deviation[~exact] / np.sqrt(len(values)))
        assert np.abs(off).max() < 4, name
        covered = np.abs(values - wanted)[:, ~exact] <= 2 * errors[:, ~exact]
        assert 0.87 < covered.mean() < 0.98, name  # 2 errors of 8 chains: 0.91
        assert np.sqrt(np.mean(errors**2)) == pytest.approx(
            spread((values, errors, wanted)), rel=0.15
        )


@pytest.mark.parametrize("more", ["n_sweeps", "n_chains"])
def test_errors_fall_with_the_root_of_the_samples(more):
    few = estimates(CONDITIONAL, 50, n_sweeps=10, n_chains=8)
    many = estimates(CONDITIONAL, 50, **{"n_sweeps": 10, "n_chains": 8} | {more: 80})
    ratio = np.sqrt(80 / {"n_sweeps": 10, "n_chains": 8}[more])
    for name in ("gradient", "hessian_vector_product"):
        assert spread(few[name]) / spread(many[name]) == pytest.approx(ratio, rel=0.25)


def test_probabilities_vary_less_than_counts():
    by = {
        estimator: estimates(PLAIN, 60, estimator=estimator)
        for estimator in ("conditional", "counts")
    }
    for name in ("gradient", "hessian_vector_product", "p_plus", "q_minus", "D_plus"):
        assert spread(by["conditional"][name]) < 0.8 * spread(by["counts"][name]), name


def test_the_printed_ratio_has_a_bias_that_falls_with_the_sweeps():
    w, _, v = problem(PLAIN)
    v = np.abs(v)  # no two biases cancel
    P_env = np.eye(8)[5]
    wanted = exact_numbers(PLAIN, w, P_env, v)["q_minus"].sum()
    bias = []
    for n_sweeps in (3, 24):
        found = PLAIN.sample(
            w, P_env, v, n_sweeps=n_sweeps, n_chains=3000, n_burn_in=20, estimator="ratio"
        )
        bias.append(found.q_minus.sum() - wanted)
    unbiased = PLAIN.sample(w, P_env, v, n_sweeps=3, n_chains=3000, n_burn_in=20)
    assert abs(unbiased.q_minus.sum() - wanted) < abs(bias[0]) / 4
    assert abs(bias[1]) < abs(bias[0]) / 4


def test_the_same_seed_gives_the_same_numbers():
    w, P_env, v = problem(PLAIN)
    sequence = np.random.SeedSequence(5)
    first, again, sequenced, repeated, other = (
        PLAIN.sample(w, P_env, v, n_sweeps=20, seed=seed) for seed in (5, 5, sequence, sequence, 6)
    )
    for name in ("gradient", "gradient_error", "hessian_vector_product", "product_error"):
        for same in (again, sequenced, repeated):
            np.testing.assert_array_equal(getattr(same, name), getattr(first, name))
        assert np.any(getattr(other, name) != getattr(first, name))


def test_patterns_stand_for_the_distribution():
    w, P_env, v = problem(CONDITIONAL)
    states = CONDITIONAL.visible_states[P_env > 0]
    patterns, weights = np.repeat(states, 2, axis=0), np.repeat(P_env[P_env > 0], 2) / 2
    first = CONDITIONAL.sample(w, P_env, v, n_sweeps=10)
    second = CONDITIONAL.sample(w, (patterns, weights), v, n_sweeps=10)
    np.testing.assert_allclose(second.product_error, first.product_error, rtol=1e-12)
    np.testing.assert_allclose(
        second.hessian_vector_product, first.hessian_vector_product, rtol=1e-10
    )


def test_without_a_direction_there_is_the_gradient_alone():
    w, P_env, v = problem(PLAIN)
    plain = PLAIN.sample(w, P_env, n_sweeps=10)
    full = PLAIN.sample(w, P_env, v, n_sweeps=10)
    np.testing.assert_allclose(plain.gradient, full.gradient, rtol=1e-12)
    np.testing.assert_allclose(plain.gradient_error, full.gradient_error, rtol=1e-12)
    assert plain.hessian_vector_product is None
    assert plain.q_plus is None
    assert plain.D_minus is None


def test_nothing_is_free_in_the_waking_phase_of_visible_units():
    machine = BoltzmannMachine(4, 0, bias_unit=True)
    w, P_env, v = problem(machine)
    state, found = machine.evaluate(w, P_env), machine.sample(w, P_env, v, n_sweeps=10)
    np.testing.assert_allclose(found.p_plus, state.p_plus, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(found.q_plus, state.statistics(v).q_plus, rtol=1e-12, atol=1e-14)
    for error in (found.p_plus_error, found.q_plus_error, found.D_plus_error):
        np.testing.assert_allclose(error, 0.0, atol=1e-15)


@pytest.mark.parametrize("estimator", ["conditional", "counts", "ratio"])
def test_a_large_machine_of_independent_units(estimator):
    # Weights to the bias alone: averages are products of probabilities.
    machine = BoltzmannMachine(30, 10, bias_unit=True)
    rng = np.random.default_rng(0)
    bias = machine.pairs[:, 1] == 40
    w = np.where(bias, rng.normal(size=machine.n_parameters), 0.0)
    on = np.append(1 / (1 + np.exp(w[bias])), 1.0)
    i, j = machine.pairs.T
    found = machine.sample(
        w, (rng.integers(2, size=(3, 30)), [1, 2, 1]), n_sweeps=200, estimator=estimator
    )
    wanted = on[i] * on[j]
    error = np.maximum(found.p_minus_error, 1e-12)
    if estimator == "conditional":
        assert np.abs(found.p_minus[bias] - wanted[bias]).max() < 1e-12
    assert np.quantile(np.abs(found.p_minus - wanted) / error, 0.95) < 3


def test_long_runs_are_drawn_in_blocks(monkeypatch):
    w, P_env, v = problem(PLAIN)
    whole = PLAIN.sample(w, P_env, v, n_sweeps=50)
    monkeypatch.setattr("lmmfit.curvature.gibbs._DRAWN", 60)
    parts = PLAIN.sample(w, P_env, v, n_sweeps=50)
    np.testing.assert_allclose(
        parts.hessian_vector_product, whole.hessian_vector_product, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_sweeps": 0}, "n_sweeps must be an integer of at least 1, got 0"),
        ({"n_burn_in": -1}, "n_burn_in must be an integer of at least 0, got -1"),
        ({"n_chains": 2}, "n_chains must be an integer of at least 3, got 2"),
        ({"estimator": "best"}, "estimator='best' is none of conditional, counts, ratio"),
        ({"v": [1.0]}, r"v must have shape \(15,\)"),
        ({"environment": np.ones(8)}, "P_env sums to 8"),
        ({"environment": (np.ones((1, 3)), None, 1)}, "a tuple of 3"),
        ({"environment": (np.full((1, 3), 2), None)}, "row 0 of column 0 has 2"),
    ],
)
def test_what_is_refused(options, message):
    w, P_env, _ = problem(PLAIN)
    given = {"environment": P_env} | options
    with pytest.raises(ValueError, match=message):
        sample_statistics(PLAIN, w, **given)


def test_a_table_of_a_large_machine_is_refused():
    machine = BoltzmannMachine(21, 0)
    with pytest.raises(ValueError, match="21 units besides the bias"):
        machine.sample(np.zeros(210), np.ones(4))
