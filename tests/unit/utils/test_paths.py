"""Any path is one that exists or not; none is an error."""

from pathlib import Path

import pytest

from sslwear.utils.paths import is_file, is_folder, user_path

IMPOSSIBLE = ["x" * 300, "a\0b", "", "~nobodyknows/a", "loop/a", "file/a"]


@pytest.mark.parametrize("path", IMPOSSIBLE)
def test_a_path_that_cannot_exist_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    Path("file").touch()
    assert not is_file(user_path(path))
    assert is_folder(user_path(path)) == (path == "")
    assert is_file(Path("file"))


def test_the_home_folder_is_known() -> None:
    assert user_path("~/a") == Path.home() / "a"
    assert user_path("~nobodyknows/a") == Path("~nobodyknows/a")
