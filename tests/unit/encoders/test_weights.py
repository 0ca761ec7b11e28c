"""Reading encoder weights: all tensors arrive, or an error says why and nothing has changed."""

import io
import logging
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sslwear.encoders import weights
from sslwear.encoders.base import Encoder, Network
from sslwear.encoders.harnet import Harnet5, Harnet10, Harnet30
from sslwear.encoders.heads import Classifier
from sslwear.errors import WeightsError

State = dict[str, Tensor]
FIRST = "feature_extractor.layer1.0.weight"
HEADS = ("aot_h", "permute_h", "scale_h", "time_w_h")


@pytest.fixture(scope="module")
def trained() -> State:
    """The tensors of a harnet5 with a head whose every number differs from a new one's, counters included."""
    network = Network(Harnet5(), Classifier(Harnet5.features, 4))
    generator = torch.Generator().manual_seed(0)
    for value in network.state_dict().values():
        value.copy_(1 + 8 * torch.rand(value.shape, generator=generator))
    return network.state_dict()


@pytest.fixture
def body(trained: State) -> State:
    return {name: value for name, value in trained.items() if name.startswith("feature_extractor.")}


def published(body: State) -> State:
    """A state dict as the published checkpoints have it: every key prefixed, pretext heads among them."""
    heads = {
        f"{head}.linear1.{kind}": torch.zeros(2, Harnet5.features) for head in HEADS for kind in ("weight", "bias")
    }
    return {f"module.{name}": value for name, value in {**heads, **body}.items()}


def same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(
        value.dtype == other[name].dtype and torch.equal(value, other[name]) for name, value in one.items()
    )


def tensors(encoder: Encoder) -> State:
    return {name: value.clone() for name, value in encoder.state_dict().items()}


def saved(thing: Any, path: Path, zipped: bool = True) -> Path:
    torch.save(thing, path, _use_new_zipfile_serialization=zipped)
    return path


def test_a_saved_network_is_read_with_every_tensor(trained: State, tmp_path: Path) -> None:
    network = Network(Harnet5(), Classifier(Harnet5.features, 4))
    network.load_state_dict(trained)
    weights.save(network, tmp_path / "weights.safetensors")
    state = weights.read(tmp_path / "weights.safetensors")
    assert len(state) == 135
    assert same(state, trained)
    encoder = Harnet5()
    assert weights.load_encoder(encoder, state, "weights.safetensors") == 131
    assert same(encoder.state_dict(), {name: value for name, value in trained.items() if "classifier" not in name})


@pytest.mark.parametrize("suffix", [".mdl", ".pt"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_published_checkpoint_loads_all_131_tensors(body: State, tmp_path: Path, suffix: str, zipped: bool) -> None:
    state = weights.read(saved(published(body), tmp_path / f"weights{suffix}", zipped))
    assert len(state) == 131 + 2 * len(HEADS)
    encoder = Harnet5()
    assert weights.load_encoder(encoder, state, "the checkpoint") == 131
    assert same(encoder.state_dict(), body)


def test_loading_copies_the_tensors(body: State) -> None:
    encoder, before = Harnet5(), body[FIRST].clone()
    weights.load_encoder(encoder, body, "the checkpoint")
    encoder.state_dict()[FIRST].zero_()
    assert torch.equal(body[FIRST], before)


def without_first(body: State) -> State:
    return {name: value for name, value in body.items() if name != FIRST}


WRONG: list[tuple[Callable[[State], State], str, str]] = [
    (without_first, "130 of 131", "layer1.0.weight is missing"),
    (
        lambda body: {**body, "feature_extractor.layer6.0.weight": torch.zeros(1)},
        "131 of 131",
        "layer6.0.weight is not",
    ),
    (
        lambda body: {**body, FIRST: body[FIRST][:, :2]},
        "130 of 131",
        r"layer1.0.weight has shape \[64, 2, 5\] where harnet5 has \[64, 3, 5\]",
    ),
    (
        lambda body: {name.replace("layer1.0", "layer1.9"): value for name, value in body.items()},
        "130 of 131",
        r"layer1.0.weight is missing; layer1.9.weight is not in harnet5",
    ),
    (lambda body: {f"encoder.{name}": value for name, value in body.items()}, "0 of 131", "and 126 more"),
    (lambda body: {name: value for name, value in published(body).items() if "_h." in name}, "0 of 131", "is missing"),
    (lambda body: {}, "0 of 131", "is missing"),
]


@pytest.mark.parametrize(
    ("spoil", "matching", "named"), WRONG, ids=["missing", "extra", "misshapen", "renamed", "nothing", "heads", "empty"]
)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_checkpoint_that_does_not_fit_is_named_and_nothing_changes(
    body: State, spoil: Callable[[State], State], matching: str, named: str, prefix: str
) -> None:
    encoder = Harnet5()
    before = tensors(encoder)
    state = {prefix + name.removeprefix("module."): value for name, value in spoil(body).items()}
    with pytest.raises(WeightsError, match=rf"old\.mdl does not fit harnet5, {matching} tensors match: .*{named}"):
        weights.load_encoder(encoder, state, "old.mdl")
    assert same(encoder.state_dict(), before)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda value: value * torch.nan, "has NaN or infinite values"),
        (lambda value: value.int(), "is of torch.int32"),
        (lambda value: value.to_sparse(), "torch.sparse_coo"),
        (lambda value: value.to(torch.complex64), "is of torch.complex64"),
    ],
)
def test_an_unusable_tensor_is_named_and_nothing_changes(
    body: State, change: Callable[[Tensor], Tensor], words: str
) -> None:
    encoder = Harnet5()
    before = tensors(encoder)
    with pytest.raises(WeightsError, match=r"cannot be used, layer1\.0\.weight .*give another checkpoint") as raised:
        weights.load_encoder(encoder, {**body, FIRST: change(body[FIRST])}, "the checkpoint")
    assert words in str(raised.value)
    assert same(tensors(encoder), before)


