"""The section `evaluation` of a study file as typed, validated settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from sslwear.config.kinds import Count, OneOrMore, Section, Seed
from sslwear.config.search import SearchSettings
from sslwear.config.sections import TrainingSettings
from sslwear.config.values import shown


class MethodSettings(TrainingSettings):
    """One of the methods that an evaluation compares: what differs from `training`, or what is made of other methods,
    a baseline, or a probe.

    Only the keys that are given count (`model_fields_set`); the others stay as `training` has them.
    """

    weights: str | None = None
    """Initial weights of the encoder; the study's weights where it is left out."""
    select_on_validation: tuple[str, ...] | None = None
    """Methods of which the best one on the validation participants is taken, in each fold and with each seed."""
    ensemble: tuple[str, ...] | None = None
    """Methods, also baselines and probes, whose class probabilities are averaged, in each fold and with each seed."""
    over_seeds: bool = False
    """Whether an ensemble also averages over the seeds of the evaluation; a single member is enough then."""
    search: SearchSettings | None = None
    """A search of its own in each fold, over the fold's other participants: `trials` trials are judged as those of a
    study, and the selected one is trained anew and tested."""
    trials: Count | None = None
    """Number of trials of the search."""
    baseline: str | None = None
    """A baseline, which is a method without a network, such as random_forest or minirocket."""
    probe: Literal["logistic"] | None = None
    """A linear probe: a logistic regression on the features of the frozen encoder, as its weights or the pretext task
    give it. Of the keys of training, only pretext is used."""
    encoder: str | None = None
    """For a probe: an encoder from elsewhere in place of the study's, by its name in a plug-in."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.search is None) != (self.trials is None):
            raise ValueError("search and trials go together; give both or none")
        if self.search is not None and not self.search.space:
            raise ValueError("search is empty; give it keys, or leave it out")
        for key in ("select_on_validation", "ensemble"):
            names = getattr(self, key)
            if names is not None and len(set(names)) == 1 == len(names) and self.over_seeds:
                continue
            if names is not None and (len(names) < 2 or len(set(names)) < len(names)):
                raise ValueError(f"{key} must list two or more different methods")
        for key in ("select_on_validation", "ensemble", "baseline", "probe", "encoder"):
            if key in self.model_fields_set and getattr(self, key) is None:
                raise ValueError(f"{key} is empty; give it a value, or leave it out")
        if self.encoder is not None and self.probe is None:
            raise ValueError("encoder is for probes only; add probe: logistic, or leave it out")
        own = {"encoder"} if self.encoder is not None else {"weights", "pretext"}
        for key in ("select_on_validation", "ensemble", "baseline", "probe"):
            allowed = {key, *(own if key == "probe" else {"over_seeds"} if key == "ensemble" else ())}
            if key in self.model_fields_set and (others := sorted(self.model_fields_set - allowed)):
                with_ = f"{key} with encoder" if key == "probe" and self.encoder is not None else key
                raise ValueError(f"{with_} cannot be combined with {others[0]}; leave one of them out")
        if "over_seeds" in self.model_fields_set and not self.ensemble:
            raise ValueError("over_seeds is for ensembles; add ensemble, or leave it out")
        return self

    @property
    def members(self) -> tuple[str, ...]:
        """Other methods that it is made of."""
        return self.select_on_validation or self.ensemble or ()

    @property
    def trains(self) -> bool:
        """Whether it trains a network of its own."""
        return not (self.members or self.baseline or self.probe)

    @property
    def uses_encoder(self) -> bool:
        """Whether it starts from the study's encoder, with initial weights and perhaps a pre-training."""
        return self.trains or (self.probe is not None and self.encoder is None)

    @model_serializer(mode="wrap")
    def _given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Only what was given, because what is left out is as `training` has it and not the default."""
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


MethodName = Annotated[str, Field(pattern=r"^\w[\w .,:()+-]*$", max_length=60)]


class EvaluationSettings(Section):
    """Methods compared on test participants, with how sure one can be: `sslwear evaluate`."""

    protocol: Literal["hold_out", "k_fold", "leave_one_out"] = "k_fold"
    """Test participants: those of split (hold_out); each participant once, in groups (k_fold); each participant once,
    alone (leave_one_out)."""
    folds: Annotated[int, Field(ge=2, lt=2**31, strict=True)] = 5
    """Number of groups of k_fold."""
    seeds: tuple[Seed, ...] = (42,)
    """Seeds; each method is trained with each seed in each fold. Folds are the same for all seeds."""
    methods: Annotated[dict[MethodName, MethodSettings], Field(min_length=1)]
    """Methods by name, each with the keys of training that differ."""
    baselines: Annotated[Literal["all", "none"] | OneOrMore, Field(union_mode="left_to_right")] = "all"
    """Baselines that are added to the methods under their own names: all that come with sslwear and are installed, the
    names of some, or none. One that a method already asks for is not added again."""
    smoothing: Literal["none", "hmm"] = "none"
    """Smoothing of predictions over time: none, or a hidden Markov model."""
    refit: bool = False
    """Whether the network is trained again on training and validation participants together, for the number of
    epochs that was best on the validation participants."""
    transductive: bool = False
    """Whether pre-training may use windows of test participants, without their labels. All results are marked with
    it."""
    keep_checkpoints: bool = False
    """Whether the weights of all trained networks are kept."""

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds:
            raise ValueError("give at least one seed, or leave the key out")
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed is given twice")
        return seeds

    @field_validator("baselines")
    @classmethod
    def _names(cls, baselines: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not baselines:
            raise ValueError("give names of baselines, all or none")
        if len(set(baselines)) < len(baselines) and not isinstance(baselines, str):
            raise ValueError("a baseline is given twice")
        return baselines

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.protocol != "k_fold" and self.folds != type(self).model_fields["folds"].default:
            raise ValueError(f"folds is for k_fold only; leave it out with {self.protocol}")
        if self.refit and self.keep_checkpoints:
            raise ValueError("keep_checkpoints keeps networks before the refit; leave it or refit out")
        for key in ("ensemble", "search"):
            if self.smoothing != "none" and any(getattr(method, key) for method in self.methods.values()):
                raise ValueError(f"smoothing is not for methods with {key}; leave one of them out")
        for name, method in self.methods.items():
            self._check_members(name, method)
            if method.over_seeds and len(self.seeds) < 2:
                raise ValueError(f"methods: {name!r} averages over seeds, and there is one seed only; add seeds")
        return self

    def _check_members(self, name: str, method: MethodSettings) -> None:
        """Check that a method is made of methods that give what it combines.

        Raises:
            ValueError: when one of them does not exist, or does not give it.
        """
        fitted = [key for key, other in self.methods.items() if other.baseline or other.probe]
        trained = [key for key, other in self.methods.items() if other.trains and (method.ensemble or not other.search)]
        possible = [key for key in self.methods if key in trained or (method.ensemble and key in fitted)]
        alone = "train a network without a search"  # which uses the validation participants too
        what = "train a network, or are baselines or probes" if method.ensemble else alone
        for member in method.members:
            if member not in possible:
                raise ValueError(
                    f"methods: {name!r} names {shown(member)}, which is none of the methods that {what}: "
                    f"{', '.join(possible) or 'there are none'}"
                )
