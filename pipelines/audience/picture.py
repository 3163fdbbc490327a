"""The heat map as a picture: weekdays by hours, in color what a post can expect, in numbers how many posts say so.

matplotlib by its objects alone: pyplot keeps state between threads. One picture at a time, its settings are shared.
"""

from __future__ import annotations

import io
from datetime import datetime
from threading import Lock
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipelines.audience.timing import CELLS, HOURS, MIN_POSTS, WEEKDAYS, BestTimes, Cell, percent
from pipelines.records import Language

Kind = Literal["png", "svg"]
INK, FAINT, GREY, FRAME = "#1f2933", "#7b8794", "#eceff1", "#12303f"
# Below, about and above the account's mean; told apart in any color vision.
COLORS = LinearSegmentedColormap.from_list("expected", ("#b5651d", "#e9c89b", "#f7f5f0", "#8cc5c0", "#116b6b"))
# Percentiles this far from the mean have the strongest color, or farther where a cell is farther.
LEAST_REACH: Final = 0.15
RESOLUTION: Final = 150
STEPS: Final = 64
_SAVING = Lock()
LABELS: Final[dict[Language, dict[str, Any]]] = {
    "en": {
        "title": "Best times to post",
        "none": "No evidence that time matters",
        "few": "Too few posts for a map of the week",
        "days": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
        "months": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
        "date": "{day} {month} {year}",
        "posts": "{posts} posts, {since} to {until}",
        "share": "time explains {share} of the differences between them (80 %: {low} to {high}; {p})",
        "needed": "{needed} posts with a known outcome are needed, {posts} are there",
        "hour": "hour of the day, {zone}",
        "color": "expected percentile among your own posts",
        "legend": "numbers: posts in that hour    gray: fewer than 2",
        "framed": "    framed: best times",
        "thousands": ",",
        "point": ".",
    },
    "es": {
        "title": "Mejores horas para publicar",
        "none": "Nada indica que la hora importe",
        "few": "Muy pocas publicaciones para un mapa de la semana",
        "days": ("lun", "mar", "mié", "jue", "vie", "sáb", "dom"),
        "months": ("ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"),
        "date": "{day} {month} {year}",
        "posts": "{posts} publicaciones, del {since} al {until}",
        "share": "la hora explica el {share} de las diferencias entre ellas (80 %: {low} a {high}; {p})",
        "needed": "hacen falta {needed} publicaciones con resultado conocido, hay {posts}",
        "hour": "hora del día, {zone}",
        "color": "percentil esperado entre tus publicaciones",
        "legend": "números: publicaciones    gris: menos de 2",
        "framed": "    con marco: mejores horas",
        "thousands": ".",
        "point": ",",
    },
}


def draw(found: BestTimes, kind: Kind, language: Language = "en") -> bytes:
    """Return the picture of a heat map; one without support is said and not drawn. The same bytes at each call."""
    words = LABELS[language]
    figure = Figure(figsize=(12.0, 5.0), dpi=RESOLUTION, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.055, 0.215, 0.925, 0.575))
    # Names of zones, dates and numbers: no text of a user is ever drawn.
    title = words["few"] if not found.supported else words["title"] if found.evidence else words["none"]
    figure.text(0.055, 0.925, title, size=17, weight="bold", color=INK, va="center")
    figure.text(0.055, 0.845, _told(found, words), size=10.5, color=FAINT, va="center")
    _grid(axes, words, found.time_zone)
    if found.supported:
        _cells(figure, axes, found, words)
    metadata: dict[str, Any] = {"Title": title}
    written = io.BytesIO()
    # Nothing that differs between two calls: no date, no random ids.
    with _SAVING, rc_context({"svg.hashsalt": "best-times", "svg.fonttype": "path"}):
        figure.savefig(written, format=kind, metadata=metadata | ({"Date": None} if kind == "svg" else {}))
    return written.getvalue()


