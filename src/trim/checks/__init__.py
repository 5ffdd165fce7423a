"""What the solver and PPO are held against."""
