"""How Sphinx builds the site from the pages of docs/, examples/ and the agent's own documentation: `make docs`.

The sources begin at the top of the repository, so that a link leads to the same page on the site and at a Git host.
Nothing is fetched, neither while it is built nor by a reader's browser.
"""

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

project = html_title = "Micro AGI"
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["docs/**", "examples/*.md", "registry_repo/docs/**"]
exclude_patterns = [".*", "build", "dist"]  # large folders that need not be looked through
html_theme = "furo"
html_extra_path = ["front"]
html_static_path = ["style"]
html_css_files = ["blocks.css"]
html_copy_source = False
myst_heading_anchors = 3

suppress_warnings = [
    "myst.header",  # a page may go from # to ###
    "misc.highlighting_failure",  # JSON with "..." in it, Lua with YAML or patterns in its long strings
]


def setup(app: Sphinx) -> None:
    """A block that is a cell of a notebook is plain text."""
    app.add_lexer("cell", TextLexer)
