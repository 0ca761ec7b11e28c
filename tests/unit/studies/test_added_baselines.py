"""Baselines that are added to the methods of an evaluation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from sslwear.config import MethodSettings, parse
from sslwear.errors import SettingsError
from sslwear.evaluation.baselines import base
from sslwear.evaluation.baselines.extra_trees import ExtraTrees
from sslwear.evaluation.baselines.minirocket import MiniRocket
from sslwear.evaluation.baselines.random_forest import RandomForest
from sslwear.studies.evaluations.added_baselines import with_baselines
from sslwear.studies.setup.names import check_baseline

OWN = ["extra_trees", "minirocket", "random_forest"]


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every package were installed."""
    monkeypatch.setattr(base, "find_spec", lambda name: object() if name not in sys.modules else sys.modules[name])


def added(methods: dict[str, Any], **changes: Any) -> dict[str, MethodSettings]:
    """All methods of an evaluation."""
    content = {"study": "a", "data": "b", "evaluation": {"methods": methods, **changes}}
    settings, notes = with_baselines(parse(content, "the test"))
    assert notes == []
    assert settings.evaluation is not None
    assert settings.evaluation.baselines == "none"
    assert with_baselines(settings) == (settings, [])
    assert parse(settings.model_dump(mode="json"), "the test") == settings
    return dict(settings.evaluation.methods)


def test_the_packages_own_are_known() -> None:
    assert base.own() == dict(zip(OWN, (ExtraTrees, MiniRocket, RandomForest), strict=True))


def test_by_default_all_are_added_behind_the_methods() -> None:
    found = added({"zero": {}, "all blocks": {"tuning": "all"}})
    assert list(found) == ["zero", "all blocks", *OWN]
    assert [found[name] for name in OWN] == [MethodSettings(baseline=name) for name in OWN]


def test_a_baseline_that_a_method_asks_for_is_not_added_again() -> None:
    assert list(added({"forest": {"baseline": "random_forest"}})) == ["forest", "extra_trees", "minirocket"]
    assert list(added({"a": {}}, baselines="none")) == ["a"]
    assert list(added({"a": {}}, baselines="random_forest")) == ["a", "random_forest"]
    assert list(added({"a": {}}, baselines=["random_forest", "extra_trees"])) == ["a", "random_forest", "extra_trees"]


def test_a_method_that_has_the_name_of_a_baseline_keeps_it() -> None:
    found = added({"minirocket": {"tuning": "head"}, "a": {"baseline": "extra_trees"}}, baselines=OWN)
    assert found["minirocket"] == MethodSettings(tuning="head")
    assert found["minirocket (baseline)"] == MethodSettings(baseline="minirocket")
    assert list(found) == ["minirocket", "a", "minirocket (baseline)", "random_forest"]


def test_a_plugin_is_added_by_name_only(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from sslwear.evaluation.baselines.random_forest import RandomForest\n\n\n"
        'class Mine(RandomForest):\n    name = "mine"\n'
    )
    content = {"study": "a", "data": "b", "plugins": str(tmp_path / "mine.py"), "evaluation": {"methods": {"a": {}}}}
    settings, _ = with_baselines(parse(content, "the test"))
    assert settings.evaluation is not None
    assert "mine" not in settings.evaluation.methods
    content["evaluation"] = {"methods": {"a": {}}, "baselines": ["mine"]}
    settings, _ = with_baselines(parse(content, "the test"))
    assert settings.evaluation is not None
    assert list(settings.evaluation.methods) == ["a", "mine"]


def test_a_study_without_an_evaluation_is_not_changed() -> None:
    settings = parse({"study": "a", "data": "b"}, "the test")
    assert with_baselines(settings) == (settings, [])


def test_names_that_do_not_exist_are_refused() -> None:
    with pytest.raises(
        SettingsError, match=r"evaluation.baselines: there is no 'svm'; choose one of extra_trees, mini"
    ):
        added({"a": {}}, baselines=["svm"])
    with pytest.raises(SettingsError, match=r"evaluation.methods.b.baseline: there is no 'svm'"):
        added({"a": {}, "b": {"baseline": "svm"}})


def test_one_without_its_package_is_left_out_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aeon", None)
    content = {"study": "a", "data": "b", "evaluation": {"methods": {"a": {}}}}
    settings, notes = with_baselines(parse(content, "the test"))
    assert settings.evaluation is not None
    assert list(settings.evaluation.methods) == ["a", "extra_trees", "random_forest"]
    needs = "the package aeon, which pip install 'sslwear[baselines]' installs"
    assert notes == [f"the baseline minirocket is left out: it needs {needs}"]
    with pytest.raises(SettingsError) as refused:
        added({"a": {}}, baselines=["minirocket"])
    assert str(refused.value) == f"evaluation.baselines: the baseline minirocket needs {needs}"
    with pytest.raises(SettingsError, match=r"^baseline: the baseline minirocket needs the package aeon"):
        check_baseline("minirocket", "baseline")
