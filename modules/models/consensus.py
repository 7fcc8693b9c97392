"""The members' answers as one, and how far apart they are. TensorFlow: part of the exported graph."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

LEAST = 1e-30
"""Probabilities are no smaller than this under a logarithm."""

DISAGREEMENT = ("vote_entropy", "kl_to_consensus", "bald")
"""What :func:`disagreement` and :func:`multi_label_disagreement` return, in nats."""


def surprise(probabilities: tf.Tensor) -> tf.Tensor:
    """-p ln p, 0 at 0; TensorFlow's own xlogy is slower, since no vector instruction does it."""
    return -probabilities * tf.math.log(tf.maximum(probabilities, LEAST))


def member_probabilities(logits: tf.Tensor, kind: str, temperatures: Sequence[float] = ()) -> tf.Tensor:
    """Softmax (exclusive; each member's own temperature) or sigmoid of (members, batch, classes)."""
    if kind != "exclusive":
        return tf.sigmoid(logits)
    if temperatures:
        logits = logits / tf.reshape(tf.constant(temperatures, tf.float32), [-1, 1, 1])
    return tf.nn.softmax(logits)


def combined_logits(probabilities: tf.Tensor, weights: Sequence[float], kind: str, stacked: bool) -> tf.Tensor:
    """Logits (batch, classes) of the committee: their softmax or sigmoid is its probability.

    Args:
      probabilities: (members, batch, classes). weights: of the members.
      stacked: weights are powers of the members' probabilities (odds, of independent categories) in place of factors.
    """
    by = tf.constant(weights, tf.float32)
    if stacked:
        logs = tf.math.log(tf.maximum(probabilities, LEAST))
        if kind != "exclusive":
            logs -= tf.math.log(tf.maximum(1.0 - probabilities, LEAST))
        return tf.tensordot(by, logs, 1)
    mean = tf.tensordot(by / tf.reduce_sum(by), probabilities, 1)
    logits = tf.math.log(tf.maximum(mean, LEAST))
    return logits if kind == "exclusive" else logits - tf.math.log(tf.maximum(1.0 - mean, LEAST))


def disagreement(probabilities: tf.Tensor) -> dict[str, tf.Tensor]:
    """Of exclusive categories; float32 (batch,) each, nats.

    ``vote_entropy``: entropy of the members' first choices (Dagan, Engelson 1995; the thesis's 2.6).
    ``kl_to_consensus``: mean over members of KL(member || mean of all) (McCallum, Nigam 1998; 2.7-2.9).
    ``bald``: mutual information of label and member (Houlsby et al. 2011): entropy of the mean less the mean entropy.
    The last two are equal in theory, and computed as they are defined.

    Args:
      probabilities: (members, batch, classes).
    """
    votes = tf.argmax(probabilities, axis=2, output_type=tf.int32)
    # Each member adds -1/K ln(share of those who vote as it does): no table of votes over all classes.
    same = tf.cast(votes[:, None] == votes[None, :], tf.float32)
    entropy = -tf.reduce_mean(tf.math.log(tf.reduce_mean(same, axis=1)), axis=0)
    consensus = tf.reduce_mean(probabilities, axis=0)
    ratio = tf.math.log(tf.maximum(probabilities, LEAST)) - tf.math.log(tf.maximum(consensus, LEAST))[None]
    divergence = tf.reduce_mean(tf.reduce_sum(probabilities * ratio, axis=2), axis=0)
    own = tf.reduce_mean(tf.reduce_sum(surprise(probabilities), axis=2), axis=0)
    information = tf.reduce_sum(surprise(consensus), axis=1) - own
    return _no_less_than_nothing(entropy, divergence, information)


def multi_label_disagreement(probabilities: tf.Tensor) -> dict[str, tf.Tensor]:
    """The same for independent categories: each category's yes or no, summed over the categories."""
    shares = tf.reduce_mean(tf.cast(probabilities >= 0.5, tf.float32), axis=0)
    entropy = tf.reduce_sum(surprise(shares) + surprise(1.0 - shares), axis=1)
    consensus = tf.reduce_mean(probabilities, axis=0)
    divergence, own = 0.0, 0.0
    for part, mean in ((probabilities, consensus), (1.0 - probabilities, 1.0 - consensus)):
        ratio = tf.math.log(tf.maximum(part, LEAST)) - tf.math.log(tf.maximum(mean, LEAST))[None]
        divergence += tf.reduce_mean(tf.reduce_sum(part * ratio, axis=2), axis=0)
        own += tf.reduce_mean(tf.reduce_sum(surprise(part), axis=2), axis=0)
    information = tf.reduce_sum(surprise(consensus) + surprise(1.0 - consensus), axis=1) - own
    return _no_less_than_nothing(entropy, divergence, information)


def _no_less_than_nothing(*values: tf.Tensor) -> dict[str, tf.Tensor]:
    """Rounding may leave members that agree a little below 0."""
    return {name: tf.maximum(value, 0.0) for name, value in zip(DISAGREEMENT, values, strict=True)}
