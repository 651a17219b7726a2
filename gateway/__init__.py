"""The front door: REST and a page for people, in front of a running server. It computes nothing of a model's."""
