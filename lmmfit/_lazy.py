"""Packages whose modules are imported when one of their names is first used."""

from importlib import import_module

__all__ = ["lazy_names"]


def lazy_names(package, homes):
    """What a package needs to import its modules late: a fit needs few of them.

    Parameters
    ----------
    package : dict
        The package's ``globals()``.
    homes : dict of str to tuple of str
        Module -> the names that it exports.

    Returns
    -------
    names : list of str
        For ``__all__``.
    getter, lister : callable
        For ``__getattr__`` and ``__dir__``.

    Examples
    --------
    >>> from lmmfit._lazy import lazy_names
    >>> names, getter, lister = lazy_names({"__name__": "lmmfit"}, {"_jit": ("njit",)})
    >>> names, getter("njit").__name__
    (['njit'], 'njit')
    """
    home = {name: module for module, names in homes.items() for name in names}
    names = sorted(home)

    def getter(name):
        if name not in home:
            raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package['__name__']}.{home[name]}"), name)
        package[name] = value
        return value

    return names, getter, lambda: sorted({*package, *names})
