"""What is said of an answer: cards (provenance), rules (decisions), the JSON report. No torch."""
