import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.disposition import attachment


@pytest.mark.parametrize(
    ("filename", "header"),
    [
        ("a.csv", 'attachment; filename="a.csv"'),
        ("a b;c.csv", 'attachment; filename="a b;c.csv"'),
        ("é.csv", "attachment; filename=\"e.csv\"; filename*=UTF-8''%C3%A9.csv"),
        ("日本.csv", "attachment; filename=\"csv\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.csv"),
        ('a"\r\nSet-Cookie: x=1.html', 'attachment; filename="a\'Set-Cookie: x=1.html"'),
        ("photo\u202egnp.exe", 'attachment; filename="photognp.exe"'),
        ("../../etc/passwd", 'attachment; filename="passwd"'),
        ("C:\\x\\y.txt", 'attachment; filename="y.txt"'),
        ("100%41.txt", "attachment; filename=\"100_41.txt\"; filename*=UTF-8''100%2541.txt"),
        ("", 'attachment; filename="download"'),
        ("\x00\u2028", 'attachment; filename="download"'),
    ],
)
def test_h14_names_are_made_harmless(filename: str, header: str) -> None:
    assert attachment(filename) == header


@given(st.text(max_size=100))
def test_h14_no_name_breaks_out_of_the_header(filename: str) -> None:
    assert re.fullmatch(
        r"""attachment; filename="[ !#-\[\]-~]+"(; filename\*=UTF-8''[A-Za-z0-9!#$&+.^_`|~%-]+)?""", attachment(filename)
    )
