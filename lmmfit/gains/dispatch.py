"""Which way to the solution, by what is special of the matrices and of the pattern."""

from dataclasses import dataclass
from warnings import warn

import numpy as np
from scipy.linalg.lapack import dpotrf

from lmmfit.gains._equation_kernels import residual_squares
from lmmfit.gains.conjugate import LARGEST, ConjugateGradients, step_budget
from lmmfit.gains.equation_side import Side, as_side
from lmmfit.gains.gathered import product_entries
from lmmfit.gains.general import Found
from lmmfit.gains.pattern import Pattern
from lmmfit.gains.routes import by_columns, by_matrix, by_product, by_rows
from lmmfit.gains.sparse_equation import by_sparse_lu, sparse_counts
from lmmfit.riccati.checks import as_symmetric, check_definite

__all__ = ["METHODS", "EquationTask", "dispatch"]

METHODS = (
    "auto", "rows", "columns", "product", "hadamard", "cholesky", "pcg", "sparse", "lu",
)  # fmt: skip

_SPARSE = 0.1  # share of nonzeros in S up to which it is stored sparse
_SMALL = 500  # entries up to which S is not stored sparse
_STEPS = 2000  # of conjugate gradients


@dataclass(frozen=True, eq=False)
class EquationTask:
    """An equation that has been checked.

    Parameters
    ----------
    left, right : Side
        A and B.
    r : ndarray of shape (size,)
        Values of C at the entries.
    pattern : Pattern
    assume_a : {"auto", "pos", "gen"}
    parallel : bool
    """

    left: Side
    right: Side
    r: np.ndarray
    pattern: Pattern
    assume_a: str
    parallel: bool

    @property
    def full(self):
        """A and B as ndarrays in rows."""
        return self.left.full, self.right.full

    @property
    def symmetric(self):
        """Whether A is symmetric, and B, but for rounding; False where it is not to be used."""
        if self.assume_a == "gen":
            return False, False
        return self.left.symmetric, self.right.symmetric

    @property
    def definite(self):
        """Whether A and B are symmetric and positive definite."""
        return all(self.symmetric) and not any(dpotrf(M.T, lower=1)[1] for M in self.full)

    def prepared(self, method):
        """The same with A and B symmetric to the last bit, if the method needs it.

        Parameters
        ----------
        method : str

        Returns
        -------
        EquationTask

        Raises
        ------
        ValueError
            If A or B must be symmetric and positive definite, and is not.
        """
        if self.assume_a != "pos" and method not in ("cholesky", "pcg"):
            return self
        if self.assume_a == "gen":
            raise ValueError(f"method={method!r} needs positive definite A and B, not 'gen'.")
        sides = []
        for side, name in ((self.left, "A"), (self.right, "B")):
            M = as_symmetric(side.M, name, side.M.shape[0])
            if side.diagonal is None or not (side.diagonal > 0.0).all():
                check_definite(M, name)
            sides.append(as_side(M, name))
        return EquationTask(*sides, self.r, self.pattern, "pos", self.parallel)

    def residual_norm(self, x):
        """Norm of ``[A X B - C]_chi``, relative to that of C unless it is zero."""
        pattern, r, both_sparse = self.pattern, self.r, self.left.sparse and self.right.sparse
        if pattern.size <= sum(pattern.shape) and not both_sparse:
            A, B = self.left.full, self.right.full
            e, size = residual_squares(A, B, pattern.rows, pattern.columns, x, r)
        else:
            A, B = (self.left.M, self.right.M) if both_sparse else self.full
            A = A if self.left.diagonal is None else self.left.diagonal
            B = B if self.right.diagonal is None else self.right.diagonal
            e = product_entries(pattern, A, B, x) - r
            e, size = e @ e, r @ r
        return float(np.sqrt(e / size if size > 0.0 else e))


