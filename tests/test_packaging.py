"""What is shipped, how it is named, and how it imports where little is allowed."""

import ast
import importlib.metadata
import os
import re
import stat
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

import lmmfit
import lmmfit.datasets
import lmmfit.estimators

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
MAPPED = {"lmmfit.estimators": "estimators", "lmmfit.datasets": "datasets"}
SHIPPED = ("lmmfit", "estimators", "datasets")


def run(code, env=None, prefix=(), **keywords):
    """Run a script in a new process away from the repository; return what it printed."""
    process = subprocess.run(
        [*prefix, sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, **(env or {})}, cwd="/", **keywords,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


# ------------------------------------------------------------------------------ one import root


def test_estimators_live_under_the_one_root():
    assert lmmfit.LinearMixedModel.__module__ == "lmmfit.estimators._mixed"
    assert lmmfit.lmm.__module__ == "lmmfit.estimators._formula"
    assert lmmfit.datasets.load_sleepstudy.__module__ == "lmmfit.datasets._loaders"


def test_the_mapped_folders_are_no_modules_of_their_own():
    printed = run("""
        import sys, lmmfit, lmmfit.estimators, lmmfit.datasets
        print(sorted({"estimators", "datasets"} & set(sys.modules)))
    """)
    assert printed == "[]"
    assert "estimators" not in sys.modules


def test_every_package_is_listed():
    found = set()
    for top in SHIPPED:
        for init in (ROOT / top).rglob("__init__.py"):
            parts = init.parent.relative_to(ROOT).parts
            found.add(".".join(parts if top == "lmmfit" else ("lmmfit", *parts)))
    assert found == set(SETUPTOOLS["packages"])
    assert SETUPTOOLS["package-dir"] == {"lmmfit": "lmmfit", **MAPPED}
    assert list(SETUPTOOLS["packages"]) == sorted(SETUPTOOLS["packages"])


def test_every_folder_of_modules_is_a_package():
    for top in SHIPPED:
        for module in (ROOT / top).rglob("*.py"):
            assert (module.parent / "__init__.py").exists(), module


def test_tests_are_no_packages():
    assert not list((ROOT / "tests").rglob("__init__.py"))


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.level


def sources(*tops):
    for top in tops:
        yield from sorted((ROOT / top).rglob("*.py"))


def test_no_file_imports_the_folders_by_their_bare_names():
    for path in sources(*SHIPPED, "tests"):
        for name, level in imports(path):
            assert level == 0, f"{path}: imports between folders are absolute"
            assert name.split(".")[0] not in ("estimators", "datasets"), path


# Arrows run one way: the rooms that a room may import, besides itself.
BELOW = {
    "linalg": set(),
    "optimize": {"linalg"},
    "mixed": {"linalg", "optimize"},
    "curvature": {"linalg", "optimize"},
    "riccati": {"linalg", "optimize"},
    "gains": {"linalg", "optimize", "riccati"},
}
ROOMS = {*BELOW, "estimators", "datasets"}


@pytest.mark.parametrize("room", BELOW)
def test_arrows_run_one_way(room):
    for path in sources(f"lmmfit/{room}"):
        for name, _ in imports(path):
            parts = name.split(".")
            if parts[0] == "lmmfit" and len(parts) > 1 and parts[1] in ROOMS - {room}:
                assert parts[1] in BELOW[room], f"{path} imports {name}"


@pytest.mark.parametrize("room", BELOW)
def test_only_estimators_know_scikit_learn(room):
    for path in sources(f"lmmfit/{room}"):
        assert not [name for name, _ in imports(path) if name.split(".")[0] == "sklearn"], path


# ------------------------------------------------------------------------------------- shipping


def test_version():
    assert lmmfit.__version__ == importlib.metadata.version("lmmfit")
    assert re.fullmatch(r"\d+\.\d+\.\d+([.a-z]+\d*)?", lmmfit.__version__)
    assert "version" in PROJECT["project"]["dynamic"]
    assert SETUPTOOLS["dynamic"]["version"]["attr"] == "lmmfit._version.__version__"


def test_package_data_are_there():
    where = {"lmmfit": "lmmfit", **MAPPED}
    for package, patterns in SETUPTOOLS["package-data"].items():
        for pattern in patterns:
            assert list((ROOT / where[package]).glob(pattern)), f"{package}: {pattern}"


def test_no_data_file_is_left_out_of_the_wheel():
    where = {"lmmfit": "lmmfit", **MAPPED}
    shipped = {
        path
        for package, patterns in SETUPTOOLS["package-data"].items()
        for pattern in patterns
        for path in (ROOT / where[package]).glob(pattern)
    }
    for top in SHIPPED:
        for path in (ROOT / top).rglob("*"):
            ignored = path.is_dir() or path.suffix in (".py", ".pyc", ".nbi", ".nbc")
            assert ignored or path in shipped, f"{path} is in no pattern of package-data"


def test_typed():
    assert (ROOT / "lmmfit" / "py.typed").exists()
    assert "py.typed" in SETUPTOOLS["package-data"]["lmmfit"]
    assert "Typing :: Typed" in PROJECT["project"]["classifiers"]


def test_extras():
    extras = PROJECT["project"]["optional-dependencies"]
    assert {"formula", "plot", "parquet", "dask", "test", "docs", "bench"} <= set(extras)
    assert set(extras) <= set(importlib.metadata.metadata("lmmfit").get_all("Provides-Extra"))
    needed = " ".join(PROJECT["project"]["dependencies"])
    for name in ("numpy", "scipy", "scikit-learn", "numba", "narwhals"):
        assert name in needed
    for name in ("pandas", "statsmodels", "matplotlib", "formulaic", "pyarrow", "polars"):
        assert name not in needed


def test_files_that_a_repository_has():
    for name in ("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", ".ci/run"):
        assert (ROOT / name).read_text(encoding="utf-8").strip(), name
    assert os.stat(ROOT / ".ci" / "run").st_mode & stat.S_IXUSR
    assert "Redistribution" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["project"]["license"] == "BSD-3-Clause"
    assert PROJECT["project"]["readme"] == "README.md"


def test_command_of_the_wheel_exists():
    module, function = PROJECT["project"]["scripts"]["lmmfit"].split(":")
    assert callable(getattr(__import__(module, fromlist=[function]), function))


# ------------------------------------------------------------------------------------ importing


def test_import_needs_nothing_optional():
    """Neither imported where installed, nor needed where not."""
    heavy = "statsmodels matplotlib dask distributed formulaic pandas polars pyarrow".split()
    printed = run(f"""
        import sys
        for name in {heavy}:
            sys.modules[name] = None
        import numpy as np
        from lmmfit import LinearMixedModel, lmm
        from lmmfit.datasets import load_sleepstudy, make_longitudinal
        X, y = load_sleepstudy(return_X_y=True)
        model = LinearMixedModel("(x0 | x1)").fit(X, y)
        model.predict(X, return_std=True), model.summary(), model.conf_int()
        print(f"{{model.deviance_:.4f}}")
        try:
            model.fixed_effects_.to_frame()
        except ImportError as error:
            assert "pandas" in str(error)
        else:
            raise AssertionError("to_frame without pandas")
    """)
    assert printed == "1743.6283"


def test_import_loads_nothing_heavy():
    printed = run("""
        import sys
        import sklearn.base, sklearn.utils.validation, numba, scipy.linalg, scipy.special
        before = set(sys.modules)
        import lmmfit
        new = {name.split(".")[0] for name in set(sys.modules) - before}
        heavy = {"statsmodels", "matplotlib", "dask", "distributed", "formulaic", "patsy",
                 "pandas", "polars", "pyarrow", "hypothesis", "pytest"}
        print(sorted(new & heavy))
    """)
    assert printed == "[]"


def test_import_is_silent():
    assert run("import lmmfit") == ""


KERNEL = """
    import os, sys
    {before}
    import numpy as np
    import lmmfit
    from lmmfit.mixed import LmmObservation, log_likelihood
    X = np.column_stack([np.ones(6), np.arange(6.0)])
    value = log_likelihood(LmmObservation(np.zeros(6), X, X[:, :1]), np.zeros(2), np.eye(1), 1.0)
    assert abs(value + 3 * np.log(2 * np.pi) + 0.5 * np.log(7)) < 1e-12, value
    {after}
    print("ran")
"""


def kernel(before="", after=""):
    return textwrap.dedent(KERNEL).format(before=before, after=after)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="rights of POSIX")
