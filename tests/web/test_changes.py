"""What an event changed, as lines to read."""

from msgspec import Raw

from mediastore.web.changes import LONGEST, MOST_LINES, Line, lines


def told(changes: str) -> list[tuple[str, str | None, str | None]]:
    return [(line.place, line.before, line.after) for line in lines(Raw(changes.encode())).items]


def test_values_are_as_they_were_written() -> None:
    assert told('{"depth": {"before": 1.10, "after": 12345678901234567890.50}}') == [("depth", "1.10", "12345678901234567890.50")]


def test_objects_are_compared_member_by_member() -> None:
    before = '{"a": 1, "b": {"c": [1, 2], "same": 0}, "gone": null}'
    after = '{"a": 2, "b": {"c": [1], "same": 0, "new": null}}'
    assert told(f'{{"metadata": {{"before": {before}, "after": {after}}}}}') == [
        ("metadata.a", "1", "2"),
        ("metadata.b.c", "[1, 2]", "[1]"),
        ("metadata.b.new", None, "null"),
        ("metadata.gone", "null", None),
    ]


def test_what_was_not_there_is_nothing() -> None:
    assert told(
        '{"tags": {"after": ["x"]}, "expires_at": {"before": "2026", "after": null}, "same": {"before": 1, "after": 1}}'
    ) == [
        ("tags", None, '["x"]'),
        ("expires_at", '"2026"', None),
    ]
    assert told('{"metadata": {"after": {"ctd": {"depth": 5}}}}') == [("metadata.ctd.depth", None, "5")]
    assert told('{"metadata": {"after": {}}}') == [("metadata", None, "{}")]
    assert told('{"content": {"before": {"size": 1}, "after": "elsewhere"}}') == [("content", '{"size": 1}', '"elsewhere"')]
    assert told("{}") == []


def test_much_is_cut_and_said_to_be() -> None:
    many = ", ".join(f'"m{number}": {number}' for number in range(MOST_LINES + 7))
    found = lines(Raw(f'{{"metadata": {{"after": {{{many}}}}}}}'.encode()))
    assert (len(found.items), found.more) == (MOST_LINES, 7)
    (long,) = lines(Raw(f'{{"x": {{"after": "{"y" * 2000}"}}}}'.encode())).items
    assert isinstance(long, Line)
    assert long.after is not None
    assert (len(long.after), long.after[-1]) == (LONGEST + 1, "…")
