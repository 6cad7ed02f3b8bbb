"""A progress bar where somebody looks, after a while; nothing where nobody does."""

from io import StringIO

import pytest
from rich.console import Console
from rich.text import Text

import mediastore.client.bar
from mediastore.client.bar import Bar


def shown(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, after_s: float) -> str:
    monkeypatch.setattr(mediastore.client.bar, "SHOWN_AFTER_S", after_s)
    out = StringIO()
    console = Console(file=out, force_terminal=terminal, width=80, height=25)
    with Bar(console, "", total=100) as bar:
        for done in (10, 60):
            bar.show(done, f"{done * 1_000_000:,} lines, 3 failed")
    return out.getvalue()


def test_a_bar_on_a_terminal_fits_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, terminal=True, after_s=0)
    lines = [Text.from_ansi(line).plain for line in text.replace("\r", "\n").splitlines()]
    assert any("60,000,000 lines, 3 failed" in line and "60%" in line for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_no_bar_in_a_pipe_or_for_what_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, terminal=False, after_s=0) == ""
    assert shown(monkeypatch, terminal=True, after_s=60) == ""


def test_without_a_bar_a_word_is_said_once() -> None:
    out = StringIO()
    with Bar(Console(file=out, width=80), "", total=None) as bar:
        for _ in range(3):
            bar.say("waiting: connection refused")
    assert out.getvalue() == "waiting: connection refused\n"
