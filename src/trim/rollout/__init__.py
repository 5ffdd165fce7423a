"""How a solution grows: histories, costs, one episode, and many at once on rollout trees."""
