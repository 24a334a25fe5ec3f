"""The page in a notebook: in a frame of its own, so that neither touches styles or scripts of the other."""

from markupsafe import escape

from reportgen.core.report import Document
from reportgen.page.html import html
from reportgen.page.loader import clean


def frame(report: Document) -> str:
    """An iframe that holds the page itself.

    Without allow-same-origin it has no access to the notebook's storage, cookies or server.
    """
    page = html(report).replace("&", "&amp;").replace('"', "&quot;")
    return (
        f'<iframe srcdoc="{page}" sandbox="allow-scripts allow-downloads" width="100%" height="720" '
        f'title="{escape(clean(report.title))}" loading="lazy"></iframe>'
    )
