"""Why a product was picked, for people who label."""

from __future__ import annotations

WORDS = {
    "audit": "it is one of the accepted products whose precision is audited; the model's suggestions are left out",
    "random": "it is a random pick, so that accuracy can be measured without bias",
    "margin": "the model hesitates between its first two categories",
    "entropy": "the model spreads its belief over many categories",
    "least_confidence": "the model is not sure of its first category",
    "vote_entropy": "the committee's models vote for different categories",
    "kl_to_consensus": "the committee's models are far from what they say together",
    "bald": "the committee's models are each sure, but of different things",
    "batch_bald": "the committee's models disagree, and about something else than on the rest of the batch",
    "expected_gradient_length": "any answer would change the model much",
    "information_density": "the model is unsure, and many products are like it",
    "taxonomy_aware": "the model is unsure at several levels of the tree, or expects a category with few labels",
    "value_weighted": "the model is unsure about categories that matter most",
    "badge": "the answer would change the model, and in another way than the rest of the batch",
    "k_center": "it is unlike everything that is labelled",
    "clustered_margin": "the model hesitates, and the batch has few products like it",
    "facility_location": "it stands for many products that the model is unsure about",
    "typiclust": "it is typical of a group of products without a label",
    "probcover": "many products without a label are close to it",
    "discriminative": "it is unlike the products that are labelled",
    "review": "somebody's label for it looks wrong",
}
"""A source (a strategy's name, mostly) in words."""


def picked_as(source: str) -> str:
    """The source in words; of strategies that were combined (``margin+k_center``), all of them."""
    return ", and ".join(WORDS.get(part, part.replace("_", " ")) for part in source.split("+"))
