"""The named optimisers: a descent and a search each."""

from dataclasses import dataclass
from functools import cached_property

from lmmfit.optimize.damping import Damping
from lmmfit.optimize.limited_memory import LimitedMemory
from lmmfit.optimize.line_search import LineSearch
from lmmfit.optimize.normal_equations import NormalEquations
from lmmfit.optimize.run import Optimizer
from lmmfit.optimize.truncated_cg import TruncatedCG
from lmmfit.optimize.trust_region import TrustRegion

__all__ = ["LBFGS", "GaussNewton", "LevenbergMarquardt", "NewtonCG"]


@dataclass(frozen=True)
class NewtonCG(Optimizer):
    """Trust-region Newton's method by conjugate gradients (:class:`TruncatedCG` and its terms).

    Negative curvature is followed to the boundary of the trust region, so that saddle points
    are left. Far from a minimum, where no quadratic model holds for long, some iterations of
    :class:`LBFGS` come first; their pairs precondition the first step.

    Parameters
    ----------
    radius : float, default=1.0
        First radius of the trust region, in units of the parameters.
    curvature : {"hessian", "gauss-newton"}, default="hessian"
    preconditioner : {"lbfgs", None}, default="lbfgs"
    precision : {"mixed", "double"}, default="mixed"
    max_products : int, default=50
        For one step.
    warm_up : int, default=30
        Iterations of L-BFGS first.

    Examples
    --------
    >>> from lmmfit.optimize import NewtonCG
    >>> NewtonCG(precision="double").descent.precision
    'double'
    """

    radius: float = 1.0
    curvature: str = "hessian"
    preconditioner: str | None = "lbfgs"
    precision: str = "mixed"
    max_products: int = 50
    warm_up: int = 30

    def __post_init__(self):
        self.descent  # noqa: B018  (refuses what is unknown)

    def start(self, run):
        """Begin to warm up, if that is asked for."""
        run.memory.warm_until = run.n_iter + self.warm_up
        run.memory.is_warm = self.warm_up == 0
        super().start(run)
        if not run.memory.is_warm:
            LBFGS().start(run)

    def advance(self, run):
        """One iteration of the warming up, or of Newton's method."""
        m = run.memory
        if not m.is_warm and run.n_iter < m.warm_until:
            if LBFGS().advance(run) is None:
                return None
            m.warm_until = run.n_iter
        if not m.is_warm:
            m.is_warm, pairs = True, m.pairs
            super().start(run)
            m.pairs = pairs
        return super().advance(run)

    @cached_property
    def descent(self):
        """Truncated conjugate gradients."""
        return TruncatedCG(self.curvature, self.preconditioner, self.precision, self.max_products)

    @cached_property
    def search(self):
        """The trust region."""
        return TrustRegion(self.radius)


@dataclass(frozen=True)
class GaussNewton(Optimizer):
    """Hessian-free optimisation: damped Gauss-Newton steps by conjugate gradients.

    Parameters
    ----------
    damping : float, default=0.1
        First damping, relative to the curvature along the gradient.
    preconditioner : {"lbfgs", None}, default=None
    precision : {"mixed", "double"}, default="double"
    max_products : int, default=250
        For one step.

    References
    ----------
    Martens, J. (2010). Deep learning via Hessian-free optimization. ICML 27.

    Examples
    --------
    >>> from lmmfit.optimize import GaussNewton
    >>> GaussNewton().search
    Damping(initial=0.1, schedule='martens')
    """

    damping: float = 0.1
    preconditioner: str | None = None
    precision: str = "double"
    max_products: int = 250

    def __post_init__(self):
        self.descent  # noqa: B018

    @cached_property
    def descent(self):
        """Truncated conjugate gradients on the Gauss-Newton matrix."""
        return TruncatedCG("gauss-newton", self.preconditioner, self.precision, self.max_products)

    @cached_property
    def search(self):
        """Damping with backtracking."""
        return Damping(self.damping, "martens")


@dataclass(frozen=True)
class LevenbergMarquardt(Optimizer):
    """Damped Gauss-Newton steps from an explicit matrix: for up to some thousand parameters.

    The method of choice for sums of squares that go to zero, or nearly: it sees through
    ill-conditioned problems that stall conjugate gradients.

    Parameters
    ----------
    damping : float, default=1e-3
        First damping, relative to the largest element of the matrix's diagonal.
    form : {"auto", "explicit", "dual"}, default="auto"
        Whether the matrix of the parameters or that of the residuals is factored; ``auto`` takes
        the smaller one.
    acceleration : float, default=0.75
        How much steps may bend; see :class:`NormalEquations`.

    Examples
    --------
    >>> from lmmfit.optimize import LevenbergMarquardt
    >>> LevenbergMarquardt().search
    Damping(initial=0.001, schedule='nielsen')
    """

    damping: float = 1e-3
    form: str = "auto"
    acceleration: float = 0.75

    def __post_init__(self):
        self.descent  # noqa: B018

    @cached_property
    def descent(self):
        """The normal equations."""
        return NormalEquations(self.form, self.acceleration)

    @cached_property
    def search(self):
        """Nielsen's damping."""
        return Damping(self.damping, "nielsen")


@dataclass(frozen=True)
class LBFGS(Optimizer):
    """Limited-memory BFGS with a line search: from gradients alone.

    Parameters
    ----------
    memory : int, default=10
        Pairs of steps and gradient changes that are kept.

    References
    ----------
    Liu, D. C. and Nocedal, J. (1989). On the limited memory BFGS method for large scale
    optimization. Mathematical Programming 45.

    Examples
    --------
    >>> from lmmfit.optimize import LBFGS
    >>> LBFGS(memory=5).descent
    LimitedMemory(memory=5)
    """

    memory: int = 10

    @cached_property
    def descent(self):
        """The two-loop recursion."""
        return LimitedMemory(self.memory)

    @cached_property
    def search(self):
        """The strong Wolfe conditions."""
        return LineSearch()
