"""One node of a network: all that it keeps of the system, and what it hears from others."""

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array

__all__ = ["Node"]


@dataclass(frozen=True, eq=False)
class Node:
    """What a node of a distributed filter keeps.

    In each row the node predicts its outputs from ``predictions``, updates its states with
    ``innovations``, and predicts its next states from ``estimates``. Of each it has its own
    elements and those that it receives. With a series ``y`` of its own outputs and v the elements
    it holds::

        errors = y[outputs] - C v_predictions          (sent to whom K needs them)
        estimate = prediction + K v_innovations        (sent to whom A needs it)
        prediction = A v_estimates + B u               (sent to whom C needs it)

    Attributes
    ----------
    label : hashable
    states : intp array
        The states of the system that are its own.
    outputs : intp array
    A, C, K : csr_array
        Its rows; the columns are those of ``holds["estimates"]``, ``holds["predictions"]`` and
        ``holds["innovations"]``.
    B : csr_array
        Its rows, of all inputs.
    holds : dict of str to intp array
        States, states, and outputs of the system that the node knows: its own first.
    receives : dict of str to dict
        Of those three, from which node it receives which: label -> intp array.

    Examples
    --------
    >>> from lmmfit.gains import plan_network
    >>> node = plan_network([[0.5, 0.2], [0.0, 0.5]], [[1, 0], [0, 1]], [[1, 0], [0, 1]]).node(0)
    >>> node.receives
    {'estimates': {1: array([1])}, 'predictions': {}, 'innovations': {}}
    >>> node.A.toarray()
    array([[0.5, 0.2]])
    """

    label: object
    states: np.ndarray
    outputs: np.ndarray
    A: csr_array = field(repr=False)
    B: csr_array = field(repr=False)
    C: csr_array = field(repr=False)
    K: csr_array = field(repr=False)
    holds: dict = field(repr=False)
    receives: dict = field(repr=False)
