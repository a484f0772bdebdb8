"""The nouns of Limner: requests, quotes, jobs, events, errors, money. Imports pydantic and nothing else."""
