"""Errors that a user can correct: one sentence saying what is wrong, where, and what to do."""


class SslwearError(Exception):
    """An error that the user can correct; the command line prints it without a traceback."""


class SettingsError(SslwearError):
    """A study file or an option has an unknown key, an impossible value, or a name that does not exist."""


class DataError(SslwearError):
    """A data set or a recording cannot be used as it is.

    Args:
        message: what is wrong, where, and what to do.
        reason: the kind of error in a few words, by which a summary of many recordings counts; None for none.
    """

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class DataChangedError(DataError):
    """The files of a data set were changed while it was in use."""


class DivergenceError(SslwearError):
    """The loss of a training is not finite."""


class ProcessLostError(SslwearError):
    """Another of the processes that train a network together has ended."""


class WeightsError(SslwearError):
    """A checkpoint cannot be found, or does not fit the encoder."""


class LeakageError(SslwearError):
    """A participant would be on two sides of a split."""


class StudyError(SslwearError):
    """A study cannot be started, resumed or shown."""
