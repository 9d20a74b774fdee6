"""Which way to the solution, by what is special of the matrices and of the pattern."""

from dataclasses import dataclass
from functools import cached_property
from warnings import warn

import numpy as np
from scipy.linalg.lapack import dpotrf
from scipy.sparse import issparse

from lmmfit.gains._equation_kernels import asymmetry
from lmmfit.gains.conjugate import LARGEST, ConjugateGradients, step_budget
from lmmfit.gains.gathered import product_entries
from lmmfit.gains.general import Found
from lmmfit.gains.pattern import Pattern
from lmmfit.gains.pattern_shapes import is_scattered, rectangle
from lmmfit.gains.routes import by_columns, by_matrix, by_product, by_rows
from lmmfit.gains.sparse_equation import by_sparse_lu, sparse_counts
from lmmfit.riccati.checks import as_dense, as_symmetric, check_definite

__all__ = ["METHODS", "EquationTask", "dispatch"]

METHODS = (
    "auto", "rows", "columns", "product", "hadamard", "cholesky", "pcg", "sparse", "lu",
)  # fmt: skip

_SYMMETRIC = 1e-14  # asymmetry, relative to the largest element, that products leave
_SPARSE = 0.1  # share of nonzeros in S up to which it is stored sparse
_SMALL = 500  # entries up to which S is not stored sparse
_STEPS = 2000  # of conjugate gradients
_EPS = np.finfo(float).eps


@dataclass(frozen=True, eq=False)
class EquationTask:
    """An equation that has been checked, and what is found out of it, once.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
    B : ndarray or sparse array of shape (o, o)
    r : ndarray of shape (size,)
        Values of C at the entries.
    pattern : Pattern
    assume_a : {"auto", "pos", "gen"}
    parallel : bool
    """

    A: object
    B: object
    r: np.ndarray
    pattern: Pattern
    assume_a: str
    parallel: bool

    @cached_property
    def a(self):
        """The diagonal of A if there is nothing else, or None."""
        return _diagonal(self.A)

    @cached_property
    def b(self):
        """The diagonal of B if there is nothing else, or None."""
        return _diagonal(self.B)

    @cached_property
    def full(self):
        """A and B as ndarrays in rows."""
        return tuple(np.ascontiguousarray(as_dense(M)) for M in (self.A, self.B))

    @cached_property
    def symmetric(self):
        """Whether A is symmetric, and B, but for rounding; False where it is not to be used."""
        if self.assume_a == "gen":
            return False, False
        return tuple(_is_symmetric(M) for M in self.full)

    @cached_property
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
        for M, diagonal, name in ((self.A, self.a, "A"), (self.B, self.b, "B")):
            M = as_symmetric(M, name, M.shape[0])
            if diagonal is None or not (diagonal > 0.0).all():
                check_definite(M, name)
            sides.append(M)
        return EquationTask(*sides, self.r, self.pattern, "pos", self.parallel)

    def residual_norm(self, x):
        """Norm of ``[A X B - C]_chi``, relative to that of C unless it is zero."""
        A, B = self.A, self.B
        if not (issparse(A) and issparse(B)):
            A, B = self.full
        A, B = A if self.a is None else self.a, B if self.b is None else self.b
        size = np.linalg.norm(self.r)
        e = np.linalg.norm(product_entries(self.pattern, A, B, x) - self.r)
        return float(e / size if size > 0.0 else e)


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
    if method == "auto" and issparse(task.A) and issparse(task.B) and pattern.size > _SMALL:
        counts = sparse_counts(pattern, task.A, task.B)
        if counts.sum() <= _SPARSE * pattern.size**2:
            method = "sparse"
    if method == "auto":
        method = _choose(task)
    if method in ("pcg", "auto pcg"):
        return _iterate(task, tol, max_iter, fall_back=method == "auto pcg")
    found = _SOLVERS[method](task, counts)
    return found._replace(method=found.method or method)


def _choose(task):
    if task.a is not None:
        return "rows"
    if task.b is not None:
        return "columns"
    if rectangle(task.pattern) is not None:
        return "product"
    if (step_budget(task.pattern) or task.pattern.size > LARGEST) and task.definite:
        return "auto pcg"
    if is_scattered(task.pattern):
        return "hadamard"
    return "cholesky" if all(task.symmetric) else "lu"


def _rows(task, counts):
    _need_diagonal(task.a, task.A, "A", "rows")
    B, symmetric = task.full[1], task.symmetric[1]
    return by_rows(task.pattern, task.a, B, task.r, symmetric=symmetric)


def _columns(task, counts):
    _need_diagonal(task.b, task.B, "B", "columns")
    A, symmetric = task.full[0], task.symmetric[0]
    return by_columns(task.pattern, A, task.b, task.r, symmetric=symmetric)


def _product(task, counts):
    if rectangle(task.pattern) is None:
        raise ValueError("method='product' needs a pattern of all of some rows times columns.")
    return by_product(task.pattern, *task.full, task.r)


def _hadamard(task, counts):
    if not is_scattered(task.pattern):
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
    return by_sparse_lu(task.pattern, task.A, task.B, task.r, counts)


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
            stacklevel=4,
        )
    return Found(x, task.pattern.size, n_iter=steps, method="pcg")


def _diagonal(M):
    d = M.diagonal()
    if issparse(M):
        return d if M.count_nonzero() == np.count_nonzero(d) else None
    return d if np.count_nonzero(M) == np.count_nonzero(d) else None


def _is_symmetric(M):
    gap, largest = asymmetry(M)
    return gap <= _SYMMETRIC * largest


def _need_diagonal(diagonal, M, name, method):
    if diagonal is None:
        M = as_dense(M).copy()
        np.fill_diagonal(M, 0.0)
        i, j = map(int, np.argwhere(M)[0])
        raise ValueError(
            f"method={method!r} needs a diagonal {name}: {name}[{i}, {j}] is {M[i, j]:.6g}."
        )
