"""What the address of a study's page asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.watch.site import address
from jobs.watch.trials import COLUMNS, FILTERS, Filter

LARGEST_WINDOW, LARGEST_PAGE = 99, 10**6


@dataclass(frozen=True, slots=True)
class StudyQuery:
    """The choices of a study's page; all of them are in its address."""

    store: str
    study: str
    filter: Filter
    page: int
    """Page of the table of trials, from 0."""
    metric: str
    """Metric of the curves; empty: the first one."""
    smooth: int
    """Steps that curves are averaged over; 0: none."""
    color: str
    """Factor that colors curves and points."""
    x: str
    """Factor on the scatter plot's horizontal axis; empty: the first one."""
    protocol: str
    """Protocol of the matrix; empty: the first one."""

    def link(self, **changes: object) -> str:
        """Write the address of the same page with changes."""
        values: dict[str, Any] = {
            "store": self.store,
            "study": self.study,
            **self.filter.equal,
            "text": self.filter.text,
            "sort": self.filter.sort,
            "falling": 1 if self.filter.falling else "",
            "page": self.page or "",
            "metric": self.metric,
            "smooth": self.smooth or "",
            "color": self.color,
            "x": self.x,
            "protocol": self.protocol,
        }
        return address("/study", **(values | changes))

    def sort_link(self, column: str) -> str:
        """Write the address that sorts by a column; the second time, it falls."""
        falling = self.filter.sort == column and not self.filter.falling
        return self.link(sort=column, falling=1 if falling else "", page="")


def parse_query(asked: Mapping[str, str]) -> StudyQuery:
    """Parse the query of an address; what it cannot mean is left out.

    Raises:
        ValueError: a number is none, or a column is unknown; says which.
    """
    sort = asked.get("sort", "")
    if sort and sort not in COLUMNS:
        raise ValueError(f"sort is '{sort}': choose {', '.join(COLUMNS)}")
    return StudyQuery(
        store=asked.get("store", ""),
        study=asked.get("study", ""),
        filter=Filter(
            equal={name: asked[name] for name in FILTERS if asked.get(name)},
            text=asked.get("text", ""),
            sort=sort,
            falling=bool(asked.get("falling")),
        ),
        page=_number(asked, "page", LARGEST_PAGE),
        metric=asked.get("metric", ""),
        smooth=_number(asked, "smooth", LARGEST_WINDOW),
        color=asked.get("color") or "method",
        x=asked.get("x", ""),
        protocol=asked.get("protocol", ""),
    )


def _number(asked: Mapping[str, str], name: str, largest: int) -> int:
    text = asked.get(name) or "0"
    if not (text.isascii() and text.isdecimal()) or len(text) > 8:
        raise ValueError(f"{name} is '{text}': write a whole number from 0 to {largest}")
    return min(int(text), largest)
