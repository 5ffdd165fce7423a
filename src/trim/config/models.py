"""The part of the config that says which models there are: language models and PRMs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Union

from pydantic import AfterValidator, Field, JsonValue, model_validator

from trim.config.section import Count, Flag, Number, Section, Share, unrepeated
from trim.plugins import added

SYSTEM = (
    "system message, before the problem where the chat template has no place for one; without it, the template's own"
)


STEP_TAG = "token at which a step is judged, inserted behind each step"
KEEPS_SEPARATOR = "whether the blank line stands before the step tag (PRMs trained here), or is left out"


class Sampling(Section):
    """How steps are sampled, in every experiment (paper's code: 0.7, 0.8, 20)."""

    temperature: Number = Field(0.7, ge=0, description="0 takes the likeliest token")
    top_p: Number = Field(0.8, gt=0, le=1, description="nucleus mass")
    top_k: int = Field(20, ge=0, strict=True, description="0 keeps the whole vocabulary")
    max_step_tokens: Count = Field(32, description="token limit of one step")


class Architecture(Section):
    """Shape of a Qwen2 model."""

    hidden_size: Count = Field(64, description="width")
    layers: Count = Field(2, description="number of layers")
    heads: Count = Field(4, description="attention heads")
    intermediate_size: Count = Field(192, description="width of the feed-forward part")

    @model_validator(mode="after")
    def _divides(self) -> Architecture:
        if self.hidden_size % (2 * self.heads):
            raise ValueError(f"hidden_size {self.hidden_size} is not an even multiple of heads {self.heads}")
        return self


class TrainedModel(Section):
    """A language model trained from scratch by the pipeline."""

    kind: Literal["trained"] = "trained"
    architecture: Architecture = Field(default_factory=Architecture, description="shape of the model")
    training_steps: Count = Field(2800, description="optimiser steps of the full schedule")
    batch_problems: Count = Field(16, description="problems in a batch")
    learning_rate: Number = Field(3e-3, gt=0, description="AdamW, for embeddings, norms and biases")
    matrix_learning_rate: Number = Field(0.011, gt=0, description="Muon, for weight matrices")
    warm_up_short: Share = Field(0.1, description="first share of the schedule, on short problems mostly")
    decay_share: Share = Field(0.4, description="last share of the schedule, where learning rates fall to zero")
    accuracy_band: tuple[Share, Share] = Field(
        (0.25, 0.45), description="aim for the accuracy of the model alone; the snapshot is picked on dev"
    )
    stop_at: Share = Field(0.35, description="dev accuracy at which training stops early")
    further_rounds: int = Field(
        3,
        ge=0,
        le=100,
        strict=True,
        description="how often, at most, the second half of the schedule is gone through again while no snapshot lies "
        "in the band: some seeds learn later than others",
    )
    check_every: Count = Field(50, description="optimiser steps between evaluations on dev")
    check_from: Share = Field(0.7, description="share of the schedule before the first evaluation")
    check_problems: Count = Field(200, description="dev problems of an evaluation")

    @model_validator(mode="after")
    def _band_rises(self) -> TrainedModel:
        if self.accuracy_band[0] >= self.accuracy_band[1]:
            raise ValueError("accuracy_band: the first share must lie below the second")
        return self


Precision = Literal["float32", "bfloat16"]
PRECISION = (
    "float32: bit for bit the same steps on any CPU of a kind; bfloat16: for GPUs, and CPUs with bf16 instructions, "
    "what a step is depends on its batch in the last bits, and the step store defines it"
)


class PretrainedModel(Section):
    """A model from a folder or the hub, run in process."""

    kind: Literal["pretrained"] = "pretrained"
    name: str = Field(description="folder or hub name")
    revision: str | None = Field(None, description="hub revision to pin")
    system: str | None = Field(None, description="system message; without one, the chat template's own")
    dtype: Precision = Field("float32", description=PRECISION)


class GgufModel(Section):
    """A model from a GGUF file, dequantised once into a folder beside the step store and run in process."""

    kind: Literal["gguf"] = "gguf"
    file: str = Field(description="the file's path, or its name in `repository`")
    repository: str | None = Field(None, description="hub name of the repository that holds the file; null for a path")
    revision: str | None = Field(None, description="hub revision to pin")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="what the file must hash to; identifies the model")
    system: str | None = Field(None, description="system message; without one, the chat template's own")
    dtype: Precision = Field("bfloat16", description=PRECISION)

    def folder(self, step_store: str) -> str:
        """Return where the dequantised model lies."""
        return f"{step_store}/gguf/{self.sha256[:16]}"


