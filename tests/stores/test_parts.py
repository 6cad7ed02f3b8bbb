import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.errors import ObjectTooLarge, PartsInvalid
from stores.parts import MAX_OBJECT, MAX_PART, MAX_PARTS, MAX_SINGLE, MIB, MIN_PART, Parts, plan_parts
from stores.s3_parts import PartBuffer

GIB = 1024 * MIB
EDGES = [0, 1, MIN_PART - 1, MIN_PART, MIN_PART + 1, MAX_SINGLE + 1, 16_000 * MIB, 16_000 * MIB + 1, MAX_OBJECT - 1, MAX_OBJECT]


def is_whole(plan: Parts, size: int) -> bool:
    """The parts cover the object without a gap, within the limits."""
    first_offset, first_size = plan.span(1)
    last_offset, last_size = plan.span(plan.count)
    return (
        1 <= plan.count <= MAX_PARTS
        and first_offset == 0
        and last_offset == (plan.count - 1) * plan.part_size
        and last_offset + last_size == size
        and (plan.count == 1 or (first_size == plan.part_size and 0 < last_size <= plan.part_size))
        and MIN_PART <= plan.part_size <= MAX_PART
    )


@given(st.one_of(st.integers(0, MAX_OBJECT), st.sampled_from(EDGES)))
def test_h11_every_size_that_a_store_takes_has_a_plan(size: int) -> None:
    plan = plan_parts(size)
    assert is_whole(plan, size)
    assert plan.count <= 1024


@given(
    st.one_of(st.integers(0, 2 * MAX_OBJECT), st.sampled_from(EDGES), st.just(50 * 10**12)),
    st.one_of(st.integers(-1, 2 * MAX_PART), st.sampled_from([0, 1, MIN_PART - 1, MIN_PART, MAX_PART, MAX_PART + 1])),
)
def test_h11_a_chosen_part_size_gives_a_plan_or_is_refused(size: int, part_size: int) -> None:
    if size > MAX_OBJECT:
        with pytest.raises(ObjectTooLarge):
            plan_parts(size, part_size)
    elif not MIN_PART <= part_size <= MAX_PART or size > MAX_PARTS * part_size:
        with pytest.raises(PartsInvalid):
            plan_parts(size, part_size)
    else:
        plan = plan_parts(size, part_size)
        assert plan.part_size == part_size
        assert is_whole(plan, size)


@given(st.integers(0, 40 * MIB), st.integers(MIN_PART, 9 * MIB))
def test_h11_the_parts_follow_one_another(size: int, part_size: int) -> None:
    plan = plan_parts(size, part_size)
    position = 0
    for number in range(1, plan.count + 1):
        offset, length = plan.span(number)
        assert offset == position
        position += length
    assert position == size


@pytest.mark.parametrize(
    ("size", "part_size", "count"),
    [
        (0, 16 * MIB, 1),
        (1, 16 * MIB, 1),
        (MIN_PART - 1, 16 * MIB, 1),
        (MIN_PART, 16 * MIB, 1),
        (MIN_PART + 1, 16 * MIB, 1),
        (MAX_SINGLE + 1, 16 * MIB, 321),
        (1024 * GIB, 1049 * MIB, 1000),
        (MAX_OBJECT, MAX_PART, 1024),
    ],
)
def test_h11_plans_of_sizes_at_the_edges(size: int, part_size: int, count: int) -> None:
    assert plan_parts(size) == Parts(size=size, part_size=part_size, count=count)


def test_h11_what_can_not_fit_is_refused_with_what_would() -> None:
    with pytest.raises(ObjectTooLarge, match=str(MAX_OBJECT)):
        plan_parts(50 * 10**12)
    with pytest.raises(PartsInvalid, match="10000 at most; choose parts of at least 5242881 bytes"):
        plan_parts(MAX_PARTS * MIN_PART + 1, MIN_PART)
    assert plan_parts(MAX_PARTS * MIN_PART, MIN_PART).count == MAX_PARTS
    assert plan_parts(MAX_PARTS * MIN_PART + 1, MIN_PART + 1).count == MAX_PARTS
    with pytest.raises(PartsInvalid, match="number of bytes"):
        plan_parts(-1)
    for number in (0, 2):
        with pytest.raises(PartsInvalid, match="parts 1 to 1"):
            plan_parts(1).span(number)


def test_a_part_that_was_let_go_of_holds_no_memory_for_who_still_looks_at_it() -> None:
    part = PartBuffer()
    part.begin(10)
    part.take(b"0123456789", start=0)
    sent = part.seal()
    part.release()
    assert sent.getbuffer().nbytes == 0
    part.begin(1)
    part.take(b"x", start=0)
    part.seal().close()
    part.release()
