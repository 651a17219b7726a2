"""From an HTTP request to an answer: what was sent, who answers it, what is told."""
