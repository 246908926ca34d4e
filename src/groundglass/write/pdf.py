"""The report page as PDF, for printing and for archives."""

import logging
from pathlib import Path

from groundglass.errors import MissingExtraError
from groundglass.report import Report
from groundglass.write.folder import MARK
from groundglass.write.html import page

FILE = "report.pdf"

_VERSION = f"1.7\n%{MARK.decode()}"
"""Version of the format, and in a comment below it our mark where ``folder`` looks for it."""


def write(report: Report, folder: Path) -> list[Path]:
    """Write ``report.pdf`` into an existing folder.

    Raises:
        MissingExtraError: If WeasyPrint is not installed.
    """
    file = folder / FILE
    file.write_bytes(pdf(report))
    return [file]


def pdf(report: Report) -> bytes:
    """The page of the report as PDF; nothing is fetched from anywhere."""
    try:
        import weasyprint
    except (ImportError, OSError) as error:  # OSError: the package is there, Pango is not
        raise MissingExtraError(
            f"found no WeasyPrint that works ({error}), expected it for PDF; "
            "pip install 'groundglass[pdf]' (and Pango from the system), or choose html"
        ) from error
    for name in ("weasyprint", "fontTools"):
        logging.getLogger(name).setLevel(logging.ERROR)
    fetcher = weasyprint.URLFetcher(allowed_protocols=("data",))
    document = weasyprint.HTML(string=page(report), url_fetcher=fetcher)
    made: bytes = document.write_pdf(pdf_version=_VERSION)
    return made
