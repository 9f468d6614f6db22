"""`python -m serving batch`: files scored by the workers of an Indexed Job, and committed as one run."""
