"""Sphinx makes a web book of the notebooks' committed outputs; `make site` runs it, through build.py.

Nothing is executed, and no page loads anything from another host.
"""

import json

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

from alhelpers.learner import History

project = "Active learning on MNIST, exactly"
author = "the alhelpers developers"
copyright = f"2026, {author}"
language = "en"
extensions = ["myst_nb"]
# index.md includes the README; exercises are to be run, so the workshop's page links to the files.
exclude_patterns = ["README.md", "workshop/*/*"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3  # links like #what-exact-means
nb_execution_mode = "off"
html_math_renderer = "mathml"  # instead of MathJax

html_theme = "furo"
html_title = project
html_theme_options = {"top_of_page_buttons": []}  # they would lead to a repository's pages
html_favicon = "static/icon.svg"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_use_index = False
templates_path = ["templates"]
html_sourcelink_suffix = ""  # the notebooks beside the pages keep their name
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"


# What a notebook calls the page that a reader of the site has at hand.
TRY = "`build/try.html`", '<a href="../try.html"><code>build/try.html</code></a>'
# Needs a program or a running kernel; the picture or the text beside it is shown instead.
NOT_FOR_A_PAGE = (History.MIME, "application/vnd.jupyter.widget-view+json")


def prepare(app: Sphinx, docname: str, source: list[str]) -> None:
    """Leave in a notebook what a page can show, and put each figure's words where myst-nb looks for them."""
    if docname == "workshop/README":
        source[0] = source[0].replace("](exercises/", "](path:exercises/")  # the file instead of a page
    if app.env.doc2path(docname).suffix != ".ipynb":
        return
    notebook = json.loads(source[0])
    notebook["metadata"].pop("widgets", None)  # their state; with it would come scripts from elsewhere
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = "".join(cell["source"]).replace(*TRY)
        for output in cell.get("outputs", ()):
            for mime in NOT_FOR_A_PAGE:
                output.get("data", {}).pop(mime, None)
            if "image/png" in output.get("metadata", {}):
                cell["metadata"]["mystnb"] = {"image": output["metadata"]["image/png"]}
    source[0] = json.dumps(notebook)


def formula(translator: HTML5Translator, node: nodes.Element) -> None:
    """Write a formula as MathML, which browsers render without a script."""
    mathml = tex2mathml(node.astext(), as_block=isinstance(node, nodes.math_block))
    # Browsers put no space between log and its argument; TeX does.
    applied = "<mo>&ApplyFunction;</mo>"
    translator.body.append(mathml.replace(applied, applied + '<mspace width="0.17em"></mspace>'))
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", prepare)
    app.add_html_math_renderer("mathml", inline_renderers=(formula, None), block_renderers=(formula, None))
