"""Named `<revision>_<what>.py`; revisions sort by name."""
