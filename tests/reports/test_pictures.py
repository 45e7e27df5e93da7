"""A page holds as many photographs as its size allows, and says how many it does not hold."""

from nevus.reports.markup import Html, element, join
from nevus.reports.pictures import within

PICTURES = [
    element("img", src=f"data:image/jpeg;base64,{'A' * 1000}", alt=f"nevus <{n}>", width="4", height="3") for n in range(5)
]
PAGE = element("div", *PICTURES, "some words")


def test_nothing_is_left_out_where_there_is_room() -> None:
    assert within(PAGE, len(PAGE)) == (PAGE, "")


def test_the_first_pictures_stay_and_the_rest_are_counted_and_keep_their_words() -> None:
    markup, note = within(PAGE, len(PAGE) - 2500)
    assert [f"nevus &lt;{n}&gt;" in markup for n in range(5)] == [True] * 5
    assert markup.count("<img ") == 2
    assert len(markup) <= len(PAGE) - 2500 + 3 * 200
    assert "3 of 5 photographs are left out" in note
    assert markup.endswith("some words</div>")


def test_a_small_picture_does_not_jump_the_queue() -> None:
    large = element("img", src=f"data:image/jpeg;base64,{'A' * 5000}", alt="large", width="4", height="3")
    markup, note = within(join([PICTURES[0], large, PICTURES[1]]), 3_000)
    assert markup.count("<img ") == 1
    assert "2 of 3" in note


def test_where_the_words_alone_fill_the_page_no_picture_is_shown() -> None:
    markup, note = within(join([PAGE, Html("x" * 10_000)]), 5_000)
    assert "<img" not in markup
    assert "5 of 5 photographs" in note
