"""The database: jobs, attempts, events, artifacts, ledger. Each method is one transaction."""
