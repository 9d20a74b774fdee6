"""Every example of the documentation runs and prints what the page shows."""

import doctest
import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
BUILT = {"_build", "_templates", "gallery_build", "generated"}
PAGES = sorted(
    path.relative_to(DOCS).as_posix()
    for path in DOCS.rglob("*.rst")
    if BUILT.isdisjoint(path.relative_to(DOCS).parts) and ">>> " in path.read_text("utf-8")
)
PICTURES = sorted(path.name for path in (DOCS / "gallery").glob("plot_*.py"))


@pytest.mark.parametrize("page", PAGES)
def test_page(page):
    failed, tried = doctest.testfile(
        str(DOCS / page),
        module_relative=False,
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
        encoding="utf-8",
    )
    assert tried > 0
    assert failed == 0


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive:UserWarning")
@pytest.mark.parametrize("script", PICTURES)
def test_picture(script):
    from matplotlib import pyplot as plt

    try:
        runpy.run_path(str(DOCS / "gallery" / script))
        assert plt.get_fignums()
    finally:
        plt.close("all")
