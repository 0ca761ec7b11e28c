"""A promoted classifier as an MLflow model, which keeps a copy of this file and runs that to be loaded."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext


class WindowClassifier(PythonModel):
    """Windows (N, samples, 3) or (N, 3, samples) in g to labels and class probabilities."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read weights and card; nothing is unpickled."""
        if find_spec("sslwear") is None:  # what is needed of it is in the model
            sys.path.append(context.artifacts["code"])
        from sslwear.encoders.classifier import Model

        self._model = Model.load(Path(context.artifacts["model"]))

    def predict(  # MLflow takes any annotation of the input but the plain array for a schema
        self, context: PythonModelContext, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """One row a window: ``label``, and for each class ``p_CLASS``.

        Args:
            context: not needed.
            model_input: windows in g at the model's rate.
            params: there are none.

        Raises:
            MlflowException: when the input is not windows as the model takes them; a server answers 400 then.
        """
        from sslwear.errors import SslwearError

        try:
            return self._model.predict(model_input)
        except SslwearError as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error


set_model(WindowClassifier())
