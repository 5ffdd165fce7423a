"""TRIM-Agg and TRIM-Seq: what they see, how they are trained, how they decide."""
