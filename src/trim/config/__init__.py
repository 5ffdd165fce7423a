"""What an experiment is: the one definition of its configuration."""
