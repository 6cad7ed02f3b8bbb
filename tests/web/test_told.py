"""What people are told, as text that is what it looks like."""

import pytest

from mediastore.web.told import breakable, visible


@pytest.mark.parametrize("tell", [visible, breakable])
def test_h14_what_turns_or_hides_letters_is_seen(tell: object) -> None:
    assert callable(tell)
    assert tell("a\u202eb") == 'a<span class="unseen">U+202E</span>b'
    assert tell("\u200f\x07") == '<span class="unseen">U+200F</span><span class="unseen">U+0007</span>'


def test_h14_html_is_text() -> None:
    assert visible("<b>&") == "&lt;b&gt;&amp;"
    assert breakable('"/é') == "&#34;/<wbr>é"
