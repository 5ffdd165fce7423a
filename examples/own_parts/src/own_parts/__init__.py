"""Parts for TRIM from somebody else's package: each module adds one, and pyproject.toml says where it stands."""
