"""Documentation of everything public: examples that run, sections that match the signature."""

import dataclasses
import doctest
import importlib
import inspect
import pkgutil
import re
import sys

import pytest

import lmmfit
import lmmfit.datasets
import lmmfit.estimators

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PACKAGES = (lmmfit, lmmfit.estimators, lmmfit.datasets)


def module_names():
    names = {package.__name__ for package in PACKAGES}
    for package in PACKAGES:
        walked = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        names.update(module.name for module in walked)
    return sorted(names)


MODULES = module_names()
for module_name in MODULES:
    importlib.import_module(module_name)


def public_objects(modules):
    """Functions and classes named in an ``__all__``, under the name that defines each."""
    found = {}
    for name in modules:
        module = importlib.import_module(name)
        for public in getattr(module, "__all__", ()):
            thing = getattr(module, public)
            if inspect.isfunction(thing) or inspect.isclass(thing):
                found[f"{thing.__module__}.{thing.__qualname__}"] = thing
    return found


EXPORTED = public_objects(name for name in MODULES if hasattr(sys.modules[name], "__path__"))
SHARED = public_objects(MODULES)  # between modules of the package

# Records that a function returns and nobody builds by hand: its example shows them.
NO_EXAMPLE = {
    "lmmfit.curvature.lanczos.GaussRules",
    "lmmfit.curvature.masked.MaskedState",
    "lmmfit.curvature.moments.PowerMoments",
    "lmmfit.curvature.pruning.PruningStage",
    "lmmfit.mixed.block_likelihood.BlockCriterion",
    "lmmfit.mixed.boundary.NullDirection",
    "lmmfit.mixed.crossed.CrossedStatistics",
    "lmmfit.mixed.design.Design",
    "lmmfit.mixed.factors.GroupLevels",
    "lmmfit.mixed.layout.Basis",
    "lmmfit.mixed.layout.Layout",
    "lmmfit.mixed.likelihood.Evaluation",
    "lmmfit.mixed.many.ManyFits",
    "lmmfit.mixed.modes.GroupModes",
    "lmmfit.mixed.modes.RandomEffects",
    "lmmfit.mixed.newton.Optimum",
    "lmmfit.mixed.profiles.Profile",
    "lmmfit.mixed.profiles.ProfileCurve",
    "lmmfit.mixed.resampling.Bootstrap",
    "lmmfit.mixed.reference_distributions.FTest",
    "lmmfit.mixed.reference_distributions.SmallSample",
    "lmmfit.mixed.residual.ResidualStructure",
    "lmmfit.mixed.solution.MixedFit",
    "lmmfit.mixed.solution.ZeroVariance",
    "lmmfit.mixed.summary.Summary",
    "lmmfit.optimize.dense_newton.NewtonResult",
    "lmmfit.optimize.run.OptimizeResult",
    "lmmfit.optimize.run.Run",
}


def sections(text):
    """Titles of a numpydoc docstring, and the text below each."""
    parts = re.split(
        r"^[ ]*([A-Z][A-Za-z ]+)\n[ ]*-{3,}[ ]*\n", inspect.cleandoc(text), flags=re.M
    )
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(section):
    """Names described in a section: ``a, b : type`` at its left edge."""
    lines = re.findall(r"^(\S[^:\n]*?)(?: :|$)", section, flags=re.M)
    return {name.strip().lstrip("*") for line in lines for name in line.split(",")}


def parameters(thing):
    signature = inspect.signature(thing)
    return {name for name in signature.parameters if name not in ("self", "cls")}


def methods(cls):
    """Public methods and class methods that the class itself defines."""
    for name, value in vars(cls).items():
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if not name.startswith("_") and inspect.isfunction(function):
            yield name, inspect.unwrap(function)


METHODS = {
    f"{name}.{method}": function
    for name, thing in EXPORTED.items()
    if inspect.isclass(thing)
    for method, function in methods(thing)
}


def test_there_is_something_to_check():
    assert {"lmmfit.estimators._mixed", "lmmfit.datasets._loaders", "lmmfit.mixed.terms"} <= set(
        MODULES
    )
    assert len(EXPORTED) > 30
    assert "lmmfit.estimators._mixed.LinearMixedModel" in EXPORTED
    assert set(EXPORTED) >= NO_EXAMPLE


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    failed, _ = doctest.testmod(sys.modules[name], optionflags=FLAGS)
    assert failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_modules(name):
    module = sys.modules[name]
    assert module.__doc__
    assert module.__doc__.strip().splitlines()[0].endswith((".", ":"))
    exported = getattr(module, "__all__", ())
    assert all(isinstance(public, str) for public in exported)
    assert len(set(exported)) == len(exported)
    for public in exported:
        assert hasattr(module, public), f"{name}.__all__ names {public}, which is not there"


@pytest.mark.parametrize("package", ["lmmfit", "lmmfit.mixed", "lmmfit.datasets"])
def test_star_imports(package):
    namespace = {}
    exec(f"from {package} import *", namespace)
    assert set(sys.modules[package].__all__) <= set(namespace)


@pytest.mark.parametrize("name", EXPORTED)
def test_exported_names_have_an_example(name):
    found = sections(inspect.getdoc(EXPORTED[name]))
    if name in NO_EXAMPLE:
        assert "Examples" not in found, "no longer an exception"
    else:
        assert ">>>" in found.get("Examples", "")


@pytest.mark.parametrize("name", {**SHARED, **METHODS})
def test_docstrings_begin_with_a_sentence(name):
    text = inspect.getdoc({**SHARED, **METHODS}[name])
    assert text
    assert text.split("\n\n")[0].endswith((".", ":"))


@pytest.mark.parametrize("name", {**SHARED, **METHODS})
def test_parameters_are_those_of_the_signature(name):
    thing = {**SHARED, **METHODS}[name]
    found = sections(inspect.getdoc(thing))
    exported_function = name in EXPORTED and not inspect.isclass(thing)
    if exported_function and parameters(thing):
        assert "Parameters" in found
    if "Parameters" in found:
        assert entries(found["Parameters"]) == parameters(thing)
    elif inspect.isclass(thing) and dataclasses.is_dataclass(thing):
        fields = {field.name for field in dataclasses.fields(thing) if field.name[0] != "_"}
        assert fields <= entries(found.get("Attributes", "")) or name not in EXPORTED


@pytest.mark.parametrize("name", EXPORTED)
def test_what_is_returned_is_described(name):
    thing = EXPORTED[name]
    if inspect.isfunction(thing) and re.search(r"^    return \S", inspect.getsource(thing), re.M):
        assert "Returns" in sections(inspect.getdoc(thing))


@pytest.mark.parametrize("name", EXPORTED)
def test_what_is_raised_is_described(name):
    thing = EXPORTED[name]
    if inspect.isfunction(thing):
        raised = re.findall(r"^    +raise (\w+)\(", inspect.getsource(thing), re.M)
        described = sections(inspect.getdoc(thing)).get("Raises", "")
        assert [error for error in raised if error not in described] == []
