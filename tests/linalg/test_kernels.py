"""Kernels: against plain NumPy, and no memory taken inside their loops."""

import numba
import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

from lmmfit.linalg import _band_kernels as band
from lmmfit.linalg import _dense_kernels as dense
from lmmfit.linalg._tridiagonal_kernels import tridiagonal_many, tridiagonal_one


def systems(m, n=4):
    """Every kernel that works through a stack, with its arguments for m systems of order n."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((m, n, n)) + 4.0 * np.eye(n)
    spd = a @ np.swapaxes(a, 1, 2)
    pivots, failed, one = np.zeros((m, n), np.int32), np.zeros(m, np.int64), np.zeros(m)
    b = np.ones((m, n, 2))
    low, main, up = rng.standard_normal((m, n - 1)), a[:, 0] + 9.0, rng.standard_normal((m, n - 1))
    ratios, grown = np.empty(n), np.empty(m, bool)
    bands, halves = np.ones((m, n, 4)), np.ones((m, n, 2))
    bands[..., 2] = halves[..., 1] = 8.0
    identity = np.tile(np.arange(n, dtype=np.int32), (m, 1))
    return {
        "lu_factor": (dense.lu_factor, (a.copy(), pivots, True)),
        "lu_solve": (dense.lu_solve, (a, identity, b.copy(), True)),
        "ldl_factor": (dense.ldl_factor, (spd.copy(), failed)),
        "ldl_solve": (dense.ldl_solve, (spd, b.copy(), False)),
        "symmetrise": (dense.symmetrise, (spd, ratios.copy())),
        "band_lu": (band.band_lu, (bands.copy(), 1, 1, pivots, True)),
        "band_solve": (band.band_solve, (bands, 1, identity, b.copy(), False)),
        "band_multiply": (band.band_multiply, (bands.copy(), 1, identity)),
        "band_cholesky": (band.band_cholesky, (halves.copy(), failed, one)),
        "band_half_solve": (band.band_half_solve, (halves, b.copy(), True)),
        "band_inverse": (
            band.band_inverse, (bands, 1, 1, identity, np.empty((m, n, 3)), np.empty((2, 3))),
        ),
        "tridiagonal_one": (
            tridiagonal_one, (low, main, up, b[:, :, 0].copy(), np.empty((m, n)), ratios, grown),
        ),
        "tridiagonal_many": (tridiagonal_many, (low, main, up, b.copy(), ratios, grown)),
    }  # fmt: skip


@pytest.fixture
def counted():
    """Let numba's memory manager count."""
    _nrt_python.memsys_enable_stats()
    yield
    _nrt_python.memsys_disable_stats()


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("name", systems(1))
def test_no_allocation_per_system(name):
    """The memory manager of numba counts what a call takes: as much for 500 systems as for one."""
    taken = []
    for m in (1, 500):
        kernel, arguments = systems(m)[name]
        kernel(*arguments)  # compiled or loaded
        kernel, arguments = systems(m)[name]
        before = rtsys.get_allocation_stats().alloc
        kernel(*arguments)
        taken.append(rtsys.get_allocation_stats().alloc - before)
    assert taken[0] == taken[1]


@pytest.mark.usefixtures("counted")
def test_allocations_would_be_counted():
    @numba.njit
    def allocate(n):
        total = 0.0
        for i in range(n):
            total += np.ones(i + 1).sum()
        return total

    allocate(1)
    before = rtsys.get_allocation_stats().alloc
    allocate(100)
    assert rtsys.get_allocation_stats().alloc - before >= 100


def test_lu_factor_twin():
    rng = np.random.default_rng(1)
    a = rng.standard_normal((20, 5, 5))
    a[3, :, 2] = 0.0
    packed, pivots = a.copy(), np.empty((20, 5), np.int32)
    dense.lu_factor(packed, pivots, True)
    for w, result, exchanges in zip(a, packed, pivots, strict=True):
        for k in range(5):
            p = k + int(np.abs(w[k:, k]).argmax())
            assert exchanges[k] == p
            w[[k, p]] = w[[p, k]]
            if w[k, k]:
                w[k + 1 :, k] /= w[k, k]
                w[k + 1 :, k + 1 :] -= np.outer(w[k + 1 :, k], w[k, k + 1 :])
        np.testing.assert_allclose(result, w, rtol=1e-12)


@pytest.mark.parametrize("n", [1, 31, 32, 33, 70])
def test_symmetrise_twin(n):
    rng = np.random.default_rng(n)
    a = rng.standard_normal((3, n, n))
    work, sums = a.copy(), np.empty(n)
    gap = dense.symmetrise(work, sums)
    transposed = np.swapaxes(a, 1, 2)
    assert gap == np.abs(a - transposed).max()
    np.testing.assert_allclose(work, 0.5 * (a + transposed))
    assert np.array_equal(work, np.swapaxes(work, 1, 2))
    np.testing.assert_allclose(sums, np.abs(a[-1]).sum(axis=1))


def test_absolute_sums_twin():
    a, down = np.random.default_rng(2).standard_normal((7, 11)), np.empty(11)
    assert dense.absolute_sums(a, down) == pytest.approx(np.abs(a).sum(axis=1).max())
    np.testing.assert_allclose(down, np.abs(a).sum(axis=0))
    for value in (np.nan, np.inf):
        for place in np.ndindex(3, 2):
            bad = np.ones((3, 2))
            bad[place] = value
            assert not dense.absolute_sums(bad, down[:2]) < np.inf


@pytest.mark.parametrize("tile", [1, 3, 64])
def test_elimination_extremes_twin(tile):
    """Elements of every step, from the factors alone."""
    rng = np.random.default_rng(3)
    lower = np.tril(rng.uniform(-1, 1, (9, 9)), -1) + np.eye(9)
    upper = np.triu(rng.standard_normal((9, 9)))
    largest, original = dense.elimination_extremes(lower, upper, *np.empty((2, tile)))
    steps = [np.abs(lower[:, k:] @ upper[k:])[k:, k:].max() for k in range(9)]
    assert largest == pytest.approx(max(steps))
    assert original == pytest.approx(np.abs(lower @ upper).max())