def dispatch(task, method, tol, max_iter):
    """Solve an equation.

    Parameters
    ----------
    task : EquationTask
    method : str
    tol : float
    max_iter : int or None

    Returns
    -------
    Found

    Raises
    ------
    ValueError
        If the pattern or a diagonal is not as the method needs it.
    """
    pattern, counts = task.pattern, None
    if not pattern.size:
        return Found(task.r.copy(), 0, method="empty")
    if method == "auto" and task.left.sparse and task.right.sparse and pattern.size > _SMALL:
        counts = sparse_counts(pattern, task.left.M, task.right.M)
        if counts.sum() <= _SPARSE * pattern.size**2:
            method = "sparse"
    if method == "auto":
        method = _choose(task)
    if method in ("pcg", "auto pcg"):
        return _iterate(task, tol, max_iter, fall_back=method == "auto pcg")
    found = _SOLVERS[method](task, counts)
    return found if found.method else found._replace(method=method)


def _choose(task):
    if task.left.diagonal is not None:
        return "rows"
    if task.right.diagonal is not None:
        return "columns"
    if task.pattern.rectangle is not None:
        return "product"
    if (step_budget(task.pattern) or task.pattern.size > LARGEST) and task.definite:
        return "auto pcg"
    if task.pattern.is_scattered:
        return "hadamard"
    return "cholesky" if all(task.symmetric) else "lu"


def _rows(task, counts):
    _need_diagonal(task.left, "A", "rows")
    B, symmetric = task.right.full, task.symmetric[1]
    return by_rows(task.pattern, task.left.diagonal, B, task.r, symmetric=symmetric)


def _columns(task, counts):
    _need_diagonal(task.right, "B", "columns")
    A, symmetric = task.left.full, task.symmetric[0]
    return by_columns(task.pattern, A, task.right.diagonal, task.r, symmetric=symmetric)


def _product(task, counts):
    if task.pattern.rectangle is None:
        raise ValueError("method='product' needs a pattern of all of some rows times columns.")
    return by_product(task.pattern, *task.full, task.r)


def _hadamard(task, counts):
    if not task.pattern.is_scattered:
        raise ValueError(
            "method='hadamard' needs a pattern with at most one entry in a row and in a column."
        )
    return _gathered(task, counts)._replace(method="hadamard")


def _gathered(task, counts):
    definite = all(task.symmetric)
    return by_matrix(
        task.pattern, *task.full, task.r, definite=definite, parallel=task.parallel
    )  # fmt: skip


def _lu(task, counts):
    return by_matrix(task.pattern, *task.full, task.r, definite=False, parallel=task.parallel)


def _sparse(task, counts):
    return by_sparse_lu(task.pattern, task.left.M, task.right.M, task.r, counts)


_SOLVERS = {
    "rows": _rows,
    "columns": _columns,
    "product": _product,
    "hadamard": _hadamard,
    "cholesky": _gathered,
    "sparse": _sparse,
    "lu": _lu,
}


def _iterate(task, tol, max_iter, *, fall_back):
    """Conjugate gradients, and a factorisation where they are slower."""
    A, B = (0.5 * (M + M.T) for M in task.full)
    fall_back = fall_back and max_iter is None and task.pattern.size <= LARGEST
    most = step_budget(task.pattern) if fall_back else max_iter or _STEPS
    try:
        x, steps, converged = ConjugateGradients(task.pattern).solve(
            A, B, task.r, tol=tol, max_iter=most
        )
    except np.linalg.LinAlgError:  # not definite beyond rounding
        return _gathered(task, None)
    if not converged and fall_back:
        return _gathered(task, None)
    if not converged:
        warn(
            f"conjugate gradients have not reached tol={tol:.3g} in {steps} steps, the residual "
            f"is {task.residual_norm(x):.3g}; take method='cholesky', or raise max_iter.",
            RuntimeWarning,
            stacklevel=5,
        )
    return Found(x, task.pattern.size, n_iter=steps, method="pcg")


def _need_diagonal(side, name, method):
    if side.diagonal is None:
        M = side.full.copy()
        np.fill_diagonal(M, 0.0)
        i, j = map(int, np.argwhere(M)[0])
        raise ValueError(
            f"method={method!r} needs a diagonal {name}: {name}[{i}, {j}] is {M[i, j]:.6g}."
        )