class ServedModel(Section):
    """A language model on a vLLM server, which the pipeline starts unless `serving.endpoints` names one."""

    kind: Literal["served"] = "served"
    name: str = Field(description="folder or hub name; also the name that the server knows the model by")
    revision: str | None = Field(None, description="hub revision to pin")
    system: str | None = Field(None, description=SYSTEM)
    thinking: Flag = Field(False, description="`enable_thinking` of the chat template (Qwen3)")
    max_model_len: Count = Field(4096, description="tokens of prompt and step together; no room left ends a solution")


class ApiModel(Section):
    """A language model behind an OpenAI-compatible chat API that can continue an assistant message."""

    kind: Literal["api"] = "api"
    name: str = Field(description="the model's name at the API")
    system: str | None = Field(None, description="system message")
    prefill: Literal["continue_final_message", "prefix", "assistant_last"] = Field(
        description="how the API is asked to continue the assistant's message: by the flag of vLLM and SGLang, "
        "by `prefix: true` (DeepSeek, Mistral), or by that message standing last"
    )
    extra: dict[str, JsonValue] = Field(
        default_factory=dict, description="more keys of the request, such as top_k; null leaves one out, such as seed"
    )


StepLabels = Literal["local", "global"]
STEP_LABELS = (
    "what it learns of a step: whether it is right given the text before it, or, as ProcessBench labels steps, whether "
    "it and all before it are"
)


class LikelihoodPRM(Section):
    """A PRM that reads the likelihood of a step under its own language-model head."""

    kind: Literal["likelihood"] = "likelihood"
    backbone: Literal["weak", "strong"] = Field("weak", description="which language model it starts from")
    tuning_steps: int = Field(
        400, ge=0, strict=True, description="the quality dial: joint steps on solutions and step labels"
    )
    learning_rate: Number = Field(1e-3, gt=0, description="AdamW, for all that is not a weight matrix")
    matrix_learning_rate: Number = Field(0.01, gt=0, description="Muon, for weight matrices")
    labels: StepLabels = Field("local", description=STEP_LABELS)


class ClassifierPRM(Section):
    """A plain token classifier in the layout of Qwen2ForProcessRewardModel."""

    kind: Literal["classifier"] = "classifier"
    backbone: Literal["weak", "strong"] = Field("weak", description="which language model it starts from")
    tuning_steps: int = Field(150, ge=0, strict=True, description="optimiser steps on step labels")
    learning_rate: Number = Field(1e-3, gt=0, description="AdamW, for all that is not a weight matrix")
    matrix_learning_rate: Number = Field(0.01, gt=0, description="Muon, for weight matrices")
    labels: StepLabels = Field("local", description=STEP_LABELS)


class ValuePRM(Section):
    """A PRM that tells from what a language model of the pair knows of a step whether the solution will end right."""

    kind: Literal["value"] = "value"
    backbone: Literal["weak", "strong"] = Field("weak", description="which language model reads the steps, untuned")
    reads: Annotated[
        tuple[Literal["likelihood", "arithmetic", "hidden"], ...], Field(min_length=1), AfterValidator(unrepeated)
    ] = Field(
        ("likelihood", "arithmetic", "hidden"),
        description="what of it: the log-probabilities of a step's tokens, whether equations between numbers in it are "
        "true, the hidden state at its end",
    )
    layer: Count | None = Field(None, description="layer after which hidden states are taken; null for the last")


