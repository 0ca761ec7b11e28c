"""Registered models: texts as long as MLflow's tables take, and histories of aliases."""

from __future__ import annotations

from pathlib import Path

import pytest

from sslwear.cli.predict import _Named
from sslwear.deployment import model_aliases, registry
from sslwear.deployment.registry import LONGEST_TEXT, find_model, find_version, publish, whole_card
from sslwear.errors import StudyError
from sslwear.tracking import Store


def published(store: Store, folder: Path, card: str, about: str = "about") -> None:
    """Publish a model whose files are its card."""
    folder.mkdir(exist_ok=True)
    (folder / "README.md").write_text(card, encoding="utf-8")
    run = store.create_run(store.experiment("tiny"), "some", "train")
    publish(store, "tiny", run.id, folder, about, card, {}, {})


def test_a_long_model_card_is_shortened_and_shown_whole(store: Store, tmp_path: Path) -> None:
    card = "".join(f"- `method {i}`, kappa 0.5 ± 0.1\n" for i in range(500))
    published(store, tmp_path / "model", card)
    version = find_version(store, "tiny/1")
    text = version.description or ""
    beginning, end = text.split("\n\n")
    assert LONGEST_TEXT - 50 < len(text) <= LONGEST_TEXT
    assert card.startswith(f"{beginning}\n")
    assert end == "The model card goes on in README.md among the files of the model."
    assert whole_card(store, version) == card


def test_the_history_of_an_alias_forgets_its_beginning(store: Store, tmp_path: Path) -> None:
    for _ in range(2):
        published(store, tmp_path / "model", "card")
    moves = 60
    for i in range(moves):
        before = None if i == 0 else str(2 - i % 2)
        model_aliases.move_alias(store, "tiny", "champion", str(1 + i % 2), f"reason {i} {'long ' * 20}", before)
    assert len(find_model(store, "tiny").tags["sslwear.history.champion"]) <= LONGEST_TEXT
    whys = [step["why"].split()[1] for step in model_aliases.history(store, "tiny", "champion")]
    assert len(whys) > 20
    assert whys == [str(i) for i in range(moves - len(whys), moves)]
    assert model_aliases.rollback(store, "tiny") == ("version 2", "1")


def test_a_long_reason_is_cut_off_in_the_history_of_an_alias(store: Store, tmp_path: Path) -> None:
    published(store, tmp_path / "model", "card")
    model_aliases.move_alias(store, "tiny", "champion", "1", f"checked \N{GRINNING FACE}{'走' * 5000}", None)
    assert len(find_model(store, "tiny").tags["sslwear.history.champion"]) <= LONGEST_TEXT
    assert model_aliases.history(store, "tiny", "champion")[0]["why"].startswith("checked \N{GRINNING FACE}走走走")


def test_a_long_description_of_a_model_is_cut_off(store: Store, tmp_path: Path) -> None:
    published(store, tmp_path / "model", "card", about="a class, " * 1000)
    assert find_model(store, "tiny").description == ("a class, " * 1000)[:LONGEST_TEXT]


def test_an_alias_that_is_not_set_is_not_rolled_back(store: Store, tmp_path: Path) -> None:
    published(store, tmp_path / "model", "card")
    model_aliases.move_alias(store, "tiny", "champion", "1", "the first", None)
    with pytest.raises(StudyError, match=r"no alias 'champoin'\. Existing aliases: tiny@champion"):
        model_aliases.rollback(store, "tiny", "champoin")


def test_a_prediction_names_the_version_that_it_loaded(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        published(store, tmp_path / "model", "card")
    model_aliases.move_alias(store, "tiny", "champion", "1", "the first", None)

    def load(store: Store, reference: str) -> str:
        loaded = str(find_version(store, reference).version)
        model_aliases.move_alias(store, "tiny", "champion", "2", "somebody promotes meanwhile", "1")
        return loaded

    monkeypatch.setattr(registry, "load_model", load)
    found = _Named.find(store, "tiny@champion")
    assert (found.loaded, found.name, found.version) == ("1", "tiny", "1")
