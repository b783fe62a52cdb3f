"""The README's pictures are there, small, and of a page that still has what they show. No browser is needed to see that."""

import re
from pathlib import Path

import pytest
from PIL import Image

import adapters.local.discord
from adapters.local.script import LANGUAGES
from tests.browser.pictures import FOLDER, LARGEST, PICTURES, Picture

ROOT = Path(__file__).resolve().parents[2]
PAGE = Path(adapters.local.discord.__file__).parent / "page"
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in sorted(PAGE.glob("*.[hj]*")))


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_is_small_and_told(picture: Picture) -> None:
    path = FOLDER / f"{picture.name}.png"
    assert path.stat().st_size <= LARGEST
    with Image.open(path) as image:
        assert (image.size, image.mode) == (picture.size, "P")
    assert f"deploy/pictures/{picture.name}.png" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_what_a_picture_shows_is_still_there(picture: Picture) -> None:
    assert picture.step in LANGUAGES[picture.language].steps
    for selector in picture.shows:
        for name in re.findall(r"[#.]([\w-]+)", selector):
            assert re.search(rf"[\"\s`]{name}[\"\s`$]", SOURCES), selector


def test_no_picture_lies_about() -> None:
    assert {path.stem for path in FOLDER.glob("*")} == {picture.name for picture in PICTURES}
