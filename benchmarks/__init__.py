"""Measurements that are claims: each a command that prints a table and fails when its target is missed."""
