"""Configuration of the documentation site; `make docs` builds it.

The source folder is the root of the repository, so that the pages link to each other as they do in a code browser.
"""

from __future__ import annotations

import sslwear

project = "sslwear"
author = "The sslwear maintainers"
copyright = "The sslwear maintainers, Apache License 2.0"  # noqa: A001 -- Sphinx reads this name
version = release = sslwear.__version__

root_doc = "docs/index"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/**.md",
    "docs/api/generated/*.rst",
    "benchmarks/RESULTS.md",
    "experiments/README.md",
    "experiments/*/REPORT.md",
    "mlruns/README.md",
]
exclude_patterns = [".*", "build", "datasets", "downloads", "sslwear", "tests", "docs/_*", "mlruns/[!R]*"]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
suppress_warnings = ["ref.python"]  # two modules may have a class of the same name
default_role = "code"  # docstrings mark names with single backticks too

html_theme = "furo"
html_title = f"sslwear {release}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_additional_pages = {"index": "start.html"}
html_show_sourcelink = False
