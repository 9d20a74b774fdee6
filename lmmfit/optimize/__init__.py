"""Second-order optimisers."""

from lmmfit.optimize.trust_region import NewtonResult, minimize_newton, promised_decrease

__all__ = ["NewtonResult", "minimize_newton", "promised_decrease"]
