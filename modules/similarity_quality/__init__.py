"""How good neighbours are: by people's verdicts on triplets, and by labels that stand in for them."""
