"""The site of the documentation, made by Sphinx of pages that read as well in the repository.

    pip install -e '.[docs]' && sphinx-build -W -c docs . build/site

Pages are Markdown files of the whole repository, so that a link between two of them is the same in both places. A link
to nothing, or to a heading that is not there, is an error.
"""

from importlib.metadata import version as installed

from pygments.lexers import PythonLexer
from sphinx.application import Sphinx

from hdas_dsl.highlight import HspLexer

CONTENTS = {
    "The language": ["docs/language", "docs/spaces", "docs/exploring", "docs/costs", "docs/genotypes", "docs/plugins"],
    "Searching": [
        "docs/hdas",
        "docs/searchers",
        "docs/tasks",
        "docs/python",
        "docs/relaxations",
        "docs/studies",
        "docs/reports",
        "docs/scale",
        "docs/editors",
        "compiler/searcher/data/README",
    ],
    "What is known": [
        "docs/finds",
        "docs/finds_explorers",
        "docs/finds_methods",
        "docs/finds_hdas",
        "docs/truth",
        "docs/performance",
        "docs/promises",
    ],
    "Reference": ["docs/api", "docs/json", "CHANGELOG"],
    "The house": ["docs/architecture", "docs/laws", "CONTRIBUTING", "bench/README", "tests/promises/README"],
    "Folders": ["hdas_dsl/**README", "compiler/**/README"],
}
"""The pages by the heading that they stand under; README, which is the first page, ends with them."""

project = "hdas-dsl"
version = release = installed("hdas-dsl")
html_title = f"hdas-dsl {release}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
root_doc = "README"
include_patterns = [f"{page}.md" for pages in (["README"], *CONTENTS.values()) for page in pages]

html_theme = "furo"
html_copy_source = False
html_show_copyright = False
html_static_path = ["site.css"]
html_css_files = ["site.css"]
# A block that names no language is not Python.
highlight_language = "none"
pygments_style, pygments_dark_style = "friendly", "native"

# As GitHub names headings, so that `page.md#heading` is the same link in both places.
myst_heading_anchors = 4
autodoc_member_order = "bysource"
add_module_names = False
default_role = "code"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
show_warning_types = True


def with_contents(_: Sphinx, page: str, source: list[str]) -> None:
    """Let the first page say what there is: the sidebar is made of it."""
    if page == root_doc:
        for heading, pages in CONTENTS.items():
            entries = "\n".join(f"/{entry}" for entry in pages)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:glob:\n:caption: {heading}\n\n{entries}\n```\n"


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", with_contents)
    app.add_lexer("genotype", PythonLexer)
    app.add_lexer("hsp", HspLexer)
