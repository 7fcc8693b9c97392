"""The members' answers as one, and how far apart they are. TensorFlow: part of the exported graph."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from modules.predictions.columns import DISAGREEMENT

LEAST = 1e-30
"""Probabilities are no smaller than this under a logarithm."""


def surprise(probabilities: tf.Tensor) -> tf.Tensor:
    """-p ln p, 0 at 0; TensorFlow's own xlogy is slower, since no vector instruction does it."""
    return -probabilities * tf.math.log(tf.maximum(probabilities, LEAST))


def log_of(probabilities: tf.Tensor) -> tf.Tensor:
    """Natural logarithm, of 0 that of :data:`LEAST`."""
    return tf.math.log(tf.maximum(probabilities, LEAST))


def weighted_mean(probabilities: tf.Tensor, weights: Sequence[float]) -> tf.Tensor:
    """The weighted mean over the members: (members, batch, classes) to (batch, classes)."""
    by = tf.constant(weights, tf.float32)
    return tf.tensordot(by / tf.reduce_sum(by), probabilities, 1)


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
