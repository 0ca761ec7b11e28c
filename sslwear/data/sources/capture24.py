"""CAPTURE-24: a day of each of 151 people, annotated from wearable cameras."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from sslwear.data.sources.base import NO_LABEL, Archive, Options, Recording, Source
from sslwear.errors import DataError

RATE_HZ = 100.0
FILE = r"(P\d+)\.csv(?:\.gz)?"
DICTIONARY = r"annotation-label-dictionary\.csv"
PREFIX = "label:"
NO_TIME = np.iinfo(np.int64).min
"""Nanoseconds where there is no time, as in numpy."""
SCHEMES = (
    "Walmsley2020",
    "WillettsSpecific2018",
    "Willetts2018",
    "WillettsMET2018",
    "DohertySpecific2018",
    "Doherty2018",
)


class Capture24(Source):
    """About 24 h at 100 Hz of each participant; free-text annotations become labels by one of several schemes.

    A window's label is that of its most frequent annotation.
    """

    name = "capture24"
    title = "CAPTURE-24: activity tracker data in the wild, annotated from wearable cameras"
    licence = "CC BY 4.0"
    citation = (
        "Chan S, Hang Y, Tong C, et al. CAPTURE-24: A large dataset of wrist-worn activity tracker data collected in "
        "the wild for human activity recognition. Scientific Data 2024, 11:1135"
    )
    homepage = "https://ora.ox.ac.uk/objects/uuid:99d7c092-d865-4a19-b096-cc16440cd001"
    archives = (
        Archive(
            "https://ora.ox.ac.uk/objects/uuid:99d7c092-d865-4a19-b096-cc16440cd001/files/rpr76f381b", None, "6.9 GB"
        ),
    )
    label_schemes = SCHEMES
    window_s = 30.0
    step_s = 30.0
    limit_g = 8.0

    def __init__(self, raw: Path | None = None, options: Options | None = None) -> None:
        super().__init__(raw, options)
        self._scheme = self.options.label_scheme or SCHEMES[0]
        if self.options.label_scheme is not None:
            self._labels  # noqa: B018 - refuses an unknown scheme

    @property
    def class_names(self) -> tuple[str, ...]:
        """The scheme's labels, sorted."""
        return tuple(sorted(set(self._labels.values())))

    def participants(self) -> Sequence[str]:
        """Names of the participants: P001, P002, ..."""
        found = self._files()
        if not found:
            raise self.missing("P001.csv.gz ...")
        return list(found)

    def _files(self) -> dict[str, str]:
        """Names of the files by participant; a file that is also there decompressed counts once."""
        return {match[1]: name for name, match in self.raw.find(FILE)}

    def label_of(self, annotation: str) -> str | None:
        """The scheme's label of an annotation."""
        return self._labels.get(annotation)

    @cached_property
    def _labels(self) -> dict[str, str]:
        """Labels by annotation, without annotations that the scheme leaves out."""
        return {annotation: label for annotation, label in self._dictionary.items() if label}

    @cached_property
    def _dictionary(self) -> dict[str, str]:
        """Labels by annotation, empty for annotations that the scheme leaves out."""
        found = self.raw.find(DICTIONARY)
        if not found:
            raise DataError(
                f"{self.raw.path} has no annotation-label-dictionary.csv, which is beside the participants' files "
                f"in the archive; get it from {self.homepage}"
            )
        rows = csv.DictReader(self.raw.read_text(found[0][0]).splitlines())
        columns = rows.fieldnames or ()
        schemes = [name.removeprefix(PREFIX) for name in columns if name.startswith(PREFIX)]
        if "annotation" not in columns or not schemes:
            raise self.raw.damaged(found[0][0], f"does not hold the columns annotation, label:{SCHEMES[0]} and so on")
        if self._scheme not in schemes:
            raise DataError(
                f"{self.raw.path}: there is no label scheme {self._scheme!r}; choose one of {', '.join(schemes)}"
            )
        return {row["annotation"]: row[PREFIX + self._scheme] or "" for row in rows}

    def _note_on_unknown(self, annotations: Sequence[str]) -> str:
        """Note about annotations that are missing in the dictionary, where there is one."""
        unknown = [repr(name) for name in annotations if self.raw.find(DICTIONARY) and name not in self._dictionary]
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        return f"the dictionary does not have the annotation {', '.join(unknown[:3])}{more}" if unknown else ""

    def files(self, participant: int | str) -> Sequence[str]:
        """The participant's file, and the dictionary of annotations."""
        days = [name for owner, name in self._files().items() if owner == participant]
        return [*days, *(name for name, _ in self.raw.find(DICTIONARY)[:1])]

    def recordings(self, participant: int | str) -> Iterator[Recording]:
        """Read a participant's day, with the annotation of each sample."""
        name = self._files().get(str(participant))
        if name is None:
            return
        samples, nanoseconds, label = _columns(self._table(name))
        pa.default_memory_pool().release_unused()
        known = nanoseconds != NO_TIME
        if known.any():
            start = int(nanoseconds[known.argmax()])
            time = (nanoseconds - start) / 1e9
            time[~known] = np.nan
            note = self._note_on_unknown(label.categories.tolist())
            yield Recording(participant, samples, RATE_HZ, label, time, np.datetime64(start, "ns"), note=note)

    def _table(self, name: str) -> dict[str, Any]:
        """PyArrow columns time, x, y, z and annotation, parsed on all cores while the file is decompressed."""
        kinds = {
            "time": pa.timestamp("ns"),
            **dict.fromkeys("xyz", pa.float32()),
            "annotation": pa.dictionary(pa.int32(), pa.string()),
        }
        convert = arrow_csv.ConvertOptions(
            column_types=kinds, include_columns=list(kinds), strings_can_be_null=True, null_values=["", "nan", "NaN"]
        )
        try:
            with self.raw.open(name) as file:
                table = arrow_csv.read_csv(file, convert_options=convert).unify_dictionaries()
                return dict(zip(table.column_names, table.columns, strict=True))
        except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise self.raw.damaged(name, f"does not hold the columns time, x, y, z, annotation ({reason})") from error


