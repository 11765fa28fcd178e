"""The probes: scripts that run inside an image, with the image's own Python and nothing of the pipeline.

Each does real work with what it probes and ends by printing one line of JSON with the keys that ``smoke.Report`` has.
What it cannot do, it raises: the traceback is what a person wants to see then.
"""
