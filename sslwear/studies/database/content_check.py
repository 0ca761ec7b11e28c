"""Check of what a store keeps of a study, which another program or version may have written."""

from __future__ import annotations

import optuna
from optuna.trial import TrialState

from sslwear.errors import SslwearError, StudyError
from sslwear.studies.database.tested_trials import main_scores, past_evaluations, scored_trials
from sslwear.studies.database.trials import kept_settings, score_of
from sslwear.tracking.outages import is_outage
from sslwear.utils.masking import one_line


def check_content(study: optuna.Study) -> None:
    """Check that settings, trials and test scores of a study can be read.

    Raises:
        StudyError: when one of them cannot, or another program created the study.
    """
    try:
        kept_settings(study)
        past_evaluations(study)
        for number in scored_trials(study):
            main_scores(study, number)
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            if score_of(trial) is None or "run_id" not in trial.user_attrs:
                raise ValueError(f"trial {trial.number} has finished and has no score or no run")
    except SslwearError:
        raise
    except Exception as error:  # Optuna and SQLAlchemy raise anything
        if is_outage(error):
            raise
        raise StudyError(
            f"the store keeps something of the study {study.study_name!r} that cannot be read ({one_line(error)}). "
            "Restore the store from a backup, or use another name with --set study=NAME"
        ) from error
