"""How Sphinx makes a book of the documents: `make docs`.

The list of chapters, and their order, is docs/README.md. The book has the map of the
source and the other README files, too, so that each link between documents is one
between pages.
"""
import re
from pathlib import Path

from pygments.lexers.sql import PsqlRegexLexer

project = "omendb"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "src/README.md", "bench/README.md", "demo/README.md"]
# The anchors that GitHub gives to headings.
myst_heading_anchors = 4
html_title = project
html_copy_source = False
html_theme_options = {"description": "Vector search in PostgreSQL", "fixed_sidebar": True, "page_width": "1080px"}

CHAPTERS = "docs/README"
# Every document at the top but the first page, and the maps of folders.
ROOT = Path(__file__).parent.parent
BEYOND = ["/src/README", "/bench/README", "/demo/README"]
BEYOND += sorted("/" + page.stem for page in ROOT.glob("*.md") if page.stem != root_doc)


def toctree(pages, caption):
    return "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""])


def add_toctrees(app, page, source):
    """Gives the pages that list others the directive that makes these a part of the book."""
    if page == root_doc:
        source[0] += toctree(["/" + CHAPTERS], "Chapters")
    elif page == CHAPTERS:
        for caption, links in re.findall(r"^(To [\w ]+):\n\n((?:[- ].*\n)+)", source[0], re.M):
            source[0] += toctree(re.findall(r"\((\S+)\.md\)", links), caption)
        source[0] += toctree(BEYOND, "Beyond")


def setup(app):
    app.connect("source-read", add_toctrees)
    # What the documents call sql has commands and variables of psql's.
    app.add_lexer("sql", PsqlRegexLexer)
