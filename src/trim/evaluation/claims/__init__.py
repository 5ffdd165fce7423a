"""The claims of the paper as statements about an experiment, and what became of them."""
