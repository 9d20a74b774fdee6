"""Systems to try control on: what they are, and known results on them."""

import numpy as np
import pytest
from scipy.sparse import issparse

from lmmfit import datasets
from lmmfit.datasets import (
    load_nile,
    load_rail,
    make_convection_diffusion,
    make_rlc_ladder,
    make_triple_chain,
)
from lmmfit.riccati import solve_care


class TestRail:
    @pytest.mark.parametrize(
        ("n", "regulator", "bounded"),
        [
            (109, 0.0807113072, 0.2163267051),
            (371, 0.05362754400661664, 0.13544400283519262),
            (1357, 0.0346138892, 0.0825263278),
        ],
    )
    def test_known_norms(self, n, regulator, bounded):
        rail = load_rail(n)
        K = solve_care(rail.A, rail.B, rail.C, E=rail.E).K
        assert np.linalg.norm(K) == pytest.approx(regulator, rel=2e-9)
        K = solve_care(rail.A, rail.B / np.sqrt(0.2401), rail.C, E=rail.E, sign=1).K
        assert np.linalg.norm(K) == pytest.approx(bounded, rel=2e-9)

    @pytest.mark.parametrize("n", [109, 371, 1357])
    def test_matrices(self, n):
        rail = load_rail(n)
        for M in (rail.A, rail.E):
            assert issparse(M)
            assert M.shape == (n, n)
            assert abs(M - M.T).max() == 0
        assert (rail.B.shape, rail.C.shape) == ((n, 7), (6, n))
        assert (rail.B >= 0).all()
        np.testing.assert_allclose(rail.C.sum(axis=1), [1, 0, 0, 0, 0, 0], atol=1e-12)
        assert rail.frame is None
        assert "Benner" in rail.DESCR
        assert rail.filename.endswith(f"rail{n}.npz")

    def test_stable(self):
        rail = load_rail(109)
        assert np.linalg.eigvalsh(rail.A.toarray()).max() < 0
        assert np.linalg.eigvalsh(rail.E.toarray()).min() > 0

    def test_frames_name_inputs_and_outputs(self):
        arrays, frames = load_rail(109), load_rail(109, as_frame=True)
        assert list(frames.B) == arrays.input_names == [f"u{j}" for j in range(7)]
        assert list(frames.C.index) == arrays.output_names
        np.testing.assert_array_equal(frames.B, arrays.B)
        np.testing.assert_array_equal(frames.C, arrays.C)

    def test_other_sizes(self):
        with pytest.raises(ValueError, match="no rail with n=5177 nodes here, only with 109, 371"):
            load_rail(5177)


class TestLadder:
    def test_ladder_is_a_chain_of_impedances(self):
        parts = {"resistance": 0.3, "inductance": 2.0, "capacitance": 0.5, "conductance": 0.05,
                 "termination": 1.5, "source_resistance": 0.7}  # fmt: skip
        system = make_rlc_ladder(5, **parts)
        s = 0.1 + 0.8j
        impedance = parts["termination"]
        for _ in range(5):
            series = parts["resistance"] + s * parts["inductance"] + impedance
            impedance = 1 / (parts["conductance"] + s * parts["capacitance"] + 1 / series)
        inner = np.linalg.solve(s * np.eye(10) - system.A.toarray(), system.B)
        found = (system.D + system.C @ inner).item()
        assert found == pytest.approx(impedance + parts["source_resistance"])

    def test_names_and_order(self):
        system = make_rlc_ladder(3)
        assert system.state_names == ["v1", "i1", "v2", "i2", "v3", "i3"]
        assert system.A.shape == (6, 6)
        assert issparse(system.A)

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"n_sections": 0}, "n_sections == 0, must be >= 1"),
            ({"inductance": 0.0}, "inductance == 0.0, must be > 0"),
            ({"resistance": -1.0}, "resistance == -1.0, must be >= 0"),
            ({"capacitance": np.inf}, "capacitance must be finite"),
        ],
    )
    def test_wrong_input(self, changed, message):
        with pytest.raises(ValueError, match=message):
            make_rlc_ladder(**changed)


