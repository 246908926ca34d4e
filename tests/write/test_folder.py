import errno
import os
from pathlib import Path

import pytest

from groundglass.errors import OutputError
from groundglass.write.folder import check_folder, move_in_when_done


def makes(*names, text="new groundglass", fail=None):
    """Writes files one by one and fails after them where told."""

    def make(folder):
        for name in names:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        if fail:
            raise fail
        return [folder / name for name in names]

    return make


def tree(folder):
    return {
        p.relative_to(folder).as_posix(): p.is_file() and p.read_text() for p in folder.rglob("*")
    }


def test_files_come_to_a_folder_that_did_not_exist(tmp_path):
    out = tmp_path / "not" / "yet"
    assert move_in_when_done(out, makes("a.txt", "sub/b.txt")) == [out / "a.txt", out / "sub/b.txt"]
    assert tree(out) == {"a.txt": "new groundglass", "sub": False, "sub/b.txt": "new groundglass"}
    assert [p.name for p in tmp_path.iterdir()] == ["not"]


def test_a_new_folder_has_the_permissions_of_any_new_folder(tmp_path):
    (tmp_path / "plain").mkdir()
    move_in_when_done(tmp_path / "out", makes("a.txt"))
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_relative_folder_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert move_in_when_done(Path("out"), makes("a.txt")) == [Path("out/a.txt")]
    assert (tmp_path / "out/a.txt").exists()


def test_earlier_results_are_replaced_and_all_else_is_left_alone(tmp_path):
    move_in_when_done(tmp_path, makes("a.txt", "sub/b.txt", text="old groundglass"))
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "sub/mine.txt").write_text("mine too")
    move_in_when_done(tmp_path, makes("a.txt", "sub/b.txt"))
    assert tree(tmp_path) == {
        "a.txt": "new groundglass",
        "mine.txt": "mine",
        "sub": False,
        "sub/b.txt": "new groundglass",
        "sub/mine.txt": "mine too",
    }


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt()])
def test_a_failure_while_making_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error)):
        move_in_when_done(tmp_path / "deep" / "out", makes("a.txt", fail=error))
    assert tree(tmp_path) == {}


def test_a_full_disk_is_an_output_error_and_leaves_nothing(tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OutputError, match="No space left on device"):
        move_in_when_done(tmp_path / "out", makes("a.txt", fail=full))
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("links", [True, False])
def test_a_failure_while_moving_puts_everything_back(tmp_path, monkeypatch, links):
    out = tmp_path / "out"
    move_in_when_done(out, makes("a.txt", "z.txt", text="old groundglass"))
    before = tree(out)
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    replace = Path.replace

    def fails_on_z(self, target):
        if self.name == "z.txt" and self.parent.name == "new":
            raise PermissionError(errno.EACCES, "in use")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fails_on_z)
    with pytest.raises(OutputError, match="in use"):
        move_in_when_done(out, makes("a.txt", "new.txt", "sub/c.txt", "z.txt"))
    assert tree(out) == before


def test_a_failure_while_moving_the_folder_leaves_no_parents(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError):
        move_in_when_done(tmp_path / "x" / "y" / "out", makes("a.txt"))
    assert tree(tmp_path) == {}


def refuse(*_):
    raise OSError(errno.EPERM, "refused")


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    for attempt in (lambda p: move_in_when_done(p, makes("a.txt")), check_folder):
        with pytest.raises(
            OutputError, match=r"cannot write to .*out.*Not a directory.*name another"
        ):
            attempt(tmp_path / "out")
        with pytest.raises(OutputError, match="Not a directory"):
            attempt(tmp_path / "out" / "below")
    assert tree(tmp_path) == {"out": "mine"}


def test_a_folder_that_may_not_be_written_is_refused(tmp_path, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("tempfile.mkdtemp", denied)  # the tests may run as root, who may write all
    with pytest.raises(OutputError, match="Permission denied"):
        check_folder(tmp_path)


def test_a_good_folder_passes_the_check_and_is_not_made(tmp_path):
    check_folder(tmp_path)
    check_folder(tmp_path / "later")
    assert tree(tmp_path) == {}


def test_a_file_of_the_user_is_never_replaced(tmp_path):
    (tmp_path / "b.txt").write_text("an expert's mask")
    with pytest.raises(OutputError, match=r"b\.txt', which groundglass did not write"):
        move_in_when_done(tmp_path, makes("a.txt", "b.txt"))
    assert tree(tmp_path) == {"b.txt": "an expert's mask"}


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08", b"\x1f\x8b\x08\x00groundglass", b""])
def test_a_damaged_archive_of_the_user_is_never_replaced(tmp_path, content):
    (tmp_path / "b.nii.gz").write_bytes(content)
    with pytest.raises(OutputError, match="did not write"):
        move_in_when_done(tmp_path, makes("b.nii.gz"))
    assert (tmp_path / "b.nii.gz").read_bytes() == content


def test_a_folder_of_the_user_in_place_of_a_file_is_left_alone(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OutputError, match="found a folder"):
        move_in_when_done(tmp_path, makes("a.txt"))
    assert tree(tmp_path) == {"a.txt": False}


def test_a_file_of_the_user_in_place_of_a_folder_is_left_alone(tmp_path):
    (tmp_path / "sub").write_text("mine")
    with pytest.raises(OutputError, match="found a file where the folder"):
        move_in_when_done(tmp_path, makes("a.txt", "sub/b.txt"))
    assert tree(tmp_path) == {"sub": "mine"}
