"""Fitted Q, a router of our own: what both actions are worth, regressed on the futures that the rollout trees hold."""
