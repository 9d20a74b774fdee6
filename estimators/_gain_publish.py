"""What a fit with a sparse gain makes known."""

import numpy as np
from scipy.sparse import csr_array

from lmmfit.estimators._gain_runs import ConstantRun, make_run
from lmmfit.gains import GainSolution
from lmmfit.riccati.checks import as_dense

__all__ = ["forget_table", "publish_gain"]

_OF_SOME = ("B_", "C_", "filter_", "gradient_norm_", "initial_state_", "loglik_")


def publish_gain(model, problem, system, found):
    """Set the attributes of a fit; those that another kind of fit has left are taken away.

    Parameters
    ----------
    model : SparseGainEstimator
    problem : GainProblem
    system : GivenSystem
    found : GainSolution or GainSequence
    """
    run = make_run(problem, found, system)
    model._problem, model._run = problem, run
    for name in _OF_SOME:
        model.__dict__.pop(name, None)
    pattern = problem.pattern if problem.kind == "filter" else problem.pattern.T
    model.gain_ = _as_csr(pattern, found.K) if model.sparse_output else found.K
    model.pattern_ = csr_array(pattern.mask) if model.sparse_output else pattern.mask
    model.covariance_, model.trace_ = run.covariance, found.trace
    model.spectral_radius_, model.n_iter_ = found.spectral_radius, found.n_iter
    model.converged_ = found.converged and (system.em is None or system.em.converged)
    model.trace_history_, model.solution_, model.em_ = found.trace_history, found, system.em
    model.A_, model.Q_, model.R_ = as_dense(system.A), problem.Q, problem.R
    model.B_ = np.zeros((len(problem.Q), 0)) if system.B is None else as_dense(system.B)
    if problem.kind == "filter":
        model.C_, model.initial_state_ = as_dense(system.C), system.mean
    if isinstance(found, GainSolution):
        model.gradient_norm_ = found.gradient_norm
    if isinstance(run, ConstantRun):
        model.filter_ = run.filter


def forget_table(model):
    """The columns of a fit without a table: as many as the matrices tell, without names.

    Parameters
    ----------
    model : SparseGainEstimator
    """
    model.__dict__.pop("feature_names_in_", None)
    model.n_features_in_ = len(model.R_ if model._problem.kind == "filter" else model.Q_)


def _as_csr(pattern, K):
    """A gain, or a list of those of a sequence."""
    if K.ndim == 3:
        return [pattern.sparse(pattern.gather(gain)) for gain in K]
    return pattern.sparse(pattern.gather(K))
