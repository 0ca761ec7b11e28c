"""MLflow model of a promoted classifier; the model contains a copy of this file, which loads it."""

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
    """Classifier of windows (N, samples, 3) or (N, 3, samples) in g."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load weights and card without unpickling."""
        if find_spec("sslwear") is None:  # the model contains the required files of the package
            sys.path.append(context.artifacts["code"])
        from sslwear.encoders.classifier import Model

        self._model = Model.load(Path(context.artifacts["model"]))

    def predict(  # MLflow derives a schema from other annotations of the input
        self, context: PythonModelContext, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Table with one row for each window: ``label``, and ``p_CLASS`` of each class.

        Args:
            context: not used.
            model_input: windows in g at the model's rate.
            params: not used.

        Raises:
            MlflowException: when shape or unit of the input are wrong; a server answers with status 400.
        """
        from sslwear.errors import SslwearError

        try:
            return self._model.predict(model_input)
        except SslwearError as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error


set_model(WindowClassifier())
