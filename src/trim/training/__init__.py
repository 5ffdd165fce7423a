"""Learn to route: episodes as a reinforcement-learning environment, and PPO on it."""