def _told(found: BestTimes, words: dict[str, Any]) -> str:
    if not found.supported or not found.share or not found.since or not found.until or found.p_value is None:
        return str(words["needed"].format(needed=MIN_POSTS, posts=found.posts))
    zone = ZoneInfo(found.time_zone)
    posts = words["posts"].format(
        posts=f"{found.posts:,}".replace(",", words["thousands"]),
        since=_date(found.since, zone, words),
        until=_date(found.until, zone, words),
    )
    p_value = "p < 0.01" if found.p_value < 0.01 else f"p = {found.p_value:.2f}"
    share = words["share"].format(
        share=percent(found.share.value),
        low=percent(found.share.low),
        high=percent(found.share.high),
        p=p_value.replace(".", words["point"]),
    )
    return f"{posts}   ·   {share}"


def _date(moment: datetime, zone: ZoneInfo, words: dict[str, Any]) -> str:
    local = moment.astimezone(zone)
    return str(words["date"].format(day=local.day, month=words["months"][local.month - 1], year=local.year))


def _grid(axes: Any, words: dict[str, Any], zone: str) -> None:
    axes.set_xlim(0, HOURS)
    axes.set_ylim(WEEKDAYS, 0)
    axes.set_xticks(np.arange(HOURS) + 0.5, [str(hour) for hour in range(HOURS)], size=9, color=INK)
    axes.set_yticks(np.arange(WEEKDAYS) + 0.5, words["days"], size=10.5, color=INK)
    axes.set_xlabel(words["hour"].format(zone=zone), size=9.5, color=FAINT, labelpad=6)
    axes.tick_params(length=0, pad=5)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for cell in range(CELLS):
        axes.add_patch(_square(cell // HOURS, cell % HOURS, facecolor=GREY, edgecolor="white", linewidth=1.6))


def _cells(figure: Figure, axes: Any, found: BestTimes, words: dict[str, Any]) -> None:
    posts = np.array([cell.posts for cell in found.cells])
    expected = np.array([cell.expected for cell in found.cells])
    middle = float(posts @ expected / posts.sum())
    shown = np.array([not cell.greyed for cell in found.cells])
    reach = max(LEAST_REACH, float(np.abs(expected[shown] - middle).max()) if shown.any() else 0.0)
    scale = Normalize(middle - reach, middle + reach)
    for cell in found.cells:
        _cell(axes, cell, None if cell.greyed else COLORS(scale(cell.expected)))
    for cell in found.best:
        axes.add_patch(_square(cell.weekday - 1, cell.hour, fill=False, edgecolor=FRAME, linewidth=2.4, zorder=3))
    legend = words["legend"] + (words["framed"] if found.best else "")
    figure.text(0.055, 0.069, legend, size=9, color=FAINT, va="center")
    bar = figure.add_axes((0.755, 0.06, 0.215, 0.02))
    # Not Figure.colorbar: in an SVG it is an image of pixels.
    for step in range(STEPS):
        bar.add_patch(_square(0, step, facecolor=COLORS((step + 0.5) / STEPS), edgecolor="none", antialiased=False))
    bar.set_xlim(0, STEPS)
    bar.set_yticks([])
    for spine in bar.spines.values():
        spine.set_visible(False)
    ticks = (middle - reach, middle, middle + reach)
    bar.set_xticks((0, STEPS / 2, STEPS), [f"{tick * 100:.0f}" for tick in ticks], size=8.5, color=INK)
    bar.tick_params(length=0, pad=2)
    figure.text(0.748, 0.069, words["color"], size=9, color=FAINT, va="center", ha="right")


def _cell(axes: Any, cell: Cell, color: tuple[float, ...] | None) -> None:
    if color is not None:
        axes.add_patch(_square(cell.weekday - 1, cell.hour, facecolor=color, edgecolor="white", linewidth=1.6))
    if cell.posts:
        dark = color is not None and 0.2126 * color[0] + 0.7152 * color[1] + 0.0722 * color[2] < 0.5
        ink = "white" if dark else INK if color is not None else FAINT
        axes.text(cell.hour + 0.5, cell.weekday - 0.5, cell.posts, size=8, color=ink, ha="center", va="center")


def _square(row: int, column: int, **style: Any) -> Rectangle:
    return Rectangle((column, row), 1, 1, **style)