def test_error_for_a_file_that_is_not_a_checkpoint_is_readable(tmp_path: Path) -> None:
    (tmp_path / "text.mdl").write_text("hello")
    torch.save(nn.Linear(2, 2), tmp_path / "module.mdl")
    with pytest.raises(WeightsError, match=r"safely \([A-Z][a-zA-Z]+\);"):
        weights.read(tmp_path / "text.mdl")
    with pytest.raises(WeightsError) as raised:
        weights.read(tmp_path / "module.mdl")
    assert str(raised.value).isprintable()


def test_weights_of_harnet30_do_not_fit_harnet10() -> None:
    encoder, state = Harnet10(), Harnet30().state_dict()
    before = tensors(encoder)
    with pytest.raises(WeightsError) as caught:
        weights.load_encoder(encoder, state, "harnet30.mdl")
    assert str(caught.value) == (
        "weights: harnet30.mdl does not fit harnet10, 128 of 131 tensors match: "
        "layer1.5.kernel has shape [64, 1, 5] where harnet10 has [64, 1, 4]; "
        "layer2.5.kernel has shape [128, 1, 5] where harnet10 has [128, 1, 4]; "
        "layer5.3.kernel has shape [1024, 1, 4] where harnet10 has [1024, 1, 5]; "
        "choose the encoder that it was made for"
    )
    assert same(encoder.state_dict(), before)


def test_a_network_loads_only_checkpoints_that_fit(trained: State) -> None:
    network = Network(Harnet5(), Classifier(Harnet5.features, 4))
    weights.load_network(network, trained, "the champion")
    assert same(network.state_dict(), trained)
    other = Network(Harnet5(), Classifier(Harnet5.features, 3))
    with pytest.raises(WeightsError, match=r"^the champion does not fit this network: .*classifier\.linear2\.weight"):
        weights.load_network(other, trained, "the champion")


class Bomb:
    """Object whose unpickling creates a file, as an example of an attacker's code."""

    def __init__(self, crater: Path) -> None:
        self.crater = crater

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.touch, (self.crater,)


def plain_pickle(thing: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(thing, protocol=2))


@pytest.mark.parametrize(
    "write",
    [saved, lambda thing, path: saved(thing, path, zipped=False), plain_pickle],
    ids=["zip", "legacy", "plain pickle"],
)
@pytest.mark.parametrize("wrap", [lambda bomb: bomb, lambda bomb: {FIRST: bomb}], ids=["bare", "in a state dict"])
def test_a_pickle_that_would_run_code_is_refused(
    tmp_path: Path, write: Callable[[Any, Path], object], wrap: Callable[[Bomb], Any]
) -> None:
    path, crater = tmp_path / "weights.pt", tmp_path / "crater"
    write(wrap(Bomb(crater)), path)
    with pytest.raises(WeightsError, match=r"weights\.pt is not a checkpoint that can be read safely"):
        weights.read(path)
    assert not crater.exists()
    if write is plain_pickle:
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert crater.exists(), "the pickle is harmless, so that refusing it proves nothing"


@pytest.mark.parametrize(
    "thing",
    [{"epoch": 3, "state_dict": {FIRST: torch.zeros(1)}}, [torch.zeros(1)], torch.zeros(1), 5, {FIRST: [0.5]}],
    ids=["training state", "list", "tensor", "number", "lists by name"],
)
def test_a_file_that_holds_no_state_dict_is_refused(tmp_path: Path, thing: Any) -> None:
    path = saved(thing, tmp_path / "weights.pt")
    with pytest.raises(WeightsError, match=r"weights\.pt holds something other than a state dict"):
        weights.read(path)


