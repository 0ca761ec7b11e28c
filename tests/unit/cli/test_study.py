"""What is printed of a study with many trials."""

from __future__ import annotations

from io import StringIO

import optuna
from optuna.trial import TrialState, create_trial
from rich.console import Console

from sslwear.cli.study_output import print_study
from sslwear.tracking import Store
from tests.unit.studies.test_verdict import PEOPLE, study


def printed(made: optuna.Study, store: Store, all_: bool = False) -> list[str]:
    """Lines that are printed of a study."""
    text = StringIO()
    print_study(Console(file=text, width=200), made, store, all_)
    return text.getvalue().splitlines()


def many(number: int) -> optuna.Study:
    """A study with trials of which later ones are better."""
    better = {
        place: {name: score - 0.3 + place / 1000 for name, score in PEOPLE["all"].items()} for place in range(number)
    }
    made = study({"all": PEOPLE["layer5"]})
    (first,) = made.trials
    for people in better.values():
        made.add_trial(
            create_trial(
                value=sum(people.values()) / len(people),
                params=first.params,
                distributions=first.distributions,
                user_attrs={**first.user_attrs, "people": people},
            )
        )
    return made


def test_of_many_trials_the_best_and_the_running_ones_are_printed(store: Store) -> None:
    made = many(110)
    made.ask().set_user_attr("host", "here")
    lines = printed(made, store)
    numbers = [int(line.lstrip("*=").split()[0]) for line in lines[1 : lines.index("")] if "more" not in line]
    assert numbers == [*range(61, 112)]
    assert "61 more trials: sslwear study show tiny --all" in lines
    assert any(line.startswith("Running: trial 111 on here") for line in lines)
    assert len([line for line in printed(made, store, all_=True) if " all " in line]) >= 111
    assert not any("--all" in line for line in printed(made, store, all_=True))


def test_the_estimate_of_the_best_trial_is_not_told_as_that_of_the_simplest(store: Store) -> None:
    lines = printed(study(select="simplest"), store)
    note = "It is the estimate of taking the best trial, although the simplest one is selected."
    assert note in " ".join(lines)


def test_of_a_running_trial_with_two_objectives_no_epochs_are_told(store: Store) -> None:
    made = study({}, second_objective="trainable_parameters")
    both = optuna.create_study(study_name="tiny", directions=["maximize", "minimize"])
    for key, value in made.user_attrs.items():
        both.set_user_attr(key, value)
    both.ask().set_user_attr("host", "here")
    assert "Running: trial 0 on here." in printed(both, store)
    made.ask().set_user_attr("host", "here")
    assert "Running: trial 0 on here, 0 epochs so far." in printed(made, store)


def test_of_up_to_a_hundred_trials_all_are_printed(store: Store) -> None:
    assert not any("more trial" in line for line in printed(many(99), store))
    assert any("more trial" in line for line in printed(many(100), store))


def test_of_many_failed_trials_the_last_are_explained(store: Store) -> None:
    made = study()
    for number in range(12):
        made.add_trial(create_trial(state=TrialState.FAIL, user_attrs={"error": f"reason {number}"}))
    lines = printed(made, store)
    assert next(line for line in lines if line.startswith("Failed: ")) == "Failed: trial 5: reason 2."
    assert "2 earlier trials failed too. --all lists them." in lines
    assert len([line for line in printed(made, store, all_=True) if line.startswith("Failed: ")]) == 12
