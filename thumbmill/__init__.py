"""Everything behind the Snakefile, in wings. Each imports only from those above it in this list:

    errors, failures, files, text, progress   what all wings share
    imaging    one picture: read, decode, resize, encode. Decides every pixel, and nothing else does
    catalog    which pictures there are, where their thumbnails belong, and what earlier runs made
    run        one run of Snakemake: settings, lock, checks before it, summary after it, shards
    reports    what a user asks for: plan, orphans, manifest, gallery

The package lies beside the Snakefile and is never installed, so that the two cannot be out of step.
tests/test_architecture.py fails if a wing imports from one below it.
"""
