"""Sentences, tables and rows of a report."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sslwear.config import parse
from sslwear.errors import StudyError
from sslwear.reports.report import ReportInputs, grouped, not_only_networks, write_report
from sslwear.reports.report_figures import MOST_BYTES, NAMES, MethodPoint, differences_figure, effect_figure
from sslwear.reports.report_text import answer, significance
from sslwear.reports.study_figures import TrialPoint
from sslwear.training import EpochRecord
from tests.unit.evaluation.test_comparison import results

SETTINGS = parse({"study": "masks", "data": "adl", "objective": "f1"}, "the test")
BASE = [0.50, 0.61, 0.42, 0.73, 0.54, 0.65, 0.46, 0.57, 0.68, 0.49]
BETTER = [value + 0.1 + 0.001 * i for i, value in enumerate(BASE)]
WORSE = [value - 0.2 - 0.001 * i for i, value in enumerate(BASE)]
LIKE = [value + (0.02 + 0.001 * i) * (-1) ** i for i, value in enumerate(BASE)]


def inputs(**more: object) -> ReportInputs:
    return ReportInputs(SETTINGS, ["sslwear evaluate masks.yaml"], ["0123abc"], {"finished": 3, "pruned": 1}, **more)  # type: ignore[arg-type]


def test_a_significantly_better_method_is_named() -> None:
    (group,) = grouped(results({"base": {1: BASE}, "better": {1: BETTER}, "worse": {1: WORSE}}), "f1")
    assert answer(group) == (
        "On adl, leave-one-out, `better` has the highest mean macro F1 over 10 participants: "
        f"{group.summaries[1].scores['f1']}. Its difference from the reference `base` (0.565) is "
        "+0.104 [+0.103, +0.106], which is significant (Wilcoxon signed-rank test, Holm-corrected p 0.004)."
    )
    assert significance(group) == [
        "- Significantly better than the reference: `better` +0.104 [+0.103, +0.106].",
        "- Significantly worse than the reference: `worse` -0.204 [-0.206, -0.203].",
        "- No significant difference: none.",
    ]


def test_without_a_significant_difference_no_method_is_called_better() -> None:
    slightly = [value + 0.0015 for value in LIKE]
    (group,) = grouped(results({"base": {1: BASE}, "like": {1: slightly}}), "f1")
    text = answer(group)
    assert ", which is not significant (Wilcoxon signed-rank test, Holm-corrected p " in text
    assert text.endswith(" No method was significantly better than the reference `base`.")
    (group,) = grouped(results({"base": {1: BASE}, "like": {1: [v - 0.01 for v in LIKE]}}), "f1")
    text = answer(group)
    assert "`base` has the highest mean" in text
    assert text.endswith(" It is the reference. No method was significantly better than the reference `base`.")


def test_a_best_reference_names_significantly_worse_methods() -> None:
    (group,) = grouped(results({"base": {1: BASE}, "worse": {1: WORSE}}), "f1")
    assert answer(group).endswith(
        "No method was significantly better than the reference `base`. Significantly worse: `worse` (corrected p "
        "0.002)."
    )


def test_a_significant_method_beside_the_best_is_named() -> None:
    best = [value + 0.12 if i else value - 0.8 for i, value in enumerate(BETTER)]
    steady = [value + 0.001 * (i + 1) for i, value in enumerate(BASE)]
    (group,) = grouped(results({"base": {1: BASE}, "best": {1: best}, "steady": {1: steady}}), "f1")
    assert answer(group).endswith("Significantly better than the reference `base`: `steady` (corrected p 0.004).")


def test_a_baseline_that_is_best_does_not_hide_the_best_network() -> None:
    forest = [value + 0.2 for value in BETTER]
    table = results({"base": {1: BASE}, "better": {1: BETTER}, "forest": {1: forest}})
    (group,) = grouped(table, "f1", None, {"forest": "a baseline"})
    scores = {one.method: one.scores["f1"] for one in group.summaries}
    assert answer(group) == (
        f"On adl, leave-one-out, `forest` has the highest mean macro F1 over 10 participants: {scores['forest']}. It "
        f"is a baseline; the best network is `better`: {scores['better']}. Its difference from the reference `base` "
        "(0.565) is +0.104 [+0.103, +0.106], which is significant (Wilcoxon signed-rank test, Holm-corrected p 0.004)."
    )
    (group,) = grouped(table[table["method"] != "better"], "f1", None, {"forest": "a baseline"})
    assert answer(group).endswith(
        f"the best network is `base`: {scores['base']}. It is the reference. Significantly better than the reference "
        "`base`: `forest` (corrected p 0.002)."
    )


def test_baselines_probes_and_averages_with_them_are_not_called_networks() -> None:
    methods = {
        "head": {"tuning": "head"},
        "forest": {"baseline": "random_forest"},
        "probe": {"probe": "logistic"},
        "both": {"ensemble": ["head", "forest"]},
        "probed": {"ensemble": ["head", "probe"]},
        "three": {"ensemble": ["probe", "head", "forest"]},
        "seeds": {"ensemble": ["head"], "over_seeds": True},
    }
    content = {"study": "tiny", "data": "smartwatch", "evaluation": {"methods": methods, "seeds": [1, 2]}}
    kinds = not_only_networks(parse(content, "the test"))
    assert kinds == {
        "forest": "a baseline",
        "probe": "a linear probe",
        "both": "an average with a baseline",
        "probed": "an average with a linear probe",
        "three": "an average with a baseline and a linear probe",
    }
    table = results({"head": {1: BASE}, "both": {1: BETTER}})
    (group,) = grouped(table, "f1", "head", kinds)
    assert "It is an average with a baseline; the best network is `head`" in answer(group)
    (group,) = grouped(results({"head": {1: BASE}, "probe": {1: BETTER}}), "f1", "head", kinds)
    assert "It is a linear probe; the best network is `head`" in answer(group)


def test_one_method_alone_is_not_compared() -> None:
    (group,) = grouped(results({"base": {1: BASE}}), "f1")
    assert answer(group).endswith("No other method was evaluated.")


def test_too_few_participants_for_any_significant_difference_are_reported() -> None:
    (group,) = grouped(results({"base": {1: BASE[:5]}, "better": {1: BETTER[:5]}, "worse": {1: WORSE[:5]}}), "f1")
    assert significance(group)[-1].startswith(
        "- With 5 participants and 2 comparisons, the smallest possible corrected p is 0.1"
    )
    assert "Use the intervals" not in significance(group)[-1]
    assert "The intervals do not replace the test" in significance(group)[-1]


def test_a_report_of_few_participants_has_no_intervals(tmp_path: Path) -> None:
    frame = results({"base": {1: BASE[:3]}, "better": {1: BETTER[:3]}})
    kinds = {"base": ("all", "none"), "better": ("head", "none")}
    text, rows = (path.read_text() for path in write_report(frame, inputs(kinds=kinds), tmp_path)[:2])
    assert "`better` has the highest mean macro F1 over 3 participants: 0.611 (3 participants)." in text
    assert "| 0.611 ± 0.095 (3 participants) |" in text
    assert "| `better` | 3 | +0.101 (3 participants) |" in text
    assert "Fewer than 5 participants are too few for an interval." in text
    assert "Record more participants." in text
    assert "95 %" not in text
    assert not re.search(r"\[[-+]?\d\.\d+, ", text)
    assert {row[f"f1_{limit}"] for row in json.loads(rows) for limit in ("low", "high")} == {None}


@pytest.mark.parametrize(("participants", "intervals"), [(4, False), (5, True)])
def test_bars_are_drawn_for_five_participants_or_more(participants: int, intervals: bool) -> None:
    frame = results({"base": {1: BASE[:participants]}, "better": {1: BETTER[:participants]}})
    (group,) = grouped(frame, "f1")
    differences = differences_figure({group.title: group.comparisons["f1"]}, "f1").axes[0]
    assert any(line.get_linewidth() == 5 for line in differences.lines) == intervals
    assert ("95 % interval" in differences.get_xlabel()) == intervals
    points = [MethodPoint(one, one.method, "none") for one in group.summaries]
    means = effect_figure({group.title: points}, "tuning", "f1").axes[0]
    assert bool(means.lines) == intervals
    assert ("95 % interval" in means.get_xlabel()) == intervals


def test_learning_curves_are_named_after_their_run(tmp_path: Path) -> None:
    curves = [EpochRecord(i, 1 / i, 1.2 / i, {"f1": 0.1 * i}, {}, 0.0) for i in (1, 2)]
    frame = results({"base": {1: BASE}, "forest": {1: BETTER}})
    text = write_report(frame, inputs(curves=curves, curves_of="one run of `base`"), tmp_path)[0].read_text()
    assert "Learning curves of one run of `base`:" in text
    assert "winner" not in text


def test_protocols_have_their_names_in_text() -> None:
    frame = results({"base": {1: BASE}}).assign(protocol="k_fold")
    assert grouped(frame, "f1")[0].title == "adl, k-fold cross-validation"


def test_methods_with_missing_participants_or_seeds_give_a_warning(tmp_path: Path) -> None:
    frame = results({"base": {1: BASE, 2: BASE}, "better": {1: BETTER}, "worse": {1: WORSE, 2: WORSE}})
    frame = frame[(frame["method"] != "worse") | (frame["participant"] != "p4")]
    text = write_report(frame, inputs(), tmp_path)[0].read_text()
    assert text.splitlines()[4].startswith("**Incomplete:** on adl, leave-one-out, some methods lack participants")
    assert text.splitlines()[4].endswith(
        "`better` (10 of 10 participants, 1 of 2 seeds), `worse` (9 of 10 participants, 2 of 2 seeds)."
    )
    undefined = results({"base": {1: BASE}, "better": {1: [np.nan, *BETTER[1:]]}})
    text = write_report(undefined, inputs(), tmp_path)[0].read_text()
    assert text.splitlines()[4].endswith("`better` (9 of 10 participants, 1 of 1 seeds).")
    whole = write_report(results({"base": {1: BASE}, "better": {1: BETTER}}), inputs(), tmp_path)[0].read_text()
    assert "Incomplete" not in whole


def test_a_seed_that_some_participants_lack_gives_a_warning_and_no_spread_between_seeds(tmp_path: Path) -> None:
    frame = results({"base": {1: BASE, 2: BASE}, "same": {1: BASE, 2: BASE}})
    lacking = (frame["method"] == "same") & (frame["seed"] == 2) & frame["participant"].isin(["p4", "p5"])
    group = grouped(frame[~lacking], "f1")[0]
    assert [one.missing for one in group.summaries] == [0, 2]
    assert group.summaries[1].seed_sd["f1"] == pytest.approx(0)
    text = write_report(frame[~lacking], inputs(), tmp_path)[0].read_text()
    assert text.splitlines()[4].endswith("`same` (10 of 10 participants, 2 of 2 seeds, 2 results missing).")


def test_comparisons_without_a_test_are_not_counted_in_the_smallest_p() -> None:
    frame = results({"base": {1: BASE[:6]}, "better": {1: BETTER[:6]}, "started": {1: BETTER[:6]}})
    frame = frame[(frame["method"] != "started") | (frame["participant"] == frame["participant"].iloc[0])]
    text = "\n".join(significance(grouped(frame, "f1")[0]))
    assert "Significantly better than the reference: `better`" in text
    assert "No difference can be significant" not in text


def test_the_reference_is_the_first_or_the_one_asked_for() -> None:
    frame = results({"base": {1: BASE}, "better": {1: BETTER}})
    assert grouped(frame, "f1")[0].reference.method == "base"
    assert grouped(frame, "f1", "better")[0].comparisons["f1"][0].found.interval.mean < 0
    with pytest.raises(StudyError, match="no method 'other'"):
        grouped(frame, "f1", "other")


def test_all_files_are_written_and_say_the_same(tmp_path: Path) -> None:
    seeds = {"base": {1: BASE, 2: BASE}, "seen": {1: BETTER, 2: LIKE}}
    frame = results(seeds, transductive=("seen",), supervised={"base": "wisdm"})
    frame.loc[frame["participant"] == "p3", "kappa"] = np.nan
    points = [TrialPoint(i, 0.5 + 0.1 * i, ("all", "head")[i % 2], "none", False) for i in range(4)]
    curves = [EpochRecord(i, 1 / i, 1.2 / i, {"f1": 0.1 * i}, {}, 0.0) for i in range(1, 4)]
    kinds = {"base": ("all", "none"), "seen": ("all", "reverse")}
    classes = ["sedentary", "household chores", "walking", "bicycling"]
    confusions = {
        "seen": pd.DataFrame(np.diag([3, 2, 4, 0]) + np.eye(4, k=1, dtype=int)[[0, 3, 3, 3]], classes, classes)
    }
    more = inputs(points=points, curves=curves, best_epoch=3, kinds=kinds, confusions=confusions)
    files = write_report(frame, more, tmp_path / "report")
    assert [file.name for file in files] == ["REPORT.md", "REPORT.json", *NAMES]
    for file in files[2:]:
        content = file.read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) < MOST_BYTES
        assert struct.unpack(">I", content[16:20])[0] > 500  # wide enough to be read
    text, rows = files[0].read_text(), json.loads(files[1].read_text())
    assert text.startswith(
        "# Study masks\n\nOn adl, leave-one-out, `seen (transductive)` has the highest mean macro F1"
    )
    assert text.count("`seen`") == text.count("`base`") == 0  # the marks are everywhere
    assert "| class | share of windows | `seen (transductive)` |" in text
    assert "| `household chores` | 20.0% | 0.800 |" in text
    assert [row["f1_by_class"] for row in rows] == [
        {
            "sedentary": pytest.approx(6 / 7),
            "household chores": pytest.approx(4 / 5),
            "walking": 1.0,
            "bicycling": None,
        },
        None,
    ]
    assert "*supervised on* a data set were pre-trained with its labels" in text
    for name in NAMES:
        assert f"]({name})" in text
    assert "The search had 4 trials: 3 finished, 1 pruned." in text
    assert "sslwear evaluate masks.yaml" in text
    assert "Seeds of the evaluation: 1, 2. Commit of the code: `0123abc`." in text
    assert "are not an estimate for new participants" in text
    assert [(row["method"], row["transductive"], row["supervised"], row["seeds"]) for row in rows] == [
        ("seen", True, None, [1, 2]),
        ("base", False, "wisdm", [1, 2]),
    ]
    base = rows[1]
    assert base["dataset"] == "adl"
    assert base["protocol"] == "leave-one-out"
    assert base["f1_mean"] == pytest.approx(np.mean(BASE))
    assert base["f1_sd"] == pytest.approx(np.std(BASE, ddof=1))
    assert base["kappa_mean"] == pytest.approx(np.mean(np.delete(BASE, 3)) - 0.1)
    assert base["participants"]["p3"] == pytest.approx(
        {"f1": 0.73, "precision": 0.63, "recall": 0.63, "kappa": None, "f1_all_classes": 0.63}
    )
    assert len(base["run_ids"]) == 20


def test_a_report_says_how_the_trials_of_the_search_were_judged(tmp_path: Path) -> None:
    frame, judged = results({"base": {1: BASE}}), "Trials are judged by the mean f1 over 8 participants in 5 folds."
    text = write_report(frame, inputs(judged=judged), tmp_path)[0].read_text()
    assert f"The search had 4 trials: 3 finished, 1 pruned. {judged} The highest of many validation scores" in text
    assert "all windows of the validation participants" not in text
    text = write_report(frame, inputs(), tmp_path)[0].read_text()  # a study of version 0.1 did not keep it
    assert "1 pruned. Trials were compared by macro F1 over all windows of the validation participants. The" in text


def test_a_report_has_a_seed_of_the_search_only_where_there_was_one(tmp_path: Path) -> None:
    frame = results({"base": {1: BASE}})
    text = write_report(frame, inputs(), tmp_path)[0].read_text()
    assert "\nSeed of the search: 42. Seeds of the evaluation: 1. Commit" in text
    text = write_report(frame, replace(inputs(), outcomes={}), tmp_path)[0].read_text()
    assert "There was no search." in text
    assert "Seed of the search" not in text
    assert "\nSeeds of the evaluation: 1. Commit" in text


def test_a_report_names_methods_that_search_in_each_fold(tmp_path: Path) -> None:
    search = {"search": {"learning_rate": [1e-3, 1e-2]}, "trials": 2}
    content = {"study": "x", "data": "smartwatch", "evaluation": {"methods": {"searched": search, "base": {}}}}
    given = replace(inputs(), settings=parse(content, "the test"), outcomes={})
    text = write_report(results({"base": {1: BASE}, "searched": {1: BETTER}}), given, tmp_path)[0].read_text()
    assert "\n\n2 methods were evaluated, in 20 runs. `searched` chose one of 2 trials in each fold.\n" in text


def test_a_picture_of_an_earlier_report_does_not_stay(tmp_path: Path) -> None:
    frame = results({"base": {1: BASE}, "better": {1: BETTER}})
    kinds = {"base": ("all", "none"), "better": ("head", "none")}
    write_report(frame, inputs(kinds=kinds), tmp_path)
    assert (tmp_path / "masks.png").exists()
    write_report(frame, inputs(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["REPORT.json", "REPORT.md", "participants.png"]
    assert "masks.png" not in (tmp_path / "REPORT.md").read_text()


def test_a_bar_in_a_name_does_not_break_the_table(tmp_path: Path) -> None:
    files = write_report(results({"base": {1: BASE}, "a|b": {1: BETTER}}), inputs(), tmp_path)
    assert r"| `a\|b` | 1 |" in files[0].read_text()


def test_what_cannot_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    frame = results({"base": {1: BASE}})
    with pytest.raises(StudyError, match=r"cannot write into .*Give another folder with --out"):
        write_report(frame, inputs(), tmp_path / "file" / "report")
    with pytest.raises(StudyError, match="'masks' has no evaluation yet"):
        write_report(frame[:0], inputs(), tmp_path)


def test_differences_of_nobody_are_drawn_without_people(recwarn: pytest.WarningsRecorder) -> None:
    (group,) = grouped(results({"base": {1: BASE}, "undefined": {1: [np.nan] * len(BASE)}}), "f1")
    assert differences_figure({group.title: group.comparisons["f1"]}, "f1").axes[0].get_legend() is None
    assert not recwarn.list


def test_participants_are_in_the_order_of_their_numbers() -> None:
    frame = results({"base": {1: BASE}, "better": {1: BETTER}})
    frame["participant"] = frame["participant"].map(
        {name: str(i) for i, name in enumerate(frame["participant"].unique(), 1)}
    )
    (group,) = grouped(frame, "f1")
    legend = differences_figure({group.title: group.comparisons["f1"]}, "f1").axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [str(i) for i in range(1, len(BASE) + 1)]


def test_the_label_of_differences_is_whole_beside_long_names() -> None:
    name = "average of both of the networks"
    (group,) = grouped(results({"base": {1: [*BASE] * 4}, name: {1: [*BETTER] * 4}}), "f1")
    figure = differences_figure({group.title: group.comparisons["f1"]}, "kappa")
    figure.draw_without_rendering()
    label = figure.axes[0].xaxis.label.get_window_extent()
    assert 0 <= label.x0 < label.x1 <= figure.bbox.x1
