"""Identity of participants: one key for all spellings of a name, and names of recordings of one person."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_COUNTED = r"(?:visit|session|sess|ses|day|night|week|month|wave|recording|rec)[\s_.\-]*\d{0,2}|v\d{1,2}"
_OTHERS = r"(?:baseline|follow-?up|pre|post|left|right|wrist|hand|hip|ankle)\d{0,2}"
_LAST = re.compile(rf"(?:[\s_.\-]+|(?<=\d))(?:{_COUNTED}|{_OTHERS})$", re.IGNORECASE)
"""Last part of a recording's name that says which of a person's recordings it is, such as ``_visit2``."""
_FIRST = re.compile(rf"^(?:{_COUNTED}|{_OTHERS})[\s_.\-]+", re.IGNORECASE)
"""First part of a recording's name that says which of a person's recordings it is, such as ``baseline_``."""
_NOBODY = re.compile(rf"(?:(?!v\d)(?:{_COUNTED}|{_OTHERS}))?", re.IGNORECASE)
"""What is no person's name if nothing else is left of a recording's name; ``V01`` may be that of a volunteer."""
NUMBERED = re.compile(r"(?:[\s_.\-]+[^\s_.\-]+|(?<=\d)[a-z])$")
"""Ending by which recordings of one person may differ, or participants of one site."""
MOST_RECORDINGS = 14
"""With more names that differ only by their ending, these are taken as participants of a site."""
SEPARATOR = re.compile(r"(?<=[^\W\d_])[\s_\-]+(?=\d)")
"""What some write between a letter and a number: ``P-1``, ``P_1``, ``P 1``."""


def recording_key(name: object) -> str:
    """Key of a name, equal for its spellings: ``1``, ``01``, ``1.0`` and ``1 ``; ``P01``, ``p1`` and ``P-1``.

    Zeros behind a decimal point count, so that 1.05 and 1.5 differ.
    """
    return SEPARATOR.sub("", _plain(name))


def _plain(name: object) -> str:
    """Name in lower case, without blanks around it and leading zeros."""
    text = unicodedata.normalize("NFKC", str(name)).strip().casefold()
    if re.fullmatch(r"[+-]?\d+\.0*", text):
        text = text.split(".")[0]
    return re.sub(r"(?<![\d.])0+(?=\d)", "", text)


def participant_name(name: object) -> str:
    """Name of the person of a recording: without blanks around it and without parts such as ``_visit2``."""
    text, before = str(name).strip(), ""
    while text != before:
        before = text
        for part in (_LAST, _FIRST):
            shorter = part.sub("", text).strip()
            text = text if _NOBODY.fullmatch(shorter) else shorter
    return text


def participant_key(name: object) -> str:
    """Key of a participant, equal for all spellings of the name and for names of recordings of the person.

    Everything that compares participants uses it: splits, leakage checks, pre-training and import. Two people whose
    keys are equal lose some windows, while one person with two keys would be trained on and tested.
    """
    return recording_key(participant_name(name))


def participants_of_recordings(names: Iterable[str], declared: Mapping[str, str]) -> dict[str, str]:
    """Participant of each recording: as declared, or else by its name.

    Args:
        names: names of the recordings.
        declared: participants by the key of a recording's name.
    """
    given = {name: declared.get(recording_key(name), name).strip() for name in names}
    common = _common_names(given.values())
    return {name: common[participant] for name, participant in given.items()}


def with_one_name_each(pid: NDArray[Any]) -> tuple[NDArray[Any], list[list[str]]]:
    """Participants (N,) with one name for each person, and the names that were taken as one person.

    An array in which each person has one name already is returned as it is.
    """
    names, inverse = np.unique(pid, return_inverse=True)
    common = _common_names(names.tolist())
    joined: dict[str, list[str]] = defaultdict(list)
    for name in names.tolist():
        joined[common[name]].append(str(name))
    several = [found for found in joined.values() if len(found) > 1]
    return (np.array([common[name] for name in names.tolist()])[inverse] if several else pid), several


def similar(names: Iterable[object]) -> list[str]:
    """Names of different keys that may be recordings of one person, because they differ by their ending only.

    Returns:
        One such group of names; empty where there is none.
    """
    stems: dict[str, list[str]] = defaultdict(list)
    for name in sorted({participant_key(name): str(name) for name in names}.values()):
        stems[NUMBERED.sub("", _plain(participant_name(name)))].append(name)
    sizes = [len(found) for found in stems.values()]
    if len(sizes) < 2 or not 1 < max(sizes) <= MOST_RECORDINGS:
        return []
    return max(stems.values(), key=len)


def _common_names(names: Iterable[Any]) -> dict[Any, Any]:
    """One name for all names of a person; the name itself where it is the only one."""
    people: dict[str, list[Any]] = defaultdict(list)
    for name in dict.fromkeys(names):
        people[participant_key(name)].append(name)
    return {
        name: found[0] if len(found) == 1 else participant_name(found[0]) for found in people.values() for name in found
    }