class TestConvectionDiffusion:
    def test_eigenvalues_of_the_laplacian(self):
        n, h = 6, 1 / 7
        A = make_convection_diffusion(n, fx=0.0, fy=0.0).A.toarray()
        one = 4 / h**2 * np.sin(np.arange(1, n + 1) * np.pi * h / 2) ** 2
        expected = np.sort(-(one[:, None] + one).ravel())
        np.testing.assert_allclose(np.linalg.eigvalsh(A), expected, rtol=1e-12)

    def test_smooth_functions(self):
        system = make_convection_diffusion(60, fx=lambda x, y: x, fy=2.0, g=lambda x, y: y)
        x, y = system.points.T
        u = np.sin(np.pi * x) * np.sin(2 * np.pi * y)
        ux = np.pi * np.cos(np.pi * x) * np.sin(2 * np.pi * y)
        uy = 2 * np.pi * np.sin(np.pi * x) * np.cos(2 * np.pi * y)
        expected = -5 * np.pi**2 * u - x * ux - 2.0 * uy - y * u
        assert abs(system.A @ u - expected).max() < 2e-3 * abs(expected).max()

    def test_strips(self):
        system = make_convection_diffusion(9)
        assert set(system.points[system.B[:, 0] > 0, 0].round(9)) == {0.2, 0.3}
        assert set(system.points[system.C[0] > 0, 0].round(9)) == {0.8, 0.9}
        assert system.A.shape == (81, 81)
        assert make_convection_diffusion(9, dimension=1).points.shape == (9, 1)

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"dimension": 3}, "dimension must be 1 or 2, got 3"),
            ({"dimension": 1, "fy": 1.0}, "fy is a velocity of two dimensions"),
            ({"n": 3, "g": np.nan}, "g is not finite at the point"),
            ({"n": 0}, "n == 0, must be >= 1"),
        ],
    )
    def test_wrong_input(self, changed, message):
        with pytest.raises(ValueError, match=message):
            make_convection_diffusion(**changed)


class TestTripleChain:
    def test_matrices(self):
        chain = make_triple_chain(3)
        K, M, G = chain.K.toarray(), chain.M.toarray(), chain.G.toarray()
        np.testing.assert_array_equal(K, K.T)
        assert np.linalg.eigvalsh(K)[0] > 0
        np.testing.assert_array_equal(np.diag(M), [1, 1, 1, 2, 2, 2, 3, 3, 3, 10])
        extra = np.zeros(10)
        extra[[0, 2, 6]] = 5.0
        np.testing.assert_allclose(G, 0.002 * (M + K) + np.diag(extra), atol=1e-15)
        assert K[-1, -1] == 81
        modes = np.linalg.eigvals(np.linalg.solve(chain.E.toarray(), chain.A.toarray()))
        assert modes.real.max() < 0
        assert len(modes) == 2 * (3 * 3 + 1)

    def test_first_order_form(self):
        chain = make_triple_chain(2)
        s, n = 0.2 + 1.3j, 7
        system = s * chain.E.toarray() - chain.A.toarray()
        found = (chain.C @ np.linalg.solve(system, chain.B)).item()
        second = s * s * chain.M.toarray() + s * chain.G.toarray() + chain.K.toarray()
        assert found == pytest.approx(np.ones(n) @ np.linalg.solve(second, np.ones(n)))

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"masses": (1.0, 2.0)}, "masses must be three numbers"),
            ({"stiffnesses": (1.0, 0.0, 2.0)}, r"stiffnesses\[1\] == 0.0, must be > 0"),
            ({"damper": -1.0}, "damper == -1.0, must be >= 0"),
        ],
    )
    def test_wrong_input(self, changed, message):
        with pytest.raises(ValueError, match=message):
            make_triple_chain(**changed)


class TestNile:
    def test_against_statsmodels(self):
        from statsmodels.datasets import nile

        table = load_nile()
        expected = nile.load_pandas().data
        np.testing.assert_array_equal(table.data[:, 0], expected["year"])
        np.testing.assert_array_equal(table.target, expected["volume"])
        assert table.feature_names == ["year"]
        assert table.categories == {}
        assert "**Rows.** 100:" in table.DESCR

    def test_frame(self):
        frame = load_nile(as_frame=True).frame
        assert list(frame) == ["year", "volume"]
        assert frame.iloc[0].tolist() == [1871, 1120]
        X, y = load_nile(return_X_y=True)
        assert (X.shape, y.shape) == ((100, 1), (100,))


def test_all_are_exported():
    names = {"load_nile", "load_rail", "make_convection_diffusion", "make_rlc_ladder",
             "make_triple_chain"}  # fmt: skip
    assert names <= set(datasets.__all__)


def test_losses_may_be_whole_numbers():
    whole, real = (
        make_rlc_ladder(3, resistance=1, conductance=2),
        make_rlc_ladder(3, resistance=1.0, conductance=2.0),
    )
    assert (whole.A != real.A).nnz == 0
