"""A small GPT reads Python's standard library and predicts files that it has not seen better than a 5-gram model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pretraining import next_token
from pretraining.baselines.kneser_ney import kneser_ney_loss
from pretraining.language_model import LanguageModelConfig
from pretraining.next_token import NextToken, NextTokenConfig, NextTokenRunConfig
from training.claims import Claim
from training.data.corpus import CorpusConfig, TokenizedCorpus
from training.networks.transformer import TransformerConfig
from training.optimizer import OptimizerConfig, Rule, Schedule
from training.run.run import Run

MATRICES = tuple(
    Rule(f"transformer.blocks.*.{name}.weight", kind="muon", learning_rate=0.02)
    for name in ("attend", "attended", "widen", "narrow")
)


@dataclass(frozen=True, kw_only=True)
class Config(NextTokenRunConfig):
    """A million parameters and 512 tokens; Muon for the matrices inside, which needs about half of AdamW's steps."""

    corpus: CorpusConfig = CorpusConfig(
        without=("**/test/**/*", "**/tests/**/*", "**/idlelib/**/*", "**/lib2to3/**/*", "encodings/*", "pydoc_data/*"),
        bytes_per_document=25_000,
    )
    model: LanguageModelConfig = LanguageModelConfig(
        transformer=TransformerConfig(width=128, layers=4, heads=4, norm="rms", mlp="swiglu", position="rotary"),
        context=256,
        vocabulary=512,
    )
    epochs: int | None = None
    steps: int | None = 800
    minibatch_size: int = 16
    algorithm: NextTokenConfig = NextTokenConfig(
        OptimizerConfig(
            kind="adamw",
            learning_rate=3e-3,
            betas=(0.9, 0.95),
            weight_decay=0.1,
            max_grad_norm=1.0,
            schedule=Schedule("cosine", final=0.05, warmup=0.03),
            rules=(*MATRICES, Rule("*")),
        )
    )


# Both learn from the training files and are measured on the same tokens of the test files.
CLAIMS = (Claim("comparison/nats_below_kneser_ney", ">=", 0.0, resplit=Config().corpus.test_per_train),)


def train(config: Config, run: Run) -> None:
    """`next_token.train` reads the files and makes the model; the 5-gram model learns from the same tokens."""

    def compare(gpt: NextToken, corpus: TokenizedCorpus) -> Mapping[str, float]:
        test = corpus.rows(config.model.context).test
        loss = gpt.measure(test.batches(config.evaluation.minibatch_size), "test")["loss_nats"]
        reference = kneser_ney_loss(corpus, config.model.context)
        return {"comparison/kneser_ney_loss_nats": reference, "comparison/nats_below_kneser_ney": reference - loss}

    next_token.train(config, run, measure=compare)
