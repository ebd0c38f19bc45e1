"""The report: a table for people, and everything measured as JSON for programs."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.performance.figures import Figure, Goal

PLAIN_UNITS = ("/s",)
PAPER_COLUMNS = 132  # of a table that is not printed on a terminal
EXPLANATION = "Medians of the rounds (least-most). A ratio is to the two limits measured around its round."


def console(*, stderr: bool) -> Console:
    """A console that is wide enough also where nobody can say how wide it is."""
    found = Console(stderr=stderr, highlight=False)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, width=PAPER_COLUMNS)


def print_report(page: Console, figures: Sequence[Figure], facts: dict[str, str]) -> None:
    """Print all figures, those beside a full queue apart, and the facts of the machine."""
    table = Table("", "measured", "bare limit", "ratio", "target", "")
    waiting = -1
    for figure in figures:
        if figure.waiting != waiting:
            waiting = figure.waiting
            table.add_section()
            table.add_row(Text(f"{waiting:,} waiting" if waiting else "empty queue", style="bold"))
        table.add_row(*cells(figure))
    page.print(table)
    page.print(EXPLANATION, soft_wrap=True)
    for name, fact in facts.items():
        page.print(f"{name:>12}  {fact}", style="dim", soft_wrap=True)


def cells(figure: Figure) -> tuple[Text, ...]:
    limit = Text()
    if figure.limit_title:
        limit = quantity(figure.limit, figure.unit).append(f"\n{figure.limit_title}", style="dim")
    ratio = quantity(figure.ratios, "") if figure.ratios else Text()
    return (
        Text(figure.title),
        quantity(figure.measured, figure.unit),
        limit,
        ratio,
        goal(figure),
        verdict(figure),
    )


def quantity(values: Sequence[float], unit: str) -> Text:
    """The median and, when there is more than one value, the spread."""
    ordered = sorted(values)
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    text = Text(with_unit(middle, unit))
    if len(ordered) > 1:
        text.append(f" ({number(ordered[0])}-{number(ordered[-1])})", style="dim")
    return text


def with_unit(value: float, unit: str) -> str:
    return f"{number(value)}{unit if unit in PLAIN_UNITS or not unit else ' ' + unit}"


def number(value: float) -> str:
    """Three digits that count; thousands separated."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.095 else f"{value:.3f}"


def goal(figure: Figure) -> Text:
    wanted: Goal = figure.goal
    parts = (
        ("ratio ≥ {}", wanted.ratio_at_least, ""),
        ("≥ {}", wanted.at_least, figure.unit),
        ("≤ {}", wanted.at_most, figure.unit),
    )
    return Text("\n".join(words.format(with_unit(bound, unit)) for words, bound, unit in parts if bound is not None))


def verdict(figure: Figure) -> Text:
    if figure.goal == Goal():
        return Text()
    if misses := figure.misses():
        return Text(f"missed: {', '.join(misses)}", style="red")
    return Text("ok", style="green")


def in_words(figure: Figure) -> str:
    """One line that is shown while the rest is still measured."""
    line = f"{figure.title}: {quantity(figure.measured, figure.unit).plain}"
    if figure.ratio is None:
        return line
    return f"{line}, {number(figure.ratio)} of {quantity(figure.limit, figure.unit).plain} {figure.limit_title}"


def as_data(figures: Sequence[Figure], facts: dict[str, str]) -> dict[str, Any]:
    """Everything measured. The unit of a figure, and of its limit, is at the end of its name."""
    return {"machine": facts, "figures": [figure_data(figure) for figure in figures]}


def figure_data(figure: Figure) -> dict[str, Any]:
    return {
        "name": figure.name,
        "waiting_jobs": figure.waiting,
        "median": figure.value,
        "rounds": figure.measured,
        "limit": figure.limit_title,
        "limit_rounds": figure.limit,
        "ratio_median": figure.ratio,
        "ratio_rounds": figure.ratios,
        "target": figure.goal,
        "missed": figure.misses(),
    }
