"""Kernels over all states of a Boltzmann machine: tables of 2^n numbers, unit 0 the top bit."""

from lmmfit._jit import njit

__all__ = ["combine_rows", "condition_rows", "fill_energies", "pair_moments", "row_means"]


@njit(fastmath=True)
def fill_energies(W, table):
    """Energies of all states by doubling.

    Parameters
    ----------
    W : ndarray of shape (n, n)
        Weights above the diagonal, those from the bias unit on it.
    table : ndarray of shape (2^n,)
        Filled: half of it differs from the other by the field of one unit, which is itself such
        a table of the units below.
    """
    n = W.shape[0]
    table[0] = 0.0
    half = 1
    for i in range(n - 1, -1, -1):
        upper = table[half : 2 * half]
        upper[0] = W[i, i]
        width = 1
        for j in range(n - 1, i, -1):
            weight = W[i, j]
            for a in range(width):
                upper[width + a] = upper[a] + weight
            width *= 2
        for a in range(half):
            upper[a] += table[a]
        half *= 2


@njit(fastmath=True)
def pair_moments(table, work, moments):
    """Sums of the table over the states in which two units are on, by folding.

    Parameters
    ----------
    table : ndarray of shape (2^n,)
        Overwritten.
    work : ndarray of shape (2^n / 2,)
        Overwritten.
    moments : ndarray of shape (n, n)
        Filled above the diagonal; on it are the sums over the states with one unit on.
    """
    n = moments.shape[0]
    half = table.shape[0] // 2
    for i in range(n):
        for a in range(half):  # the highest unit on: moments with it; then sum it out
            work[a] = table[half + a]
            table[a] += table[half + a]
        width = half
        for j in range(i + 1, n):
            width //= 2
            total = 0.0
            for a in range(width):
                total += work[width + a]
                work[a] += work[width + a]
            moments[i, j] = total
        moments[i, i] = work[0]
        half //= 2


@njit(fastmath=True)
def condition_rows(scores, shift, sums, stage):
    """Softmax of each row around an exponential that NumPy takes faster.

    Parameters
    ----------
    scores : ndarray of shape (rows, columns)
    shift, sums : ndarray of shape (rows,)
    stage : int
        0: subtract the largest element of each row, kept in ``shift``; 1: divide by the sum of
        each row, kept in ``sums``.
    """
    rows, columns = scores.shape
    for r in range(rows):
        row = scores[r]
        if stage == 0:
            largest = row[0]
            for a in range(1, columns):
                largest = max(largest, row[a])
            shift[r] = largest
            for a in range(columns):
                row[a] -= largest
        else:
            total = 0.0
            for a in range(columns):
                total += row[a]
            sums[r] = total
            scale = 1.0 / total
            for a in range(columns):
                row[a] *= scale


@njit(fastmath=True)
def row_means(weights, table, means):
    """Weighted sum of each row of the table.

    Parameters
    ----------
    weights, table : ndarray of shape (rows, columns)
    means : ndarray of shape (rows,)
        Filled.
    """
    for r in range(weights.shape[0]):
        total = 0.0
        for a in range(weights.shape[1]):
            total += weights[r, a] * table[r, a]
        means[r] = total


@njit(fastmath=True)
def combine_rows(weights, constant, slope, table):
    """Replace the table by weights x (constant + slope x table), both of them one a row.

    Parameters
    ----------
    weights, table : ndarray of shape (rows, columns)
    constant, slope : ndarray of shape (rows,)
    """
    for r in range(weights.shape[0]):
        for a in range(weights.shape[1]):
            table[r, a] = weights[r, a] * (constant[r] + slope[r] * table[r, a])
