# thumbmill: the whole workflow. Each picture below the source folder is one job, which makes all its thumbnails.
# What the settings mean stands in config.yaml; what is behind the names here, in scripts/.

import atexit
import os
import sys
import tempfile

from scripts.catalogue import CatalogueError, list_catalogue
from scripts.report import report
from scripts.settings import SettingsError, find_config, load_validator, read_settings, recipe
from scripts.snakemake_costs import as_input_function, remember_script_path


configfile: find_config(workflow.basedir)


try:
    config = read_settings(config, load_validator(workflow.basedir))
    catalogue = list_catalogue(config)
except (SettingsError, CatalogueError) as error:
    sys.exit(f"thumbmill: {error}")

atexit.register(report, workflow, catalogue, os.getcwd())
remember_script_path(workflow)


rule all:
    input:
        catalogue.thumbnails,


rule thumbnail:
    input:
        as_input_function(catalogue.source),
    output:
        catalogue.patterns(),
    log:
        "logs/thumbnail/{picture}.log",
    conda:
        "envs/thumbnail.yaml"
    resources:
        # What Snakemake would find by itself, anew for each job.
        tmpdir=tempfile.gettempdir(),
    params:
        picture=as_input_function(catalogue.identity),
        recipe=recipe(config, workflow.basedir),
    script:
        "scripts/thumbnail.py"


if catalogue.odd:

    # The same for pictures whose names Snakemake cannot write: links stand in for them.
    use rule thumbnail as thumbnail_of_odd_name with:
        output:
            catalogue.odd_patterns(),
        log:
            "logs/odd-names/{picture}.log",
