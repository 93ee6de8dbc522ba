"""Figures as files."""

import warnings

import pytest

from tfav.reports import drawing


@pytest.mark.parametrize("save", [drawing.svg, drawing.png])
def test_a_name_in_letters_that_the_font_lacks_is_drawn_without_a_warning(save):
    drawn = drawing.canvas(2, 1)
    drawn.subplots().set_title("日本")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert save(drawn)
