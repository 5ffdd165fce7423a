"""Generated pages: those of the config, the README's tables, what paper scale takes."""
