# Makes `import thumbmill` work where this workflow is a module that Snakemake reads from GitHub or GitLab: it has no
# folder then, so every file of the package is copied into Snakemake's source cache first. From a folder it already works.

import importlib.util
import os
import sys

if importlib.util.find_spec("thumbmill") is None:
    with open(workflow.source_path("../thumbmill/FILES"), encoding="utf-8") as listed:
        for file in listed.read().split():
            cached = workflow.source_path(f"../{file}")
    sys.path.insert(0, cached.removesuffix(file))
