"""Pages for a browser: the trace explorer, and the latency calculator."""
