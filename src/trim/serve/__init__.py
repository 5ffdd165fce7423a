"""An OpenAI-compatible server in which a deployed router answers: docs/deploy.md."""