@pytest.mark.parametrize("cache", ["a folder that cannot be made", "nothing"])
def test_kernels_where_nothing_is_writable(cache, tmp_path):
    """Numba then finds no place for its cache, and kernels compile in memory."""
    sealed = tmp_path / "sealed"
    sealed.mkdir()
    sealed.chmod(0o555)
    unset = ("HOME", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
    env = {name: value for name, value in os.environ.items() if name not in unset}
    if cache != "nothing":
        env["NUMBA_CACHE_DIR"] = str(sealed / "cache")
    before = "import numba, sklearn.base"
    if os.getuid() == 0:  # may write everywhere: become nobody, once the libraries are read
        before += f"; os.setuid(65534); assert not os.access({str(sealed)!r}, os.W_OK)"
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", kernel(before)],
        capture_output=True, text=True, timeout=300, check=False, env=env, cwd="/",
    )  # fmt: skip
    assert process.stdout.strip() == "ran", process.stderr
    assert list(sealed.iterdir()) == []


def test_kernels_that_numba_refuses_to_cache():
    """The same without regard to who runs the tests."""
    before = """
import numba
true_njit, refused = numba.njit, []

def njit(*args, cache=False, **options):
    def refuse(function):
        refused.append(function)
        raise RuntimeError("cannot cache function: no locator available")
    return refuse if cache else true_njit(*args, **options)

numba.njit = njit
"""
    assert run(kernel(before, "assert len(refused) > 3")) == "ran"


def test_the_next_process_compiles_nothing(tmp_path):
    after = """
import lmmfit.mixed
modules = [module for name, module in sys.modules.items() if name.startswith("lmmfit.")]
kernels = {id(f): f for module in modules for f in vars(module).values() if hasattr(f, "stats")}
used = [kernel.stats for kernel in kernels.values() if kernel.signatures]
print(sum(len(s.cache_hits) for s in used), sum(len(s.cache_misses) for s in used))
"""
    code, env = kernel(after=after), {"NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = (run(code, env).splitlines()[0].split() for _ in range(2))
    assert first[0] == "0"
    assert first[1] != "0"
    assert second[0] != "0"
    assert second[1] == "0"
