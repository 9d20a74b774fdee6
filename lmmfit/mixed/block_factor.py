"""Block Cholesky factor of the equations of the random effects: factor once, solve often."""

from contextlib import nullcontext

import numpy as np
from scipy.linalg.blas import dsymm

from lmmfit._threads import one_blas_thread
from lmmfit.mixed import _block_kernels, _intercept_kernels
from lmmfit.mixed.schur import EliminationOrder, SchurFactor

__all__ = ["BlockFactor"]

_FEW = 100  # unknowns for which BLAS starts no second thread
_COLUMNS = 8  # up to which a loop over them beats BLAS
_SMALL = 1e-3  # relative standard deviation below which a factor's root is not inverted


class BlockFactor:
    """Factor of ``I + root' Z'Z root``, renewed in place for every root.

    Parameters
    ----------
    system : BlockSystem

    Attributes
    ----------
    log_determinant : float
    tree : tuple of ndarray
        Structure of the sparse part, as the kernels take it.
    """

    def __init__(self, system):
        self.system = system
        self._gram, self._values = np.empty_like(system.gram), np.empty_like(system.values)
        self._half = np.empty_like(system.gram)
        self._schur = np.empty_like(system.dense_gram)
        self._scaled = np.empty_like(system.dense_gram)
        self._kernel = np.empty_like(system.dense_gram)
        self._dense = SchurFactor(system.order)
        self._inverse, self._whole = None, False
        q = system.gram.shape[1]
        self._kernels = _block_kernels if q > 1 else _intercept_kernels
        self._sparse_roots = np.zeros((len(system.sparse), q, q))
        self._dense_roots = np.zeros((len(system.dense), q, q))
        self._widths = np.array([len(system.effects[f]) for f in system.dense], dtype=np.int64)
        self.tree = system.shape, system.pointer, system.index

    @property
    def limited(self):
        """Context for many factorisations: one BLAS thread, where the dense part is large."""
        return one_blas_thread() if self.system.n_dense > _FEW else nullcontext()

    def update(self, root, inverse=False):
        """Factor for another root.

        Parameters
        ----------
        root : ndarray of shape (q, q)
            Square root of the relative covariance of the random effects of all terms.
        inverse : bool, default=False
            Whether :meth:`block_sums` will be wanted, which is then faster.

        Returns
        -------
        bool
            Whether the matrix was positive definite to working precision.
        """
        system = self.system
        self._set_roots(root)
        np.copyto(self._gram, system.gram)
        np.copyto(self._values, system.values)
        np.copyto(self._schur, system.dense_gram)
        self.log_determinant = self._kernels.eliminate(
            *self.tree, system.parent, system.link, self._sparse_roots, self._gram,
            self._values, self._half, self._schur,
        )  # fmt: skip
        self._inverse = None
        if system.n_dense:
            self._sandwich(self._schur, self._dense_roots, 1.0, self._scaled)
            self.log_determinant += self._dense.update(self._scaled, inverse)
        return bool(np.isfinite(self.log_determinant))

    def _sandwich(self, matrix, roots, diagonal, out):
        """Write ``R'A R``, plus a diagonal, for R block-diagonal by level."""
        roots = np.ascontiguousarray(roots)
        self._kernels.sandwich(matrix, self.system.owner, roots, self._widths, diagonal, out)

    def _set_roots(self, root):
        system = self.system
        for out, factors in (
            (self._sparse_roots, system.sparse),
            (self._dense_roots, system.dense),
        ):
            for k, f in enumerate(factors):
                own = system.effects[f]
                out[k, : own.size, : own.size] = root[own[:, None], own]

    @property
    def sparse_part(self):
        """Factors and lists of the nodes, as the kernels take them."""
        return self._half, self._values

    def solve(self, columns):
        """``Z'V^-1 x`` for columns x given by ``Z'x``.

        Parameters
        ----------
        columns : ndarray of shape (n_unknowns, c)
            Overwritten by the result.

        Returns
        -------
        modes : ndarray of shape (n_unknowns, c)
            ``P Z'V^-1 x``, P the relative covariance.
        square : ndarray of shape (c, c)
            What the random effects take off ``x'x``: it is ``x'x - x'V^-1 x``.
        """
        system, first = self.system, self.system.first_dense
        square = np.zeros((columns.shape[1], columns.shape[1]))
        self._kernels.forward(*self.tree, self._half, self._values, columns, square)
        modes = np.empty_like(columns)
        if system.n_dense:
            own = columns[first:]
            modes[first:] = self._apply_kernel(own)
            square += own.T @ modes[first:]
            _take_off(self._schur, modes[first:], own)
        self._kernels.backward(*self.tree, self._half, self._gram, self._values, columns, modes)
        return modes, square

    def quadratic(self, vectors):
        """``w' Z'V^-1 Z w`` for columns w.

        Parameters
        ----------
        vectors : ndarray of shape (n_unknowns, c)

        Returns
        -------
        ndarray of shape (c, c)
        """
        system, columns = self.system, np.empty_like(vectors)
        self._kernels.multiply(
            *self.tree, system.gram, system.values, system.dense_gram, vectors, columns
        )
        total = vectors.T @ columns
        square = np.zeros_like(total)
        self._kernels.forward(*self.tree, self._half, self._values, columns, square)
        if system.n_dense:
            own = columns[system.first_dense :]
            square += own.T @ self._apply_kernel(own)
        return total - square

    def multiply(self, vectors):
        """``Z'V^-1 Z w`` for columns w.

        Parameters
        ----------
        vectors : ndarray of shape (n_unknowns, c)

        Returns
        -------
        ndarray of shape (n_unknowns, c)
        """
        system, columns = self.system, np.empty_like(vectors)
        self._kernels.multiply(
            *self.tree, system.gram, system.values, system.dense_gram, vectors, columns
        )
        self.solve(columns)
        return columns

    def block_sums(self, each=False):
        """Sum the blocks of ``T = Z'V^-1 Z`` on the diagonal over the levels of each factor.

        Parameters
        ----------
        each : bool, default=False
            Whether to return the blocks themselves instead.

        Returns
        -------
        list of ndarray of shape (q, q), or (levels, q, q)
            By factor.
        """
        system = self.system
        q, n_nodes = system.gram.shape[1], system.shape[-1, 0]
        sums = np.zeros((len(system.sparse), q, q))
        blocks = np.empty((n_nodes if each else 0, q, q))
        self._kernels.select(
            *self.tree, system.parent, system.link, self._half, self._gram, self._values,
            self.kernel(whole=False), np.empty_like(self._values), np.empty_like(self._gram), sums,
            blocks,
        )  # fmt: skip
        out = [None] * len(system.sizes)
        for k, f in enumerate(system.sparse):
            width = system.effects[f].size
            nodes = slice(system.shape[k, 0], system.shape[k + 1, 0])
            out[f] = blocks[nodes, :width, :width] if each else sums[k, :width, :width]
        for k, f in enumerate(system.dense):
            own = self._dense_blocks(k, f)
            out[f] = own if each else own.sum(axis=0)
        return out

    def _apply_kernel(self, columns):
        """K @ columns for the dense part."""
        inner = self._by_level(columns, self._dense_roots.swapaxes(1, 2))
        return self._by_level(self._dense.solve(inner), self._dense_roots)

    def _by_level(self, columns, roots):
        """Multiply the rows of each level by the matrix of its factor."""
        system, out = self.system, np.empty(columns.shape)
        for k, f in enumerate(system.dense):
            rows, q = self._dense_rows(f), system.effects[f].size
            own = columns[rows].reshape(-1, q, columns.shape[1])
            out[rows] = (roots[k, :q, :q] @ own).reshape(-1, columns.shape[1])
        return out

    def _dense_rows(self, f):
        """Unknowns of a factor within the dense part."""
        return self.system.rows(f) - self.system.first_dense

    def kernel(self, whole=True):
        """``K = P - P Z'V^-1 Z P`` of the dense part.

        Parameters
        ----------
        whole : bool, default=True
            Whether all of it is wanted, or only what the lists of the nodes name.

        Returns
        -------
        ndarray of shape (n_dense, n_dense)
            Lower triangle.
        """
        n = self.system.n_dense
        if n and (self._inverse is None or (whole and not self._whole)):
            factor, self._whole = self._dense, whole or self._dense.core == n
            if whole and self._dense.core < n:
                matrix, factor = np.empty((n, n)), SchurFactor(EliminationOrder.none(n))
                self._sandwich(self._schur, self._dense_roots, 1.0, matrix)
                factor.update(matrix, inverse=True)
            self._inverse = factor.selected_inverse()
            self._sandwich(self._inverse, self._dense_roots.swapaxes(1, 2), 0.0, self._kernel)
        return self._kernel

    def _dense_blocks(self, k, f):
        """Blocks of T of a factor of the dense part."""
        system, q = self.system, self.system.effects[f].size
        root = self._dense_roots[k, :q, :q]
        rows = self._dense_rows(f)
        if np.linalg.svd(root, compute_uv=False)[-1] > _SMALL:
            inside = np.eye(q) - _diagonal_blocks(self._inverse, rows[::q], q)
            return np.linalg.solve(root.T, np.linalg.solve(root.T, inside).swapaxes(1, 2))
        own = _symmetric(self._schur)[:, rows]
        left = self._apply_kernel(own).reshape(system.n_dense, -1, q)
        taken = np.einsum("nga,ngb->gab", own.reshape(system.n_dense, -1, q), left)
        return _diagonal_blocks(self._schur, rows[::q], q) - taken


def _take_off(lower, vectors, out):
    """Take ``A @ vectors`` off ``out``, for the lower triangle of A."""
    if vectors.shape[1] > _COLUMNS:
        out -= dsymm(1.0, lower.T, vectors.T, side=1, lower=0).T
    else:
        _block_kernels.add_product(lower, vectors, -1.0, out)


def _symmetric(lower):
    return np.tril(lower) + np.tril(lower, -1).T


def _diagonal_blocks(lower, first, q):
    """Blocks (levels, q, q) on the diagonal of a matrix given by its lower triangle."""
    blocks = np.empty((first.size, q, q))
    for a in range(q):
        for b in range(a + 1):
            blocks[:, a, b] = blocks[:, b, a] = lower[first + a, first + b]
    return blocks
