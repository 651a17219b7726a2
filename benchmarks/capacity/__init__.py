"""How many machines and GPUs a load takes: from what was measured, and from ceilings that others published."""
