"""The page of a study says what the report says, shows names as text, and needs nothing from elsewhere."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import pytest

from sslwear.evaluation.intervals import interval
from sslwear.reports.study_page import MOST_LISTED, study_page
from sslwear.reports.study_report import Rated, StudyReport
from sslwear.reports.study_text import verdict
from sslwear.reports.trial_figures import MOST_DRAWN
from tests.unit.reports.conftest import trial

VOID = {"meta"}
EVIL = "<script>alert('x')</script>&\"\x1b"


@dataclass
class Page(HTMLParser):
    """Elements and texts of a page; fails where elements are not closed in order."""

    text: str
    tags: Counter[str] = field(default_factory=Counter)
    attributes: list[tuple[str, str | None]] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    kinds: dict[str, str | None] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
            found = dict(attrs)
            self.kinds[found.get("id") or ""] = found.get("class")
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = set(self.open)
        if "style" not in inside:
            self.words.append(data)
        if inside & {"td", "th"}:
            self.rows[-1][-1] += f" {data}" if self.rows[-1][-1] else data
        if "h2" in inside:
            self.headings.append(data)

    @property
    def told(self) -> str:
        return " ".join(" ".join(self.words).split())

    def row(self, beginning: str) -> list[str]:
        (found,) = [row for row in self.rows if row[0].startswith(beginning)]
        return found

    def trials(self) -> list[list[str]]:
        (start,) = [i for i, row in enumerate(self.rows) if row[:2] == ["trial", ""]]
        return self.rows[start:]


def test_the_page_is_told_from_the_verdict_to_the_table(report: StudyReport) -> None:
    page = Page(study_page(report))
    assert page.headings == [
        "Scores",
        "All trials",
        "What was tuned, and after which pretext task",
        "Participants",
        "Learning curves",
        "Importance of the searched settings",
        "Two objectives",
        "Table of trials",
        "How trials were judged",
        "In a paper",
    ]
    assert page.tags["svg"] == 6
    places = [page.told.index(sentence) for sentence in (*verdict(report)[:3], "estimate from the search")]
    assert places == sorted(places)
    assert (
        "adl · harnet10, published weights · judged by kappa · 6 trials (4 finished, 1 pruned, 1 failed)" in page.told
    )
    for sentence in ("Each trial was judged in 3 folds.", "A further note.", "We compared 6 configurations"):
        assert sentence in page.told


def test_scores_are_shown_with_intervals_and_participants(report: StudyReport) -> None:
    page = Page(study_page(report))
    assert report.selected is not None
    assert report.selected.test is not None
    selected = page.row("trial 3")
    assert selected[0] == "trial 3 selected"
    assert selected[2] == f"0.740 [{report.selected.test.low:.3f}, {report.selected.test.high:.3f}] 5 participants"
    assert page.row("trial 0")[2] == "-"
    assert page.row("random forest")[1] == "0.550 [0.550, 0.550] 6 participants"
    assert "The estimate was lowered by 0.010." in page.told
    assert "The test participants were scored once, after the search." in page.told


def test_own_settings_that_cannot_be_told_from_the_best_are_marked(report: StudyReport) -> None:
    mark = "cannot be told from the best"
    assert mark not in Page(study_page(report)).row("trial 0")[0]
    trials = (replace(report.trials[0], candidate=True), *report.trials[1:])
    assert Page(study_page(replace(report, trials=trials))).row("trial 0")[0].endswith(mark)


def test_test_scores_that_do_not_exist_have_no_column(report: StudyReport) -> None:
    assert report.selected is not None
    untested = replace(report, selected=replace(report.selected, test=None), baseline=None, test_evaluations=0)
    page = Page(study_page(untested))
    assert len(page.row("trial 3")) == 2
    assert "The test participants have not been scored." in page.told
    assert "test score" not in page.told


def test_a_warning_follows_the_verdict(report: StudyReport) -> None:
    assert "Warning:" not in Page(study_page(report)).told
    assert "Warning: Few windows. Scores" in Page(study_page(replace(report, warning="Few windows."))).told


def test_the_table_has_all_trials_with_their_settings(report: StudyReport) -> None:
    page = Page(study_page(report))
    heads, *rows = page.trials()
    assert heads == [
        *("trial", "", "kappa ± SE", "participants", "tuning", "pretext", "learning_rate", "epochs", "time"),
        *("tuned parameters", "windows/s", "memory in MB", "run"),
    ]
    assert rows[1] == [
        *("3", "selected", "0.790 ± 0.020", "6", "head", "reverse", "0.004", "3", "61 s", "1,234,567", "2,500"),
        *("4,000", "3a2b3c4d"),
    ]
    assert [row[:2] for row in rows] == [
        *(["2", "≈ best"], ["3", "selected"], ["5", ""], ["0", ""], ["1", "pruned"], ["4", "failed"]),
    ]
    assert rows[-1][2:4] == ["-", "-"]
    kinds = {name: page.kinds[f"trial-{name}"] for name in "231"}
    assert kinds == {"2": "alike", "3": "selected", "1": "other"}


@pytest.mark.parametrize("second", ["trainable_parameters", "windows_per_second"])
def test_a_second_objective_that_has_a_column_is_not_shown_twice(report: StudyReport, second: str) -> None:
    heads = Page(study_page(replace(report, second=second))).trials()[0]
    assert heads[-4:] == ["time", "tuned parameters", "windows/s", "run"]


def test_columns_without_values_are_left_out(report: StudyReport) -> None:
    bare = {"epochs": None, "seconds": None, "parameters": None, "windows_per_second": None, "run_id": None}
    trials = (trial(0, 0.5, searched={"batch": 8}, second=None, **bare),)
    heads, row = Page(study_page(replace(report, trials=trials, winner=0, second=None))).trials()
    assert heads == ["trial", "", "kappa ± SE", "participants", "batch"]
    assert row == ["0", "selected", "0.500 ± 0.020", "6", "8"]


def test_links_of_the_figures_lead_to_rows_of_the_table(report: StudyReport) -> None:
    attributes = Page(study_page(report)).attributes
    ids = Counter(value for name, value in attributes if name == "id")
    links = {value for name, value in attributes if name == "xlink:href" and str(value).startswith("#trial-")}
    assert links == {f"#trial-{number}" for number in (0, 1, 2, 3, 5)}
    assert {str(link)[1:] for link in links} <= set(ids)
    assert max(ids.values()) == 1


def test_names_and_sentences_are_shown_as_text(report: StudyReport) -> None:
    names = {EVIL: 0.5, "m2": 0.6}
    searched = {EVIL: EVIL, "tuning": EVIL}
    trials = tuple(trial(i, 0.5, EVIL, "none", participants=names, searched=searched) for i in range(2))
    rated = Rated(EVIL, interval([0.5, 0.6]), interval([0.5]), names, names, 0)
    groups = {"tuning": {EVIL: interval([0.5]), "b": interval([0.6])}}
    sentences = dict.fromkeys(("name", "data", "encoder", "weights", "judged", "selection", "finding"), EVIL)
    evil = replace(
        report,
        **sentences,
        trials=(*trials, trial(2, 0.4)),
        winner=0,
        selected=rated,
        default=None,
        baseline=replace(rated, trial=None),
        warning=EVIL,
        notes=(EVIL,),
        estimate_note=EVIL,
        groups=groups,
        importances={EVIL: interval([0.5])},
        pareto=(0,),
        second=EVIL,
    )
    page = Page(study_page(evil))
    assert page.tags["script"] == 0
    assert page.told.count("<script>alert('x')</script>&\"\\x1b") > 15
    assert "\x1b" not in page.text
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_the_page_needs_no_network_and_no_scripts(report: StudyReport) -> None:
    page = Page(study_page(report))
    assert not {"script", "link", "img", "iframe", "object", "button"} & set(page.tags)
    addresses = {str(value) for name, value in page.attributes if name in ("href", "xlink:href", "src")}
    assert {address[0] for address in addresses} == {"#"}
    assert not re.search(r"@import|url\((?!#)", page.text)


def test_a_study_without_a_winner_says_so(report: StudyReport) -> None:
    trials = (trial(0, 0.4, outcome="pruned"), trial(1, None, outcome="running", error=None))
    bare = {"selected": None, "default": None, "baseline": None, "groups": {}, "importances": {}, "second": None}
    page = Page(study_page(replace(report, trials=trials, winner=None, finding="", **bare)))
    assert "No trial has been selected: 1 pruned, 1 running." in page.told
    assert page.headings == ["All trials", "Table of trials", "How trials were judged"]
    empty = Page(study_page(replace(report, trials=(), winner=None, finding="", **bare)))
    assert "No trial has been selected: no trial has been run." in empty.told
    assert empty.headings == ["How trials were judged"]


def test_a_study_with_one_trial_and_few_participants_compares_nothing(report: StudyReport) -> None:
    one = trial(0, 0.5, participants={"m1": 0.4, "m2": 0.6})
    rated = Rated("trial 0", interval([0.4, 0.6]), None, {}, {}, 0)
    bare = {"baseline": None, "groups": {}, "importances": {}, "second": None, "finding": "", "selection": ""}
    page = Page(study_page(replace(report, trials=(one,), winner=0, selected=rated, default=rated, **bare)))
    assert "Its estimated mean kappa is 0.500, from 2 participants, too few for an interval." in page.told
    assert "interval]" not in page.told
    assert "cannot be told" not in page.told
    assert "bars that overlap" not in page.told
    assert len([row for row in page.rows if row[0].startswith("trial 0")]) == 1


def test_pruned_trials_are_explained_only_where_there_are_some(report: StudyReport) -> None:
    sentence = "A pruned trial ended early"
    assert sentence in Page(study_page(report)).told
    finished = tuple(one for one in report.trials if one.outcome == "finished")
    assert sentence not in Page(study_page(replace(report, trials=finished))).told


@pytest.mark.slow
def test_a_study_of_many_trials_says_what_is_left_out_and_stays_small(report: StudyReport) -> None:
    trials = tuple(trial(number, 0.9 - number / 2000, candidate=number < 12) for number in range(MOST_LISTED + 1))
    page = Page(study_page(replace(report, trials=trials, pareto=(0,))))
    assert f"The best {MOST_DRAWN} of {MOST_LISTED + 1} trials are shown." in page.told
    assert f"The last 1 of {MOST_LISTED + 1} trials are left out." in page.told
    assert "8 of 12 such trials are shown: the selected one and the best others." in page.told
    assert len(page.trials()) == MOST_LISTED + 1
    small = study_page(replace(report, trials=trials[:200], pareto=(0,)))
    assert len(small.encode()) < 1_000_000
