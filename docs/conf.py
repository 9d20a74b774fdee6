"""Configuration of the documentation: ``python -m sphinx -W -b html docs docs/_build/html``."""

import os
import sys
import warnings
from pathlib import Path

import matplotlib

import lmmfit

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _benchmark_tables import insert_results  # noqa: E402

matplotlib.use("Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")

project = "lmmfit"
author = "The lmmfit developers"
copyright = author
version = release = lmmfit.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery/GALLERY_HEADER.rst"]
templates_path = ["_templates"]
default_role = "literal"
highlight_language = "python"
nitpicky = False

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False  # the templates list them
numpydoc_validation_checks = set()

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "gallery_build",
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "capture_repr": ("_repr_html_",),
    "abort_on_example_error": True,
    "min_reported_time": 1e9,
    "remove_config_comments": True,
}

html_theme = "pydata_sphinx_theme"
html_title = f"lmmfit {version}"
html_static_path = ["_static"]
html_css_files = ["lmmfit.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "header_links_before_dropdown": 8,
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": [],
    "primary_sidebar_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
    "collapse_navigation": False,
}
_SIDEBAR = ["search-field", "sidebar-nav-bs"]
html_sidebars = {"index": [], "benchmarks": [], "[!i]*/**": _SIDEBAR}

# What scikit-learn adds to every estimator is described there.
_ROUTING = (
    "set_fit_request",
    "set_partial_fit_request",
    "set_predict_request",
    "set_score_request",
    "set_transform_request",
)


def _leave_routing_out(app, what, name, thing, skip, options):
    return True if name.split(".")[-1] in (*_ROUTING, "get_metadata_routing") else skip


def setup(app):
    """Connect what sphinx does not do by itself."""
    app.connect("autodoc-skip-member", _leave_routing_out)
    app.connect("source-read", insert_results)
