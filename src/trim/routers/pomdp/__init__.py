"""TRIM-POMDP: model, exact solver, belief filter and policy (paper, section 4.3)."""
