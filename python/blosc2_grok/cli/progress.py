# How far a long job is: a bar on a terminal, a line now and then elsewhere.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_LINE_SECONDS = 10.0


def human(nbytes: float) -> str:
    """4096000 as "4.1 MB"."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if nbytes < 999.5 or unit == "TB":
            return f"{nbytes:.0f} {unit}" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1000
    raise AssertionError


def clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Progress:
    """Counts raw and coded bytes; ``with Progress("compressing", total) as p: p(raw, coded)``."""

    def __init__(self, label: str, total: int, *, quiet: bool = False, stream: Any = None) -> None:
        self.label, self.total, self.quiet = label, total, quiet
        self.raw = self.coded = 0
        self._stream = stream or sys.stderr
        self._start = self._last = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        if not self.quiet and self._stream.isatty():
            self._bar = self._make_bar()
            if self._bar:
                self._bar.start()
        return self

    def _make_bar(self) -> Any:
        try:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as RichProgress
        except ImportError:
            return None
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[figures]}"),
        )
        bar = RichProgress(*columns, console=Console(file=self._stream))
        self._task = bar.add_task(self.label, total=self.total, figures="")
        return bar

    def figures(self) -> str:
        """Rate, ratio and time left."""
        elapsed = max(time.monotonic() - self._start, 1e-9)
        parts = [f"{human(self.raw / elapsed)}/s"]
        if self.coded:
            parts.append(f"ratio {self.raw / self.coded:.2f}")
        if 0 < self.raw < self.total:
            parts.append(f"{clock(elapsed * (self.total - self.raw) / self.raw)} left")
        return ", ".join(parts)

    def __call__(self, raw: int, coded: int) -> None:
        self.raw += raw
        self.coded += coded
        if self.quiet:
            return
        if self._bar:
            self._bar.update(self._task, completed=self.raw, figures=self.figures())
        elif time.monotonic() - self._last >= _LINE_SECONDS:
            self._last = time.monotonic()
            share = 100 * self.raw / max(self.total, 1)
            print(f"{self.label}: {share:.0f}% of {human(self.total)}, {self.figures()}", file=self._stream, flush=True)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
