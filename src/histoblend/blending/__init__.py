"""Members, rules and ensembles."""
