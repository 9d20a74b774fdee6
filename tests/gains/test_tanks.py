"""Tanks: eq. (10) and Table 1 of Pedroso and Batista (2021), its samples and its simulation."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmfit.datasets import make_tank_network
from lmmfit.gains import (
    equilibrium_inputs,
    equilibrium_levels,
    simulate_tanks,
    tank_constants,
    tank_network,
    tank_rates,
)
from lmmfit.riccati import discretise

REFERENCE = Path(__file__).parents[1] / "reference" / "gains"
SIZES = [2, 4, 6, 10, 40]


def plain_rates(N, h, u):
    """Eq. (10) as it is printed, tank by tank, counted from 1."""
    area = {i: 28.0 if i % 2 else 32.0 for i in range(1, N + 1)}
    low = {i: 0.071 if i % 2 else 0.057 for i in range(1, N // 2 + 1)}
    hole = {i: low.get(i, 0.040) for i in range(1, N + 1)}
    gamma = {i: 0.7 if i % 2 else 0.6 for i in range(1, N // 2 + 1)}
    h, u = ({i: values[i - 1] for i in range(1, len(values) + 1)} for values in (h, u))
    out = {i: hole[i] * np.sqrt(2.0 * 981.0 * h[i]) for i in h}
    half, k, flow = N // 2, 3.33, {}
    for i in range(1, half + 1):
        flow[i] = -out[i] + out[half + i] + gamma[i] * k * u[i]
    for i in range(half + 2, N + 1):
        j = i - half - 1
        flow[i] = -out[i] + (1.0 - gamma[j]) * k * u[j]
    flow[half + 1] = -out[half + 1] + (1.0 - gamma[half]) * k * u[half]
    return np.array([flow[i] / area[i] for i in range(1, N + 1)])


@pytest.mark.parametrize("N", SIZES)
def test_rates_are_those_of_the_paper(N):
    rng = np.random.default_rng(N)
    h, u = rng.uniform(0.0, 20.0, N), rng.uniform(0.0, 5.0, N // 2)
    found = tank_rates(tank_constants(N), h, u)
    np.testing.assert_allclose(found, plain_rates(N, h, u), rtol=1e-13, atol=1e-14)
    both = tank_rates(tank_constants(N), np.stack([h, 2 * h]), np.stack([u, u]))
    np.testing.assert_allclose(both[0], found, rtol=1e-14)
    np.testing.assert_allclose(both[1], plain_rates(N, 2 * h, u), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("N", [4, 10])
def test_matrices_of_the_toolbox(N):
    stored = json.loads((REFERENCE / f"tanks_N{N}.json").read_text(encoding="utf-8"))
    found = make_tank_network(N, sparse=False)
    for name in "ACQR":
        np.testing.assert_allclose(found[name], stored[name], rtol=0.0, atol=1e-12)
    np.testing.assert_array_equal(found.pattern, np.array(stored["E"]) != 0)


@pytest.mark.parametrize("N", SIZES)
def test_linearisation_is_the_derivative(N):
    rng = np.random.default_rng(N)
    levels = rng.uniform(5.0, 20.0, N)
    network = tank_network(N, levels=levels)
    u, step = network.inputs, 1e-4

    def slope(function, size):
        return np.stack(
            [(function(e) - function(-e)) / (2 * step) for e in step * np.eye(size)], 1
        )

    by_level = slope(lambda e: tank_rates(network.tanks, levels + e, u), N)
    by_input = slope(lambda e: tank_rates(network.tanks, levels, u + e), N // 2)
    np.testing.assert_allclose(network.A_continuous.toarray(), by_level, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(network.B_continuous.toarray(), by_input, rtol=1e-7, atol=1e-10)
    rates = -network.A_continuous.diagonal()
    np.testing.assert_allclose(network.time_constants, 1.0 / rates, rtol=1e-14)


@pytest.mark.parametrize("N", SIZES)
@pytest.mark.parametrize("dt", [1e-3, 1.0, 500.0])
def test_pairs_are_sampled_as_the_whole_is(N, dt):
    rng = np.random.default_rng(N)
    levels, noise = rng.uniform(0.1, 30.0, N), rng.uniform(0.0, 1.0, N)
    network = tank_network(N, levels=levels, dt=dt, process_noise=noise)
    dense = (network.A_continuous.toarray(), np.diag(noise), dt, network.B_continuous.toarray())
    for found, expected in zip((network.A, network.Q, network.B), discretise(*dense), strict=True):
        np.testing.assert_allclose(found.toarray(), expected, rtol=1e-10, atol=1e-13)
    whole = tank_network(N, levels=levels, dt=dt, process_noise=np.diag(noise))
    np.testing.assert_allclose(whole.Q.toarray(), network.Q.toarray(), rtol=1e-10, atol=1e-13)


def test_large_networks_stay_sparse():
    network = tank_network(2000, inputs=np.linspace(2.0, 5.0, 1000))
    assert (network.A.nnz, network.B.nnz, network.Q.nnz) == (3000, 3000, 4000)
    assert np.abs(network.drift).max() < 1e-12


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_equilibria_go_back_and_forth(half, seed):
    rng = np.random.default_rng(seed)
    tanks = tank_constants(
        2 * half, areas=rng.uniform(10, 50, 2 * half), outlets=rng.uniform(0.01, 0.1, 2 * half),
        pumps=rng.uniform(1, 5, half), splits=rng.uniform(0, 1, half), gravity=rng.uniform(1, 1e3),
    )  # fmt: skip
    inputs = rng.uniform(0.0, 5.0, half)
    rest = equilibrium_levels(tanks, inputs)
    assert rest.at_rest
    rates = tank_rates(tanks, rest.levels, inputs)
    np.testing.assert_allclose(rates, 0.0, atol=1e-12)
    back = equilibrium_inputs(tanks, rest.levels)
    assert back.at_rest
    np.testing.assert_allclose(back.inputs, inputs, rtol=1e-9, atol=1e-12)


def test_equal_levels_are_no_equilibrium():
    tanks = tank_constants(40)
    found = equilibrium_inputs(tanks, 15.0)
    assert not found.at_rest
    flow = np.sqrt(2 * 981.0 * 15.0)
    wishes = (0.071 - 0.040) * flow / (0.7 * 3.33), 0.040 * flow / (0.3 * 3.33)
    np.testing.assert_allclose(wishes, [2.281, 6.869], atol=1e-3)  # of the first pump, V
    assert wishes[0] < found.inputs[0] < wishes[1]
    step = 1e-3
    for change in (step, -step):  # least squares: no other input of a pump leaves less
        other = found.inputs.copy()
        other[0] += change
        rates = tank_rates(tanks, found.levels, other) * tanks.areas
        assert rates @ rates > found.imbalance @ found.imbalance


def test_pumps_do_not_draw():
    levels = np.array([0.0, 0.0, 15.0, 15.0])  # the lower tanks would want less than nothing
    found = equilibrium_inputs(tank_constants(4, splits=1.0), levels)
    np.testing.assert_array_equal(found.inputs, 0.0)
    assert not found.at_rest


def test_simulation_follows_one_long_integration():
    from scipy.integrate import solve_ivp

    network = tank_network(6, dt=20.0)
    start = np.array([1.0, 30.0, 0.0, 5.0, 20.0, 2.0])
    quiet = {"process_noise": False, "measurement_noise": False}
    run = simulate_tanks(network, 10, start=start, **quiet)
    long = solve_ivp(
        lambda _, h: plain_rates(6, np.maximum(h, 0.0), network.inputs), (0.0, 180.0), start,
        t_eval=run.times, rtol=1e-10, atol=1e-12,
    )  # fmt: skip
    np.testing.assert_allclose(run.levels, long.y.T, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(run.outputs, run.levels)
    np.testing.assert_array_equal(run.times, 20.0 * np.arange(10))


def test_small_deviations_follow_the_linear_model():
    network = tank_network(4, inputs=[3.0, 2.5])
    rng = np.random.default_rng(0)
    x, moved = 1e-4 * rng.standard_normal(4), 1e-4 * rng.standard_normal((30, 2))
    run = simulate_tanks(
        network, 30, network.inputs + moved, start=network.levels + x, process_noise=False,
        rtol=1e-12, atol=1e-13,
    )  # fmt: skip
    for level, u in zip(run.levels, moved, strict=True):
        np.testing.assert_allclose(level - network.levels, x, atol=1e-8)
        x = network.A @ x + network.B @ u


def test_tanks_run_empty_and_stay_so():
    network = tank_network(4, dt=400.0)
    run = simulate_tanks(network, 6, 0.0, process_noise=False, seed=0)
    assert (run.levels >= 0.0).all()
    assert run.levels[-1].max() < 1e-6
    noisy = simulate_tanks(network, 50, 0.0, seed=0)
    assert (noisy.levels >= 0.0).all()


@pytest.mark.parametrize("whole", [False, True])
def test_noises_have_their_covariances(whole):
    noise = 1e-4
    if whole:
        root = np.random.default_rng(0).standard_normal((4, 4))
        noise = 1e-4 * root @ root.T
    network = tank_network(4, inputs=3.0, dt=40.0, process_noise=noise, measurement_noise=0.25)
    run = simulate_tanks(network, 1200, seed=1)
    x = run.levels - network.levels
    w = x[1:] - (network.A @ x[:-1].T).T
    scale = np.sqrt(network.Q.diagonal())
    assert np.abs(np.cov(w.T) - network.Q.toarray()).max() < 0.15 * scale.max() ** 2
    v = run.outputs - run.levels
    np.testing.assert_allclose(np.cov(v.T), 0.25 * np.eye(4), atol=0.05)
    silent = simulate_tanks(network, 5, seed=1, process_noise=False)
    np.testing.assert_allclose((silent.outputs - silent.levels), v[:5], atol=1e-12)


def test_sensors_and_names():
    found = make_tank_network(4, sensor=[0.5, 1.0, 2.0, 0.5], sparse=False)
    np.testing.assert_array_equal(found.C, np.diag([0.5, 1.0, 2.0, 0.5]))
    assert found.state_names == ["h1", "h2", "h3", "h4"]
    assert found.input_names == ["u1", "u2"]
    np.testing.assert_array_equal(found.graph, np.roll(np.eye(4), 2, axis=1) != 0)
    assert make_tank_network(4).A.format == "csr"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_tanks": 5}, "n_tanks must be an even number of at least 2.*got 5"),
        ({"n_tanks": 0}, "n_tanks must be an even number"),
        ({"n_tanks": 4.0}, "n_tanks must be an even number"),
        ({"level": [1.0, -2.0, 3.0, 4.0]}, r"levels\[1\] is -2: it must be finite and above 0"),
        ({"level": 0.0}, "levels is 0: it must be finite and above 0"),
        ({"level": [1.0, 2.0]}, "levels must be one number or 4"),
        ({"inputs": [1.0, np.nan]}, r"inputs\[1\] is nan: it must be finite and at least 0"),
        ({"dt": -1.0}, "dt is -1"),
        ({"sensor": np.inf}, "sensor is inf"),
        ({"measurement_noise": 0.0}, "measurement_noise is 0: it must be finite and above 0"),
        ({"process_noise": -1.0}, "process_noise is -1"),
        ({"process_noise": np.triu(np.ones((4, 4)))}, "process_noise must be symmetric"),
    ],
)
def test_what_networks_refuse(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_tank_network(**{"n_tanks": 4, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"splits": [0.5, 1.5]}, r"splits\[1\] is 1.5: a share is at most 1"),
        ({"areas": [1.0, 2.0, 0.0, 4.0]}, r"areas\[2\] is 0: it must be finite and above 0"),
        ({"gravity": -9.81}, "gravity is -9.81"),
        ({"pumps": np.ones(3)}, "pumps must be one number or 2, got the shape"),
    ],
)
def test_what_constants_refuse(arguments, message):
    with pytest.raises(ValueError, match=message):
        tank_constants(4, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"T": 0}, "T must be a whole number of samples"),
        ({"T": 2.5}, "T must be a whole number of samples"),
        ({"inputs": np.ones((2, 2))}, r"inputs must have shape \(3, 2\)"),
        ({"inputs": [[1.0, 1.0], [1.0, -0.5], [1.0, 1.0]]}, r"inputs\[1, 1\] is -0.5: a pump"),
        ({"inputs": [1.0, -1.0]}, r"inputs\[1\] is -1"),
        ({"start": [1.0, 2.0, 3.0, -4.0]}, r"start\[3\] is -4"),
    ],
)
def test_what_simulations_refuse(arguments, message):
    with pytest.raises(ValueError, match=message):
        simulate_tanks(tank_network(4), **{"T": 3, **arguments})
