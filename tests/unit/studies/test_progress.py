"""How scores are told."""

from sslwear.studies.progress import beside_chance


def test_a_score_stands_beside_chance_where_there_is_such() -> None:
    assert beside_chance({"kappa": 0.5, "f1": 0.25}, "kappa") == "kappa 0.500"
    assert beside_chance({"r2": 0.8125, "chance": 0.0}, "r2") == "r2 0.812 (chance 0.000)"
