"""How an experiment went as pictures: its lift, the boundary of its test, the split of its units.

matplotlib by its objects alone: pyplot keeps state between threads. Not for two threads at once.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import Any, Final, Literal

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pipelines.experiments.decision import SRM_LEVEL
from pipelines.experiments.series import Point, Series, Standing
from pipelines.records import Language

Kind = Literal["png", "svg"]
Subject = Literal["lift", "boundaries", "srm"]
INK, FAINT, GRID, ALARM = "#1f2933", "#7b8794", "#eceff1", "#b42318"
# Okabe and Ito (2008), told apart in any color vision; from the eighth variant on the line tells them apart.
COLORS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#1f2933")
DASHES: Final[tuple[Any, ...]] = ("solid", (0, (5, 2)), (0, (1, 1.5)))
RESOLUTION: Final = 150
# More bands than these hide each other.
MAX_BANDS: Final = 3
LONGEST_NAME: Final = 22
# What is shown around a single point.
ALONE_DAYS: Final = 1 / 24
# The largest lift that an axis reaches.
MAX_LIFT: Final = 5.0
# A p-value below it is drawn there.
SMALLEST_P: Final = 1e-9
MISSING: Final = "\N{WHITE SQUARE}"
LABELS: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "lift": "Lift over {control}",
        "boundaries": "Is the difference to {control} large enough to call it?",
        "srm": "Are the units split as planned?",
        "blocks": "Mean rate of the posts, block by block",
        "none": "Nothing to draw yet: no events of units",
        "no_posts": "Nothing to draw yet: no posts in the slots",
        "few": "Too few units engaged for an interval or a test yet",
        "once": "one look so far",
        "units": "{units} units",
        "n_blocks": "{blocks} blocks with posts",
        "band": "bands hold at every look, at {level}",
        "bound": "a line outside of its boundary is called; the boundary holds at every look, at alpha {alpha}",
        "fixed": "a fixed test is read once, at {needed} units, at alpha {alpha}",
        "level": "below {level} the split is not what was planned, and no figure can be trusted",
        "relative": "lift, relative to {control}",
        "statistic": "statistic z",
        "exposures": "units exposed",
        "p": "p of the split",
        "rate": "engagements per impression",
        "block": "block",
        "boundary": "boundary",
        "thousands": ",",
        "point": ".",
    },
    "es": {
        "lift": "Mejora respecto a {control}",
        "boundaries": "¿Basta la diferencia con {control} para darla por buena?",
        "srm": "¿Están repartidas las unidades como se planeó?",
        "blocks": "Tasa media de las publicaciones, bloque a bloque",
        "none": "Aún no hay nada que dibujar: ningún evento",
        "no_posts": "Aún no hay nada que dibujar: ninguna publicación en sus turnos",
        "few": "Aún hay muy pocas unidades con interacción para un intervalo o una prueba",
        "once": "una sola lectura por ahora",
        "units": "{units} unidades",
        "n_blocks": "{blocks} bloques con publicaciones",
        "band": "las bandas valen en cada vistazo, al {level}",
        "bound": "una línea fuera de su límite se da por buena; el límite vale en cada vistazo, con alfa {alpha}",
        "fixed": "una prueba fija se lee una vez, con {needed} unidades, con alfa {alpha}",
        "level": "por debajo de {level} el reparto no es el planeado y no se puede confiar en ninguna cifra",
        "relative": "mejora relativa a {control}",
        "statistic": "estadístico z",
        "exposures": "unidades expuestas",
        "p": "p del reparto",
        "rate": "interacciones por impresión",
        "block": "bloque",
        "boundary": "límite",
        "thousands": ".",
        "point": ",",
    },
}
Draw = Callable[[Any, Series, dict[str, str]], str]


def draw(found: Series, subject: Subject, kind: Kind, language: Language = "en", zone: tzinfo = UTC) -> bytes:
    """Return a picture of a series; one without anything to draw says so. The same bytes at each call.

    Times are those of `zone`. The lift of a switchback is the mean rate of its blocks.

    Raises:
        ValueError: a switchback has no other picture, a bandit none of its split.
    """
    if subject == "srm" and found.allocation == "bandit":
        raise ValueError("a bandit moves units to the better variants, so they are split by no one set of weights")
    if found.design == "switchback" and subject != "lift":
        raise ValueError("a switchback splits no units and is read once, so it has neither a boundary nor a split")
    words, switchback = LABELS[language], found.design == "switchback"
    control = shown(found.control)
    figure = Figure(figsize=(9.0, 4.6), dpi=RESOLUTION, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.085, 0.125, 0.66, 0.68))
    title = words["blocks" if switchback else subject].format(control=control)
    _frame(axes)
    if not (found.points or found.blocks):
        told = words["no_posts" if switchback else "none"]
        axes.set_xticks([])
        axes.set_yticks([])
    elif switchback:
        told = _blocks(axes, found, words)
    else:
        if subject != "boundaries":
            _times(axes, found, zone)
        told = {"lift": _lift, "boundaries": _boundaries, "srm": _srm}[subject](axes, found, words)
    if axes.get_legend_handles_labels()[1]:
        # Outside of the axes: it hides no line.
        legend = axes.legend(
            loc="upper left",
            bbox_to_anchor=(1.01, 1.0),
            frameon=False,
            fontsize=8.5,
            labelcolor=INK,
            handlelength=0 if subject == "srm" else None,
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    figure.text(0.085, 0.94, title, size=14, weight="bold", color=INK, va="center", parse_math=False)
    figure.text(0.085, 0.875, told, size=9.5, color=FAINT, va="center", parse_math=False)
    if len(found.points) == 1:
        figure.text(0.085, 0.025, words["once"], size=9.5, color=FAINT, va="center", parse_math=False)
    written = io.BytesIO()
    metadata: dict[str, Any] = {"Title": title, "Description": told} if kind == "svg" else {"Title": title}
    # Nothing that differs between two calls: no date, no random ids.
    with rc_context({"svg.hashsalt": "experiment", "svg.fonttype": "path"}):
        figure.savefig(written, format=kind, metadata=metadata | ({"Date": None} if kind == "svg" else {}))
    return written.getvalue()


def shown(name: str) -> str:
    """A name that a user gave as it can be drawn: in one line, not too long, with a square for what the font lacks."""
    line = "".join(" " if unicodedata.category(letter) in {"Cc", "Zl", "Zp"} else letter for letter in name)
    short = line if len(line) <= LONGEST_NAME else line[: LONGEST_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"
    drawn = "".join(
        letter if ord(letter) in _letters() else MISSING for letter in short if unicodedata.category(letter) != "Cf"
    )
    # matplotlib leaves out of a legend what starts with an underscore.
    return f"\N{ZERO WIDTH SPACE}{drawn}" if drawn.startswith("_") else drawn


@cache
def _letters() -> frozenset[int]:
    return frozenset(get_font(fontManager.findfont("DejaVu Sans")).get_charmap())


def _frame(axes: Any) -> None:
    axes.grid(visible=True, color=GRID)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9, labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_color(GRID)


def _times(axes: Any, found: Series, zone: tzinfo) -> None:
    locator = AutoDateLocator(minticks=3, maxticks=7, tz=zone)  # type: ignore[no-untyped-call]
    formatter = ConciseDateFormatter(  # type: ignore[no-untyped-call]
        locator,
        tz=zone,
        # Numbers alone: names of months would be English ones.
        formats=["%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M", "%H:%M:%S"],
        zero_formats=["", "%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M"],
        offset_formats=["", "%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d"],
    )
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(formatter)
    first, last = _days(found.points[0].at), _days(found.points[-1].at)
    margin = 0.0 if last > first else ALONE_DAYS
    axes.set_xlim(first - margin, last + margin)


def _days(moment: datetime) -> float:
    """A moment as matplotlib counts them: in days since 1970."""
    return moment.timestamp() / 86_400


def _style(place: int) -> dict[str, Any]:
    return {"color": COLORS[place % len(COLORS)], "linestyle": DASHES[place // len(COLORS) % len(DASHES)]}


def _others(found: Series) -> list[tuple[int, str]]:
    return [(place, name) for place, name in enumerate(found.names) if name != found.control]


def _of(found: Series, name: str, figure: Callable[[Standing], Any]) -> list[tuple[Point, Any]]:
    """The points at which a variant has the figure, with it."""
    pairs = ((point, figure(point.variants[name])) for point in found.points)
    return [(point, value) for point, value in pairs if value is not None]


def _lift(axes: Any, found: Series, words: dict[str, str]) -> str:
    axes.axhline(0, color=FAINT, linewidth=1)
    axes.set_ylabel(words["relative"].format(control=shown(found.control)), size=9.5, color=INK, parse_math=False)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _percent(value, words)))
    others = _others(found)
    ends: list[float] = []
    for place, name in others:
        lifts = _of(found, name, lambda standing: standing.relative)
        if not lifts:
            continue
        marker = "o" if len(lifts) == 1 else None
        times, values = [_days(point.at) for point, _ in lifts], [value for _, value in lifts]
        axes.plot(times, values, gid=f"lift-{place}", label=shown(name), linewidth=2, marker=marker, **_style(place))
        bands = _of(found, name, lambda standing: standing.always_valid_interval)
        if bands and len(others) <= MAX_BANDS:
            lows, highs = [low for _, (low, _) in bands], [high for _, (_, high) in bands]
            where = [_days(point.at) for point, _ in bands]
            axes.fill_between(where, lows, highs, gid=f"band-{place}", color=COLORS[place % len(COLORS)], alpha=0.15)
            ends += [*lows[len(lows) // 2 :], *highs[len(highs) // 2 :]]
        ends += values[len(values) // 4 :]
    if ends:
        # The first looks know little: their intervals must not press the others flat.
        margin = max(0.02, 0.08 * (max(*ends, 0) - min(*ends, 0)))
        axes.set_ylim(min(*ends, 0) - margin, min(max(*ends, 0) + margin, MAX_LIFT))
    return _told(found, words, words["band"].format(level=_level(1 - found.alpha, words)) if ends else words["few"])


def _boundaries(axes: Any, found: Series, words: dict[str, str]) -> str:
    axes.axhline(0, color=FAINT, linewidth=1)
    axes.set_xlabel(words["exposures"], size=9.5, color=INK)
    axes.set_ylabel(words["statistic"], size=9.5, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _number(value, words)))
    named = any_drawn = False
    for place, name in _others(found):
        statistics = _of(found, name, lambda standing: standing.statistic)
        if not statistics:
            continue
        any_drawn = True
        units, values = [point.units for point, _ in statistics], [value for _, value in statistics]
        marker = "o" if len(statistics) == 1 else None
        axes.plot(
            units, values, gid=f"statistic-{place}", label=shown(name), linewidth=2, marker=marker, **_style(place)
        )
        limits = _of(found, name, lambda standing: standing.boundary)
        for sign in (1, -1) if limits else ():
            axes.plot(
                [point.units for point, _ in limits],
                [sign * value for _, value in limits],
                gid=f"boundary-{place}-{'above' if sign > 0 else 'below'}",
                label=None if named else words["boundary"],
                color=ALARM if len(found.names) == 2 else COLORS[place % len(COLORS)],
                linewidth=1.3,
                linestyle=(0, (4, 3)),
                marker="_" if len(limits) == 1 else None,
            )
            named = True
    if found.needed is not None:
        axes.axvline(found.needed, color=FAINT, linewidth=1, linestyle=(0, (2, 2)))
        rule = words["fixed"].format(needed=_number(found.needed, words), alpha=_decimal(found.alpha, words))
    else:
        rule = words["bound"].format(alpha=_decimal(found.alpha, words))
    return _told(found, words, rule if any_drawn else words["few"])


def _srm(axes: Any, found: Series, words: dict[str, str]) -> str:
    axes.set_yscale("log")
    axes.set_ylabel(words["p"], size=9.5, color=INK)
    known = [(_days(point.at), max(point.srm_p, SMALLEST_P)) for point in found.points if point.srm_p is not None]
    axes.plot(
        [at for at, _ in known],
        [p for _, p in known],
        gid="srm",
        color=COLORS[0],
        linewidth=2,
        marker="o" if len(known) == 1 else None,
    )
    axes.axhline(SRM_LEVEL, color=ALARM, linewidth=1.3, linestyle=(0, (4, 3)), gid="srm-level")
    axes.axhspan(SMALLEST_P / 10, SRM_LEVEL, color=ALARM, alpha=0.07, linewidth=0)
    axes.set_ylim(min(1e-4, *(p / 3 for _, p in known)), 1.5)
    units = found.points[-1].units
    for place, name in enumerate(found.names):
        share = found.points[-1].variants[name].impressions / units
        axes.plot([], [], color="none", label=f"{shown(name)}: {_percent(share, words)}", gid=f"share-{place}")
    return _told(found, words, words["level"].format(level=_decimal(SRM_LEVEL, words)))


def _blocks(axes: Any, found: Series, words: dict[str, str]) -> str:
    axes.set_xlabel(words["block"], size=9.5, color=INK)
    axes.set_ylabel(words["rate"], size=9.5, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _percent(value, words)))
    numbers = sorted({block.block for block in found.blocks})
    for place, name in enumerate(found.names):
        rates = [(block.block + 1, block.rate) for block in found.blocks if block.variant == name and block.rate]
        axes.plot(
            [number for number, _ in rates],
            [rate for _, rate in rates],
            gid=f"rate-{place}",
            label=shown(name),
            marker="os^Dv"[place % 5],
            linewidth=1,
            **_style(place),
        )
    axes.set_ylim(bottom=0)
    return words["n_blocks"].format(blocks=_number(len(numbers), words))


def _told(found: Series, words: dict[str, str], rule: str) -> str:
    return f"{words['units'].format(units=_number(found.points[-1].units, words))}   ·   {rule}"


def _number(value: float, words: dict[str, str]) -> str:
    return f"{value:,.0f}".replace(",", words["thousands"])


def _decimal(value: float, words: dict[str, str]) -> str:
    return f"{value:g}".replace(".", words["point"])


def _level(value: float, words: dict[str, str]) -> str:
    return f"{value * 100:g} %".replace(".", words["point"])


def _percent(value: float, words: dict[str, str]) -> str:
    return f"{value * 100:{'.0f' if abs(value) >= 1 else '.3g'}} %".replace(".", words["point"]).replace(
        "-", "\N{MINUS SIGN}"
    )
