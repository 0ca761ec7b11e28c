"""Passwords and tokens in what is printed or logged."""

import pytest

from sslwear.utils.masking import masked, one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://lab:s3cret@db.lab/optuna", "postgresql://lab:***@db.lab/optuna"),
        (
            "postgresql+psycopg://lab:p@ss/w:rd@db:5432/x?sslmode=require",
            "postgresql+psycopg://lab:***@db:5432/x?sslmode=require",
        ),
        ("at http://me:s3cret@lab:5000/#/experiments/1 now", "at http://me:***@lab:5000/#/experiments/1 now"),
        ("https://ghp_abc@github.com/x.git", "https://***@github.com/x.git"),
        ("MLFLOW_TRACKING_PASSWORD=s3cret sslwear ui", "MLFLOW_TRACKING_PASSWORD=*** sslwear ui"),
        ("{'token': 's3cret', 'n': 3}", "{'token': ***, 'n': 3}"),
        ("postgresql://h/db?user=a&password=s3cret&x=1", "postgresql://h/db?user=a&password=***&x=1"),
        ("postgresql://h/db?sslkey=k&sslpassword=s3cret&x=1", "postgresql://h/db?sslkey=k&sslpassword=***&x=1"),
        ("PGPASSWORD=s3cret psql", "PGPASSWORD=*** psql"),
        ("at http://me:p@ss@lab:5000/x now", "at http://me:***@lab:5000/x now"),
        ("api_key: s3cret", "api_key: ***"),
        ("Authorization: Bearer eyJhbGciOiJ", "Authorization: Bearer ***"),
        ("Authorization: Basic dXNlcjpwYXNz now", "Authorization: Basic *** now"),
        ("password='a b c', x", "password=***, x"),
        ("https://h/x?X-Amz-Signature=abc&sig=def", "https://h/x?X-Amz-Signature=***&sig=***"),
    ],
)
def test_a_secret_is_hidden_and_the_rest_stays(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////home/me/mlruns/mlflow.db",
        "http://127.0.0.1:5000/#/models/tiny@champion",
        "runs:/0123 and models:/tiny@champion at http://lab:5000",
        "postgresql://db.lab/optuna",
        "learning_rate: 0.001, tuning: all",
        "token_count=3, secretary: Ann",
        "#12 layer4-5 lr=3e-4 permutation",
        "basic training, Basic exercises, basic fine-tuning, basic layer4-5 lr=1e-4",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text


def test_an_error_on_one_line() -> None:
    assert one_line(ValueError("no\n  postgresql://a:b@c\n")) == "no postgresql://a:***@c"
    assert one_line(ValueError("x" * 500), 10) == "x" * 10


@pytest.mark.parametrize("letters", ["x", "A1b2", "a_", "T-0", "ab+/9", "token"])
def test_a_very_long_word_takes_no_time(letters: str) -> None:
    word = letters * 100_000
    assert masked(f"{word} my_token=abc {word}_token=abc") == f"{word} my_token=*** {word}_token=***"
