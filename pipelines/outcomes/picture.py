"""A track record as a picture: what was said against what came, with the interval of that.

matplotlib by its objects alone: pyplot keeps state between threads. Not for two threads at once.
"""

from __future__ import annotations

import io
from typing import Any, Final, Literal

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipelines.outcomes.track_record import FEWEST_MATCHES, TrackRecord, Verdict
from pipelines.records import Language

Kind = Literal["png", "svg"]
INK, FAINT, GRID, POINT = "#1f2933", "#7b8794", "#eceff1", "#116b6b"
RESOLUTION: Final = 150
TITLES: Final[dict[Language, dict[Verdict | None, str]]] = {
    "en": {
        "predictive": "The scores tell which posts do better",
        "weak": "The scores tell a little of which posts do better",
        "none": "Nothing shows yet that the scores tell posts apart",
        "inverted": "Posts with higher scores did worse",
        None: "Too little to judge the scores by",
    },
    "es": {
        "predictive": "Las notas dicen qué publicaciones van mejor",
        "weak": "Las notas dicen algo de qué publicaciones van mejor",
        "none": "Nada muestra aún que las notas distingan",
        "inverted": "A mejor nota, peor les fue",
        None: "Muy poco para juzgar las notas",
    },
}
LABELS: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "said": "chance of beating your median, as it was said",
        "backtest": "chance of beating your median, in a backtest: scored now",
        "came": "share that did",
        "told": "{n} posts   ·   rank correlation {rho:.2f} [{low:.2f}, {high:.2f}]   ·   80 % range: {held}",
        "few": "{n} of {needed} posts with a prediction and an outcome",
        "legend": "bars: 95 % intervals of that share   numbers: posts",
    },
    "es": {
        "said": "probabilidad dicha de superar tu mediana",
        "backtest": "probabilidad de superar tu mediana, calculada ahora (backtest)",
        "came": "parte que la superó",
        "told": "{n} publicaciones   ·   correlación {rho:.2f} [{low:.2f}, {high:.2f}]   ·   rango del 80 %: {held}",
        "few": "{n} de {needed} publicaciones con predicción y resultado",
        "legend": "barras: intervalos del 95 % de esa parte   números: publicaciones",
    },
}


def draw(found: TrackRecord, kind: Kind, language: Language = "en") -> bytes:
    """Return the reliability diagram of a track record; one without support is said and not drawn."""
    figure = Figure(figsize=(7.0, 6.6), dpi=RESOLUTION, facecolor="white")
    FigureCanvasAgg(figure)
    words = LABELS[language]
    axes = figure.add_axes((0.11, 0.13, 0.84, 0.69))
    # Numbers alone: no text of a user is ever drawn.
    title = TITLES[language][found.verdict]
    figure.text(0.11, 0.94, title, size=14, weight="bold", color=INK, va="center")
    figure.text(0.11, 0.885, _told(found, words), size=9, color=FAINT, va="center")
    axes.plot((0, 1), (0, 1), color=FAINT, linewidth=1, linestyle=(0, (4, 4)))
    for one in found.bins:
        axes.plot((one.predicted, one.predicted), one.interval, color=POINT, linewidth=2, alpha=0.45)
        axes.plot((one.predicted,), (one.observed,), marker="o", markersize=7, color=POINT)
        axes.text(one.predicted + 0.012, one.observed, f"{one.n}", size=8, color=FAINT, va="center")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel(words["backtest" if found.basis == "backtest" else "said"], size=10, color=INK)
    axes.set_ylabel(words["came"], size=10, color=INK)
    axes.grid(visible=True, color=GRID)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9, labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_color(GRID)
    if found.bins:
        figure.text(0.11, 0.025, words["legend"], size=8.5, color=FAINT, va="center")
    written = io.BytesIO()
    metadata: dict[str, Any] = {"Title": title} | ({"Date": None} if kind == "svg" else {})
    # Nothing that differs between two calls: no date, no random ids.
    with rc_context({"svg.hashsalt": "track-record", "svg.fonttype": "path"}):
        figure.savefig(written, format=kind, metadata=metadata)
    return written.getvalue()


def _told(found: TrackRecord, words: dict[str, str]) -> str:
    if not found.supported or found.spearman is None or found.spearman_interval is None:
        return words["few"].format(n=found.n, needed=FEWEST_MATCHES)
    low, high = found.spearman_interval
    held = "-" if found.coverage is None else f"{found.coverage:.0%}"
    return words["told"].format(n=found.n, rho=found.spearman, low=low, high=high, held=held)