class ConfidencePRM(Section):
    """No PRM, but how sure a language model of the pair was of a draft: scores for thresholds that need no training."""

    kind: Literal["confidence"] = "confidence"
    backbone: Literal["weak", "strong"] = Field("weak", description="which language model tells how sure it was")
    reads: Literal["entropy", "mean", "lowest"] = Field(
        "mean",
        description="of what: the distribution of the step's first token (GlimpRouter), or the probabilities of its "
        "tokens, their geometric mean or the lowest",
    )


class PretrainedPRM(Section):
    """A PRM from a folder or the hub in the layout of Qwen2ForProcessRewardModel, run in process."""

    kind: Literal["pretrained"] = "pretrained"
    name: str = Field(description="folder or hub name")
    revision: str | None = Field(None, description="hub revision to pin")
    system: str | None = Field(None, description=SYSTEM)
    step_tag: str = Field("<extra_0>", description=STEP_TAG)
    keeps_separator: Flag = Field(False, description=KEEPS_SEPARATOR)


class TokenClassifierPRM(Section):
    """A token classifier of two classes, the second for right steps, as TRL's PRMTrainer leaves it, run in process."""

    kind: Literal["token-classifier"] = "token-classifier"
    name: str = Field(description="folder or hub name")
    revision: str | None = Field(None, description="hub revision to pin")
    separator: str = Field(
        "\n",
        min_length=1,
        description="text behind each step, at whose end it is judged: `step_separator` of its training",
    )


class NoisyPRM(Section):
    """Another PRM with noise on its scores."""

    kind: Literal["noisy"] = "noisy"
    of: str = Field("verifier", description="which entry of `prms` is disturbed")
    deviation: Number = Field(3.0, gt=0, description="standard deviation of the noise on the logit of a score")


class ServedPRM(Section):
    """A PRM in the layout of Qwen2ForProcessRewardModel, on a vLLM pooling server."""

    kind: Literal["served"] = "served"
    name: str = Field(description="folder or hub name; also the name that the server knows the model by")
    revision: str | None = Field(None, description="hub revision to pin")
    system: str | None = Field(None, description=SYSTEM)
    step_tag: str = Field("<extra_0>", description=STEP_TAG)
    keeps_separator: Flag = Field(False, description=KEEPS_SEPARATOR)
    max_model_len: Count = Field(4096, description="tokens it reads; the oldest steps are left out where more came")
    golden: str | None = Field(
        None,
        description="file of golden scores (`trim golden`); without one the first job computes them on the CPU, in "
        "single precision (30 GB for a 7B PRM), and keeps them in the step store",
    )


ReadingPRM = ValuePRM | ConfidencePRM
"""PRMs that read with a language model of the pair, in the job."""

GivenPRM = ServedPRM | PretrainedPRM | TokenClassifierPRM
"""PRMs that nobody trains here."""


if TYPE_CHECKING:
    LanguageModel = TrainedModel | PretrainedModel | GgufModel | ServedModel | ApiModel
    PRM = LikelihoodPRM | ClassifierPRM | ValuePRM | ConfidencePRM | NoisyPRM | GivenPRM
else:  # the kinds of other installed packages too

    def _one_of(*sections, group):
        others = (kind.section for kind in added(group).values())
        return Annotated[Union[(*sections, *others)], Field(discriminator="kind")]

    LanguageModel = _one_of(TrainedModel, PretrainedModel, GgufModel, ServedModel, ApiModel, group="trim.models")
    _given = (PretrainedPRM, TokenClassifierPRM, ServedPRM)
    PRM = _one_of(LikelihoodPRM, ClassifierPRM, ValuePRM, ConfidencePRM, NoisyPRM, *_given, group="trim.prms")