def _columns(columns: dict[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.int64], pd.Categorical[Any]]:
    """Samples (n, 3) in g, nanoseconds since 1970 (n,) and annotations (n,).

    Each column is removed after use, to save memory. Names of annotations are sorted, so that a draw between two
    annotations of a window does not depend on their order in time.
    """
    nanoseconds = np.empty(len(columns["time"]), np.int64)
    _fill(nanoseconds, columns.pop("time").chunks, lambda chunk: chunk.to_numpy(zero_copy_only=False).view(np.int64))
    chunks = columns.pop("annotation").chunks
    names = np.array(chunks[0].dictionary.to_pylist() if chunks else [], str)
    order = np.argsort(names, kind="stable")
    place = np.empty(len(names) + 1, np.int32)
    place[order] = np.arange(len(names))
    place[-1] = NO_LABEL
    codes = np.empty(len(nanoseconds), np.int32)
    _fill(codes, chunks, lambda chunk: place[chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False)])
    label: pd.Categorical[Any] = pd.Categorical.from_codes(codes, pd.Index(names[order].tolist()))
    samples = np.empty((len(nanoseconds), 3), np.float32)
    for axis, name in enumerate("xyz"):
        _fill(samples[:, axis], columns.pop(name).chunks, lambda chunk: chunk.to_numpy(zero_copy_only=False))
    return samples, nanoseconds, label


def _fill(target: NDArray[Any], chunks: Sequence[Any], values: Callable[[Any], NDArray[Any]]) -> None:
    first = 0
    for chunk in chunks:
        target[first : first + len(chunk)] = values(chunk)
        first += len(chunk)
