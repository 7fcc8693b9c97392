"""The way back to the shop: what changed in the published predictions goes to a target that the shop reads."""
