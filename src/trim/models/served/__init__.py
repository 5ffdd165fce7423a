"""Models behind HTTP: vLLM servers and OpenAI-compatible APIs."""
