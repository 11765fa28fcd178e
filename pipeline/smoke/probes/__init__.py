"""Probes: scripts that run inside an image, with the image's own Python and without the pipeline.

Each does real work with its subject, and prints one line of JSON with the keys of ``evaluate.ProbeReport`` at its end.
On a failure it raises, so that the report shows the traceback.
"""