@pytest.mark.parametrize("suffix", [".pt", ".mdl", ".safetensors"])
@pytest.mark.parametrize(
    "content",
    [b"", b"<!DOCTYPE html>\n<html>", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", b"PK\x03\x04"],
    ids=["empty", "web page", "git-lfs pointer", "half a zip"],
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="is not a checkpoint that can be read safely"):
        weights.read(path)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_checkpoint_cut_short_is_refused_wherever_it_is_cut(tmp_path: Path, zipped: bool) -> None:
    file = io.BytesIO()
    torch.save({FIRST: torch.ones(64, 3, 5)}, file, _use_new_zipfile_serialization=zipped)
    whole, path = file.getvalue(), tmp_path / "weights.mdl"
    for length in [*range(0, 500, 7), *range(500, len(whole), 50), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match="is not a checkpoint that can be read safely"):
            weights.read(path)


def test_tensors_that_have_no_names_are_refused(tmp_path: Path) -> None:
    path = saved({0: torch.zeros(1), 1: torch.zeros(1)}, tmp_path / "weights.pt")
    with pytest.raises(WeightsError):
        weights.load_encoder(Harnet5(), weights.read(path), "weights.pt")


@pytest.mark.parametrize("name", ["absent.mdl", "absent.safetensors", "."])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError) as caught:
        weights.read(tmp_path / name)
    assert str(caught.value) == f"weights: there is no file {tmp_path / name}; give the path of a checkpoint"


HUBCONF = """
dependencies = ["torch"]

import torch

from sslwear.encoders.base import Network
from sslwear.encoders.harnet import Harnet5
from sslwear.encoders.heads import Classifier


def harnet5(pretrained=False, **kwargs):
    network = Network(Harnet5(), Classifier(Harnet5.features, 2))
    for value in network.state_dict().values():
        value.fill_(3 if pretrained else 0)
    return network


def harnet10(pretrained=False, **kwargs):
    raise OSError("the server is away")


def harnet30(pretrained=False, **kwargs):
    return None
"""


@pytest.fixture
def hub(tmp_path: Path) -> str:
    (tmp_path / "hubconf.py").write_text(HUBCONF)
    return str(tmp_path)


def test_hub_weights_are_pretrained_and_their_licence_is_logged(hub: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="sslwear.encoders.weights"):
        state = weights.from_hub("harnet5", hub, source="local")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("WARNING", weights.HUB_LICENCE)]
    assert "academic use only" in weights.HUB_LICENCE
    encoder = Harnet5()
    assert weights.load_encoder(encoder, state, "the hub") == 131
    assert {value.unique().item() for value in encoder.state_dict().values()} == {3}


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("harnet10", "OSError: the server is away"),
        ("harnet99", "RuntimeError: .*harnet99"),
        ("harnet30", "AttributeError"),
    ],
    ids=["raises", "has no such model", "gives no module"],
)
def test_a_failing_hub_is_a_weights_error_with_the_cause(hub: str, name: str, cause: str) -> None:
    with pytest.raises(WeightsError, match=rf"torch\.hub could not load {name} from .*\({cause}"):
        weights.from_hub(name, hub, source="local")


@pytest.fixture
def hub_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty folder of `torch.hub`."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.delenv(weights.HUB_CONSENT, raising=False)
    return tmp_path / "hub"


def test_an_encoder_without_published_weights_costs_no_licence_question(hub_folder: Path) -> None:
    with pytest.raises(WeightsError, match="multiscale has no published weights, but harnet5, harnet10, harnet30 have"):
        weights.from_hub("multiscale")
    assert not hub_folder.exists()


def test_default_hub_is_a_fixed_commit_of_the_published_weights(
    hub_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setenv(weights.HUB_CONSENT, "accepted")

    def load(repository: str, model: str, **options: Any) -> nn.Module:
        asked.append((repository, model, options["source"], options["pretrained"]))
        return nn.Linear(1, 1)

    monkeypatch.setattr(torch.hub, "load", load)
    assert weights.from_hub("harnet10").keys() == {"weight", "bias"}
    assert asked == [(f"OxWearables/ssl-wearables:{weights.HUB_COMMIT}", "harnet10", "github", True)]
    assert re.fullmatch("[0-9a-f]{40}", weights.HUB_COMMIT)
    assert list(hub_folder.iterdir())


class Terminal(io.StringIO):
    """Standard input of a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_licence_is_accepted_once(
    hub_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(torch.hub, "load", lambda *_, **__: nn.Linear(1, 1))
    monkeypatch.setattr("sys.stdin", Terminal("n\nyes\n"))
    with pytest.raises(WeightsError, match="licence was not accepted"):
        weights.from_hub("harnet10")
    assert not hub_folder.exists()
    weights.from_hub("harnet10")
    asked = capsys.readouterr()
    assert (asked.out.count(weights.HUB_TERMS), asked.err) == (2, "")  # logged, not printed
    assert caplog.messages == [weights.HUB_LICENCE] * 2
    weights.from_hub("harnet10")
    assert not capsys.readouterr().out


def test_without_a_terminal_a_variable_accepts_the_licence(hub_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "load", lambda *_, **__: nn.Linear(1, 1))
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(WeightsError, match=f"or set {weights.HUB_CONSENT}=accepted"):
        weights.from_hub("harnet10")
