"""Gradient descent over batches, whose rate is the largest eigenvalue's."""

from dataclasses import dataclass

import numpy as np

from lmmfit.optimize.run import NO_STEP, Optimizer

__all__ = ["SGD", "EigenvalueRate", "Stream"]

_LEAST = 0.003  # share of the latest product in the running mean
_WARM_UP = 30  # products before the first step
_EVERY = 4  # steps between two products later


class EigenvalueRate:
    """Running estimate of the Hessian's largest eigenvalue from products on single batches.

    With psi the running mean of ``H psi / |psi|`` over batches, ``|psi|`` goes to the largest
    eigenvalue in size; steps of ``1 / |psi|`` are as long as it allows. Small batches differ; each
    curves more along its own gradient than all of them together: what the running mean of that
    curvature exceeds the eigenvalue by is added twice. For single rows that is half the rate
    that would fit each of them exactly.

    Parameters
    ----------
    size : int
        Parameters.
    rng : numpy.random.Generator

    Attributes
    ----------
    psi : ndarray of shape (size,)
    length : float
        Running mean of the batches' own curvatures.
    count : int
        Products so far.

    References
    ----------
    LeCun, Y., Simard, P. Y. and Pearlmutter, B. A. (1993). Automatic learning rate maximization
    by on-line estimation of the Hessian's eigenvectors. NIPS 5. Here the product is exact, and
    the share of the k-th one is 1 / k, at least 0.003 for each row of the batch.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.optimize import EigenvalueRate
    >>> rate = EigenvalueRate(2, np.random.default_rng(0))
    >>> for _ in range(50):
    ...     rate.update(lambda v: np.array([4.0, 1.0]) * v, exact=True)
    >>> round(float(rate.rate), 6)
    0.25
    """

    def __init__(self, size, rng):
        self.psi, self.count, self.length = rng.standard_normal(size), 0, 0.0

    @property
    def eigenvalue(self):
        """Estimate of the largest eigenvalue in size."""
        return float(np.sqrt(self.psi @ self.psi))

    @property
    def rate(self):
        """Learning rate: 1 over the eigenvalue, half that of the batches' own if they differ."""
        return 1.0 / max(self.eigenvalue, 2.0 * self.length - self.eigenvalue)

    def update(self, product, gradient=None, n_rows=1, *, exact=False):
        """Take in one product.

        Parameters
        ----------
        product : callable
            v -> H v for the Hessian of a batch, scaled to all of the data.
            A matrix of two columns too, if there is a gradient.
        gradient : ndarray of shape (size,), optional
            Of the batch: steps are along it, and must not be longer than its own curvature allows.
        n_rows : int, default=1
            Rows of the batch, which count as so many single products.
        exact : bool, default=False
            Whether the batch is all of the data: the product alone then counts.
        """
        self.count += 1
        share = 1.0 if exact else max(1.0 / self.count, 1.0 - (1.0 - _LEAST) ** n_rows)
        along, curvature = self.psi / self.eigenvalue, 0.0
        if gradient is None or not gradient.any():
            new = np.asarray(product(along), dtype=np.float64)
        else:
            unit = gradient / np.sqrt(gradient @ gradient)
            both = np.asarray(product(np.column_stack([along, unit])), dtype=np.float64)
            new, curvature = both[:, 0], float(unit @ both[:, 1])
        if np.isfinite(new).all() and new.any() and np.isfinite(curvature):
            self.psi = (1.0 - share) * self.psi + share * new
            self.length += share * (max(np.sqrt(new @ new), curvature) - self.length)


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent without a learning rate to choose.

    Each iteration is a pass over the data in batches, drawn anew. The rate follows the largest
    eigenvalue of the Hessian (:class:`EigenvalueRate`); it is halved when a pass does not lower
    the value.

    Parameters
    ----------
    batch_size : int, default=200
        Rows of a batch; all of them where there are not more.
    seed : int, default=0
        Of the order of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import FeedForwardNetwork
    >>> from lmmfit.optimize import SGD, minimize
    >>> objective = FeedForwardNetwork([1, 1]).objective([[1.0], [2.0], [3.0]], [3.0, 5.0, 7.0])
    >>> minimize(objective, np.zeros(2), SGD(), tol=1e-6).x.round(4)
    array([2., 1.])
    """

    batch_size: int = 200
    seed: int = 0

    def start(self, run):
        """Estimate the first rate before any step."""
        if not hasattr(run.objective, "share"):
            raise ValueError(
                "SGD needs an objective that can be cut into batches, such as "
                f"FeedForwardNetwork(...).objective(X, Y); {type(run.objective).__name__} cannot."
            )
        m = run.memory
        m.stream, m.factor = Stream(run.x, self.seed), 1.0
        m.stream.warm_up(run.objective, self.batch_size)

    def advance(self, run):
        """One pass over the data; a pass that leads uphill is forgotten."""
        m = run.memory
        m.stream.x = run.x
        m.stream.learn(run.objective, self.batch_size, m.factor, run.point)
        run.n_products = m.stream.tracker.count
        trial = run.evaluate(m.stream.x)
        if not trial.value <= run.value + run.noise:
            m.factor *= 0.5
            if m.factor < 1e-12:
                return NO_STEP
            if not np.isfinite(trial.value) or trial.value > 2.0 * run.value:
                return None
        run.move_to(trial, m.stream.x)
        return None


class Stream:
    """Parameters that learn from batches as they come, at a rate of their own finding.

    Parameters
    ----------
    x : ndarray of shape (k,)
        Start.
    seed : int
        Of the order of rows within what comes.

    Attributes
    ----------
    x : ndarray of shape (k,)
    tracker : EigenvalueRate
    factor : float
        Times the rate: halved when a step raises the loss of its own batch, which is then not
        taken, and slowly up to 1 again.
    n_passes : int
        Calls of :meth:`learn`.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import FeedForwardNetwork
    >>> from lmmfit.optimize import Stream
    >>> net, stream = FeedForwardNetwork([1, 1]), Stream(np.zeros(2), seed=0)
    >>> for _ in range(500):
    ...     value = stream.learn(net.objective([[1.0], [2.0], [3.0]], [3.0, 5.0, 7.0]))
    >>> stream.x.round(3)
    array([2., 1.])
    """

    def __init__(self, x, seed):
        self.rng = np.random.default_rng(seed)
        self.x = np.array(x, dtype=np.float64)
        self.tracker = EigenvalueRate(len(self.x), self.rng)
        self.n_passes, self.factor = 0, 1.0

    def warm_up(self, objective, batch_size=200):
        """Estimate the rate at the start, without a step.

        Parameters
        ----------
        objective : NetworkObjective
        batch_size : int, default=200
        """
        batches = self._batches(objective, batch_size)
        for k in range(_WARM_UP):
            part, scale, whole = _part(objective, batches[k % len(batches)])
            self._look(part.evaluate(self.x), scale, whole)

    def learn(self, objective, batch_size=200, factor=1.0, point=None):
        """Go once over the rows.

        Parameters
        ----------
        objective : NetworkObjective
        batch_size : int, default=200
        factor : float, default=1.0
            Times the rate.
        point : NetworkState, optional
            What is known of the objective at ``x`` already.

        Returns
        -------
        float
            Sum of the batches' losses before each was learnt.
        """
        if not self.tracker.count:
            self.warm_up(objective, batch_size)
        total = 0.0
        for k, rows in enumerate(self._batches(objective, batch_size)):
            part, scale, whole = _part(objective, rows)
            here = point if whole and point is not None else part.evaluate(self.x)
            if (k + self.n_passes) % _EVERY == 0:
                self._look(here, scale, whole)
            total += here.value
            x = self.x - self.factor * factor * self.tracker.rate * scale * here.gradient
            if part.evaluate(x).value <= here.value * (1 + 1e-12):
                self.x, self.factor = x, min(1.0, 1.1 * self.factor)
            else:  # the eigenvalue has grown faster than its estimate
                self.factor *= 0.5
        self.n_passes += 1
        return total

    def _look(self, point, scale, whole):
        self.tracker.update(
            lambda v: scale * point.hessian_vector_product(v), point.gradient,
            point.objective.n_patterns, exact=whole,
        )  # fmt: skip

    def _batches(self, objective, batch_size):
        n = objective.n_patterns
        if n <= batch_size:
            return [None]
        return np.array_split(self.rng.permutation(n), -(-n // batch_size))


def _part(objective, rows):
    """The objective on a batch, its scale, and whether it is the whole."""
    return (objective, 1.0, True) if rows is None else (*objective.share(rows), False)
