"""The one wrapper that every numba kernel of the package uses.

Kernels are plain functions of contiguous arrays: serial, releasing the GIL, compiled at
their first call and kept on disk. Where no directory is writable for that cache, numba
refuses to decorate at all; the kernel is then compiled anew in each process.
"""

import numba

__all__ = ["njit"]

_REASSOCIATE = {"reassoc", "contract", "arcp", "nsz"}


def njit(function=None, *, fastmath=False):
    """Compile a kernel with numba, cached on disk where a directory is writable.

    Division follows IEEE 754 (no ``ZeroDivisionError``): the check would keep LLVM from
    vectorising every loop that divides.

    Parameters
    ----------
    function : callable, optional
        The kernel. Without it a decorator is returned.
    fastmath : bool or set of str, default=False
        LLVM's licence to reassociate sums and to contract products; NaN and infinity
        keep their meaning. A set names single licences, such as ``{"contract"}``.

    Returns
    -------
    callable
        The compiled kernel.

    Examples
    --------
    >>> from lmmfit._jit import njit
    >>> @njit
    ... def twice(x):
    ...     return 2 * x
    >>> twice(21)
    42
    """

    def compile_kernel(kernel):
        options = {
            "nogil": True,
            "fastmath": _REASSOCIATE if fastmath is True else fastmath,
            "error_model": "numpy",
            "no_cfunc_wrapper": True,
        }
        try:
            return numba.njit(cache=True, **options)(kernel)
        except RuntimeError:  # no writable place for the cache: numba says so at decoration
            return numba.njit(**options)(kernel)

    return compile_kernel if function is None else compile_kernel(function)
