"""The life of a job: drive one order, walk one route, run one job, claim and keep jobs, recover."""
