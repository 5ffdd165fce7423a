"""A router that was chosen, before two models of one's own: docs/deploy.md says what it is."""
