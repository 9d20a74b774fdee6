"""The sparse matrix equation of distributed control."""

from lmmfit._threads import one_blas_thread
from lmmfit.gains.dispatch import METHODS, EquationTask, dispatch
from lmmfit.gains.equation_side import as_right_hand_side, as_side
from lmmfit.gains.equation_solution import SingularEquationError, SparseSolution
from lmmfit.gains.pattern import as_pattern
from lmmfit.riccati.checks import check_options

__all__ = ["solve_sparse_equation"]

_CONSISTENT = 1e-10  # residual of least squares, relative to C, that counts as rounding
_COUNTS = {"none": "no solution", "infinitely many": "infinitely many solutions"}
_SERIAL = 100  # entries below which BLAS starts no threads


def solve_sparse_equation(
    A, B, C, pattern, *, assume_a="auto", method="auto", if_singular="raise", tol=1e-12,
    max_iter=None, parallel=False,
):  # fmt: skip
    """Solve ``[A X B - C]_ij = 0`` for (i, j) in chi, with ``X_ij = 0`` elsewhere.

    It is one linear system for the entries of X in chi, S x = r, in the order of vec(X), with
    S[p, q] = A[i, k] B[l, j] where p and q are the numbers of the entries (i, j) and (k, l).
    There is one solution if S has full rank, and otherwise infinitely many or none (Corollary 1
    of the reference).

    If A and B are symmetric and positive definite, as they are where filters and regulators are
    designed, S is a principal submatrix of the Kronecker product of B' and A, and so positive
    definite too: there is exactly one solution whatever the pattern, and Cholesky's factorisation
    or conjugate gradients find it.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
    B : array-like or sparse array of shape (o, o)
    C : array-like or sparse array of shape (n, o)
        Only its elements in chi count.
    pattern : Pattern, array-like, sparse array, str, list of sets, dict or graph
        The entries chi, in any form that :func:`as_pattern` reads.
    assume_a : {"auto", "pos", "gen"}, default="auto"
        Whether A and B are symmetric and positive definite: found out, required, or not used.
    method : str, default="auto"
        How to solve it. ``auto`` takes what is special of the matrices and the pattern:

        - ``rows``, ``columns``: A, or B, is diagonal; the rows, or columns, of X then do not
          depend on each other;
        - ``product``: chi is all of I x J, rows times columns: two solves with A[I, I], B[J, J];
        - ``hadamard``: no two entries share a row or a column, such as those of a diagonal; S is
          then A * B' element by element of the entries' rows and columns;
        - ``cholesky``, ``pcg``: A and B positive definite, by a factorisation of S, or by
          conjugate gradients without S;
        - ``sparse``: S stored sparse, and its sparse LU factorisation;
        - ``lu``: S gathered, and its LU factorisation; Algorithm 1 of the reference.
    if_singular : {"raise", "minimum-norm"}, default="raise"
        What to do where there is not exactly one solution.
    tol : float, default=1e-12
        Of ``pcg``: residual relative to C.
    max_iter : int, optional
        Of ``pcg``; 2000 by default.
    parallel : bool, default=False
        Whether S is gathered, and factorised, by several threads.

    Returns
    -------
    SparseSolution
        With ``X``, ``kind``, ``rank``, ``residual_norm``, ``rcond``, ``method`` and ``n_iter``.

    Warns
    -----
    RuntimeWarning
        If conjugate gradients have not reached ``tol``.

    Raises
    ------
    SingularEquationError
        If S does not have full rank, unless ``if_singular="minimum-norm"``.
    ValueError
        If a matrix or the pattern has a wrong shape, an element is not finite, A or B is not as
        ``assume_a`` or ``method`` need it, or an option is unknown.

    Notes
    -----
    S has full rank if an estimate of its reciprocal condition number is at least its order times
    the rounding unit, 2.2e-16; otherwise singular values larger than that, relative to the
    largest, are counted. Where S falls into blocks this is of each block by itself. A singular
    equation is consistent if least squares leave a residual of at most 1e-10 of C.

    References
    ----------
    Pedroso, L. and Batista, P. (2021). Efficient algorithm for the computation of the solution
    to a sparse matrix equation in distributed control theory. Mathematics 9(13), 1497.

    Examples
    --------
    >>> from lmmfit.gains import solve_sparse_equation
    >>> A = [[2.0, 1.0], [1.0, 2.0]]
    >>> found = solve_sparse_equation(A, A, [[5.0, 0.0], [0.0, 5.0]], "diag")
    >>> found.X
    array([[1., 0.],
           [0., 1.]])
    >>> found.kind, found.method
    ('unique', 'hadamard')
    """
    _check_word(assume_a, "assume_a", ("auto", "pos", "gen"))
    _check_word(if_singular, "if_singular", ("raise", "minimum-norm"))
    check_options(method, METHODS, tol, max_iter)
    left, right = as_side(A, "A"), as_side(B, "B")
    shape = (left.M.shape[0], right.M.shape[0])
    C = as_right_hand_side(C, shape)
    pattern = as_pattern(pattern, shape)
    task = EquationTask(left, right, pattern.gather(C), pattern, assume_a, parallel)
    if pattern.size < _SERIAL or parallel:
        found, residual = _found(task, method, tol, max_iter)
    else:
        with one_blas_thread():
            found, residual = _found(task, method, tol, max_iter)
    kind = "unique"
    if found.rank < pattern.size:
        kind = "infinitely many" if residual <= _CONSISTENT else "none"
        if if_singular == "raise":
            raise _singular(kind, found, pattern)
    return SparseSolution(
        pattern, found.x, kind, found.rank, residual, found.rcond, found.method, found.n_iter
    )


def _found(task, method, tol, max_iter):
    """What the method finds, and the residual."""
    task = task.prepared(method)
    found = dispatch(task, method, tol, max_iter)
    return found, task.residual_norm(found.x)


def _singular(kind, found, pattern):
    """The error that says what is not determined."""
    i, j = int(pattern.rows[found.loose]), int(pattern.columns[found.loose])
    return SingularEquationError(
        f"the equation has {_COUNTS[kind]}: S has rank {found.rank} for the {pattern.size} "
        f"entries of the pattern, and A and B do not determine X[{i}, {j}], for one. Leave it "
        "out of the pattern, or take if_singular='minimum-norm'.",
        kind, found.rank, pattern.size, (i, j),
    )  # fmt: skip


def _check_word(value, name, words):
    if value not in words:
        raise ValueError(f"{name}={value!r} is none of {', '.join(words)}.")
