"""Tables of labels and participants of every kind of damage: each is refused in a sentence that names the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bad_inputs.answers import refusal, short

HEADER = "participant,start,end,label\n"
LINE = "anna,2024-05-01 12:00,2024-05-01 12:10,walk\n"
FIELD = "x" * 200_000

LABELS: list[tuple[str | bytes, str]] = [
    ("", "has no column 'participant'; its first line must be participant,start,end,label"),
    ("\n\n", "has no column 'participant'"),
    (HEADER, "has no line below its first"),
    (HEADER + "\n , ,,\n", "has no line below its first"),
    (LINE, "has no column 'participant'"),
    (HEADER.replace(",", ";") + LINE.replace(",", ";"), "has no column 'participant'"),
    (HEADER.replace(",", "\t") + LINE.replace(",", "\t"), "has no column 'participant'"),
    (HEADER.replace("label", "Label") + LINE, "has no column 'label'"),
    (HEADER.replace("end", "stop") + LINE, "has no column 'end'"),
    (HEADER.replace("end", "end,end") + LINE, "has the column 'end' more than once"),
    ("recording,recording," + HEADER + "a,a," + LINE, "has the column 'recording' more than once"),
    (HEADER + "anna,2024-05-01 12:00\n", "line 2: it ends before the column 'end'"),
    (HEADER + "anna\n", "line 2: it ends before the column 'start'"),
    (HEADER + LINE.replace("walk", "walk,fast"), "line 2: there are more values than columns"),
    (HEADER + LINE + LINE, "lines 2 and 3: they overlap"),
    (HEADER + LINE + LINE.replace("walk", "sit"), "lines 2 and 3: they overlap"),
    (HEADER + LINE + "anna,2024-05-01 12:05,2024-05-01 12:20,sit\n", "lines 2 and 3: they overlap"),
    (HEADER + "anna,2024-05-01 12:09:59.999,2024-05-02,sit\n" + LINE, "lines 2 and 3: they overlap"),
    (HEADER + LINE + "Anna,2024-05-01 12:05,2024-05-01 12:06,sit\n", "lines 2 and 3: they overlap"),
    (
        HEADER + "anna,2024-05-01 12:10,2024-05-01 12:00,walk\n",
        "line 2: the end 2024-05-01 12:00 is not after the start 2024-05-01 12:10;",
    ),
    (HEADER + "anna,2024-05-01 12:10,2024-05-01 12:10,walk\n", "line 2: the end 2024-05-01 12:10 is not after"),
    (HEADER + LINE.replace("anna", ""), "line 2: the participant is missing ('')"),
    (HEADER + LINE.replace("anna", "NA"), "line 2: the participant is missing ('NA')"),
    (HEADER + LINE.replace("anna", "nan"), "line 2: the participant is missing ('nan')"),
    (HEADER + LINE.replace("anna", "#N/A"), "line 2: the participant is missing ('#N/A')"),
    ("recording," + HEADER + "," + LINE, "line 2: the recording is missing ('')"),
    (HEADER + LINE.replace("walk", "NA"), "has no label; write one"),
    (HEADER + LINE.replace("walk", ""), "has no label; write one"),
    (HEADER + LINE.replace("walk", "  "), "has no label; write one"),
    (HEADER + LINE.replace("anna", "zoe"), "no file has the name of a participant with a label in it, such as 'zoe'"),
    (HEADER + LINE.replace("anna", "anna.csv"), "no file has the name of a participant with a label in it"),
    ("recording," + HEADER + "zoe," + LINE, "no file has the name of"),
    *[
        (f"{HEADER}anna,{time},2024-05-02,walk\n", f"line 2: start is {time!r}; write a time such as")
        for time in (
            *["", "NA", "NaT", "noon", "12:00", "01/05/2024 12:00", "2024-13-01", "2024-02-30", "2024-05-01 25:00"],
            *["1714564800", "45413.5", "-1", "1e9", "=NOW()", "0000-00-00", "9999-12-31", "2024-05-01 12:00:60"],
            *["2024-05-01 12:00 PM", "May 1 2024", "2024-05", "2024-05-01T", "\u0662\u0660\u0662\u0664-05-01"],
        )
    ],
    (f"{HEADER}anna,2024-05-01 12:00+01:00,2024-05-02,walk\n", "leave the time zone out"),
    (f"{HEADER}anna,2024-05-01 12:00,2024-05-02T00:00Z,walk\n", "leave the time zone out"),
    ((HEADER + LINE).encode("utf-16"), "is not text in UTF-8; save it as CSV"),
    ((HEADER + LINE).encode("utf-16-le"), "UTF-8"),
    ((HEADER + LINE.replace("walk", "Öl")).encode("latin-1"), "save it as CSV, in UTF-8"),
    (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "save it as CSV, in UTF-8"),
    (b"PK\x03\x04" + bytes(200), "is not text in UTF-8"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "save it as CSV, in UTF-8"),
    (b"\x1f\x8b\x08\x00" + bytes(50), "save it as CSV, in UTF-8"),
    (bytes(500), "is not text in UTF-8"),
    (HEADER + LINE.replace("walk", FIELD), "save it as CSV, in UTF-8"),
    (HEADER + '"' + LINE * 3, "line "),
    (HEADER + "=cmd|' /C calc'!A0,2024-05-01,2024-05-02,walk\n", "no file has the name of"),
    (HEADER + "\x1b[2J,2024-05-01,2024-05-02,walk\n", "no file has the name of"),
    ("<html><body>Not found</body></html>", "has no column 'participant'"),
    ('{"participant": "anna"}', "has no column 'participant'"),
]

PARTICIPANTS: list[tuple[str | bytes, str]] = [
    ("", "has no column 'recording'; its first line must be recording,participant"),
    ("recording,participant\n", "has no line below its first"),
    ("recording;participant\nanna;1\n", "has no column 'recording'"),
    ("file,person\nanna,1\n", "has no column 'recording'"),
    ("recording\nanna\n", "has no column 'participant'"),
    ("recording,participant,participant\nanna,1,2\n", "has the column 'participant' more than once"),
    ("recording,participant\nanna\n", "line 2: it ends before the column 'participant'"),
    ("recording,participant\nanna,1,2\n", "line 2: there are more values than columns"),
    ("recording,participant\n,1\n", "line 2: the recording is missing ('')"),
    ("recording,participant\nanna,\n", "line 2: the participant is missing ('')"),
    ("recording,participant\nanna,NA\n", "line 2: the participant is missing ('NA')"),
    ("recording,participant\nanna,None\n", "line 2: the participant is missing ('None')"),
    ("recording,participant\nanna,nan\n", "line 2: the participant is missing ('nan')"),
    ("recording,participant\nanna,1\nanna,2\n", "the recording 'anna' is of '1' and of '2'"),
    ("recording,participant\nanna,1\nANNA ,2\n", "is of '1' and of '2'"),
    ("recording,participant\nanna,1\n".encode("utf-16"), "is not text in UTF-8; save it as CSV"),
    ("recording,participant\nanna,Jörg\n".encode("latin-1"), "save it as CSV, in UTF-8"),
    (bytes(300), "is not text in UTF-8"),
    (f"recording,participant\nanna,{FIELD}\n", "save it as CSV, in UTF-8"),
]


def refused(tmp_path: Path, option: str, table: Path) -> str:
    recording = tmp_path / "anna.csv"
    recording.write_text("time,x,y,z\n")
    message = refusal("data", "import", recording, option, table, "--out", tmp_path / "out", "--jobs", 1)
    assert not (tmp_path / "out").exists()
    return message


@pytest.mark.parametrize(
    ("option", "content", "said"),
    [*(("--labels", *case) for case in LABELS), *(("--participants", *case) for case in PARTICIPANTS)],
    ids=short,
)
def test_a_bad_table_is_refused(tmp_path: Path, option: str, content: str | bytes, said: str) -> None:
    table = tmp_path / "table.csv"
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    message = refused(tmp_path, option, table)
    assert message.startswith(str(table))
    assert said in message


@pytest.mark.parametrize("option", ["--labels", "--participants"])
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("missing.csv", "there is no file missing.csv; give the path of the table"),
        (".", ". cannot be read (Is a directory); give the path of a CSV file"),
        ("loop.csv", "loop.csv cannot be read (Too many levels"),
        ("x" * 300, "cannot be read (File name too long)"),
        ("anna.csv/table.csv", "cannot be read (Not a directory)"),
        ("", ". cannot be read (Is a directory)"),
    ],
    ids=short,
)
def test_a_table_that_is_no_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, path: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop.csv").symlink_to("loop.csv")
    assert said in refused(tmp_path, option, Path(path))
