"""An agreement to disk: a page with plots, a table and data."""

import base64
import csv
import io
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from groundglass.agreement.agree import Agreed, Agreement, Estimate, PairAgreement
from groundglass.agreement.tables import OURS, Ratings
from groundglass.report import NOT_A_MEDICAL_DEVICE
from groundglass.version import __version__
from groundglass.write.figures import Picture
from groundglass.write.folder import write_texts
from groundglass.write.html import page_templates
from groundglass.write.wording import printable, table_text

NAME = "agreement"

POINTS, LINES = "#173f66", "#a3271f"

ESTIMATES = ("icc", "bias", "lower_limit", "upper_limit")


def write_agreement(agreed: Agreed, folder: Path) -> list[Path]:
    """Write ``agreement.html``, ``agreement.json`` and ``agreement.csv``: all, or nothing.

    Raises:
        OutputError: If the folder cannot be written, or a file of the user is in the way.
    """
    texts = {
        f"{NAME}.html": page(agreed),
        f"{NAME}.json": agreed.agreement.model_dump_json(indent=2) + "\n",
        f"{NAME}.csv": table(agreed.agreement),
    }

    return write_texts(folder, texts)


def table(agreement: Agreement) -> str:
    """One row for each score and pair of raters."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    numbers = [f"{name}{end}" for name in ESTIMATES for end in ("", "_low", "_high")]
    rows.writerow(
        ["score", "first", "second", "cases", *numbers, "kappa", "exact_percent", "written_by"]
    )
    for score in agreement.scores:
        for pair in score.pairs:
            found: list[Estimate] = [getattr(pair, name) for name in ESTIMATES]
            cells = [x for one in found for x in (one.value, one.low, one.high)]
            names = (table_text(name) for name in (score.score, pair.first, pair.second))
            rows.writerow(
                [
                    *names,
                    score.cases,
                    *("" if x is None else f"{x:.6g}" for x in cells),
                    "" if pair.kappa is None else f"{pair.kappa:.6g}",
                    f"{pair.exact_percent:.4g}",
                    agreement.written_by,
                ]
            )
    return text.getvalue()


def page(agreed: Agreed) -> str:
    """The page as text; it refers to nothing outside itself."""
    environment = page_templates("groundglass.agreement")
    environment.filters |= {"printable": printable, "shown": shown, "plain": plain}
    plots = {
        (ratings.score, pair.second): plot(ratings, pair)
        for ratings, score in zip(agreed.ratings, agreed.agreement.scores, strict=True)
        for pair in score.pairs
        if pair.first == OURS
    }
    return environment.get_template("agreement.html.j2").render(
        version=__version__,
        warning=NOT_A_MEDICAL_DEVICE,
        agreement=agreed.agreement,
        ours=OURS,
        plots=plots,
    )


def shown(found: Estimate) -> str:
    """A value with its confidence interval."""
    text = plain(found)
    if found.low is None or found.high is None:
        return text
    ends = f"{found.low:.3g} to {found.high:.3g}".replace("-", "\N{MINUS SIGN}")
    return f"{text} ({ends})"


def plain(found: Estimate) -> str:
    """A value alone."""
    return "none" if found.value is None else f"{found.value:.3g}".replace("-", "\N{MINUS SIGN}")


def plot(ratings: Ratings, pair: PairAgreement) -> Picture:
    """Both raters' values against each other, and their differences over their means."""
    first, second = (
        ratings.values[:, ratings.raters.index(name)] for name in (pair.first, pair.second)
    )
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    scatter, bland = figure.subplots(1, 2)
    ends = [float(np.min([first, second])), float(np.max([first, second]))]
    scatter.plot(ends, ends, color="#9aa6b2", linewidth=1)
    scatter.plot(first, second, "o", color=POINTS, alpha=0.6, markersize=4)
    scatter.set_xlabel(printable(pair.first), parse_math=False)
    scatter.set_ylabel(printable(pair.second), parse_math=False)
    bland.plot((first + second) / 2, second - first, "o", color=POINTS, alpha=0.6, markersize=4)
    for name, style in (("bias", "-"), ("lower_limit", "--"), ("upper_limit", "--")):
        estimate: Estimate = getattr(pair, name)
        if estimate.value is not None:
            bland.axhline(estimate.value, color=LINES, linewidth=1.2, linestyle=style)
            bland.annotate(
                f"{name.replace('_', ' ')} {estimate.value:.3g}",
                (1.0, estimate.value),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="bottom",
                fontsize=8,
                color=LINES,
            )
    bland.set_xlabel("mean of both")
    bland.set_ylabel(f"{printable(pair.second)} minus {printable(pair.first)}", parse_math=False)
    for axes in (scatter, bland):
        axes.spines[["top", "right"]].set_visible(False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=130)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    alt = f"{ratings.score}: {pair.second} against {pair.first}, and Bland-Altman plot"
    return Picture(f"data:image/png;base64,{data}", 922, 326, alt)
