# thumbmill: the whole workflow. Each picture below the source folder is one job, which makes all its thumbnails.
# What the settings mean stands in config.yaml; what is behind the names here, in scripts/.

import atexit
import os
import sys
import tempfile

from scripts.catalogue import CatalogueError
from scripts.container import worker_memory
from scripts.folders import FolderError, check_working_folder
from scripts.gallery import make_gallery
from scripts.inventory import check_has_files, state_parameter
from scripts.manifest import make_manifest
from scripts.object_storage import as_objects, input_objects
from scripts.orphans import check_knows_orphans, list_orphans, remove_orphans, removable
from scripts.plan import tell_plan
from scripts.report import fail_if_outdated, report, stopwatch
from scripts.running import RunningError
from scripts.settings import SettingsError, find_config
from scripts.shards import (
    ALL_ENDED,
    ENDED_LOG,
    LOG,
    PATTERN,
    Shards,
    begin,
    check_all_made,
    open_catalogue,
    shard_command,
)
from scripts.snakemake_costs import as_input_function, collect_garbage_less_often, remember_script_path
from scripts.snakemake_run import all_cores, hold_to_cpu_quota
from scripts.targets import every_failure, every_thumbnail, unless_refused
from scripts.thumbnail import cannot_write

if workflow.is_main_process:
    try:
        check_working_folder()
    except FolderError as error:
        sys.exit(f"thumbmill: {error}")


configfile: find_config(workflow.basedir)


hold_to_cpu_quota(workflow)
try:
    config, catalogue, history, running = open_catalogue(config, workflow.basedir)
except (SettingsError, CatalogueError, RunningError) as error:
    sys.exit(f"thumbmill: {error}")

# For the picture script; of this machine, which need not be the one that others run on.
config = {**config, "worker_memory": worker_memory(config["max_memory"], all_cores(workflow))}

shards = Shards(catalogue, history, running)
everything = input_objects(every_thumbnail(workflow, catalogue, history, shards), storage)
seconds = stopwatch(workflow.start_time.timestamp())
atexit.register(report, workflow, catalogue, history, shards, running, os.getcwd(), seconds)
remember_script_path(workflow)
collect_garbage_less_often()


# Before the first job.
onstart:
    try:
        begin(workflow, history, shards, running)
    except RunningError as error:
        sys.exit(f"thumbmill: {error}")
    except OSError as error:
        sys.exit(f"thumbmill: {cannot_write(error.filename or '.snakemake', error)}")


onsuccess:
    fail_if_outdated(workflow, catalogue, history)


localrules:
    all,
    retry,
    plan,
    orphans,
    remove_orphans,
    shards_ended,
    manifest,
    write_manifest,
    gallery,
    write_gallery,


rule all:
    input:
        everything,


rule thumbnail:
    input:
        as_input_function(input_objects(catalogue.source, storage)),
    output:
        as_objects(catalogue.patterns, storage),
    log:
        "logs/thumbnail/{picture}.log",
    conda:
        "envs/thumbnail.yaml"
    resources:
        # What Snakemake would find by itself, anew for each job.
        tmpdir=tempfile.gettempdir(),
    params:
        picture=as_input_function(catalogue.identity),
        recipe=as_input_function(history.recipe),
    script:
        "scripts/thumbnail.py"


if catalogue.odd:

    # The same for pictures whose names Snakemake cannot write: links stand in for them.
    use rule thumbnail as thumbnail_of_odd_name with:
        output:
            catalogue.odd_patterns,
        log:
            "logs/odd-names/{picture}.log",


rule retry:
    input:
        input_objects(every_failure(workflow, catalogue, history, shards), storage),


# Where a profile says how many pictures a shard holds (set-resources: shard: pictures=...), the catalogue is made by
# shards: jobs that are Snakemake runs of their own. Everything that they need is in a folder of RUNS.
rule shard:
    output:
        PATTERN,
    log:
        LOG,
    conda:
        "envs/thumbnail.yaml"
    resources:
        pictures=0,
    params:
        command=shard_command(workflow),
        folder=lambda wildcards, output: os.path.splitext(output[0])[0],
    shell:
        # A shard that tells what failed has ended well.
        "{params.command} --cores {threads} --config shard_folder={params.folder} $(cat {params.folder}/arguments)"
        " >{log} 2>&1 || test -s {output}"


rule shards_ended:
    input:
        shards.outcomes_of,
    output:
        touch(ALL_ENDED),
    log:
        ENDED_LOG,
    run:
        check_all_made(input)


rule plan:
    log:
        "logs/plan.txt",
    run:
        tell_plan(catalogue, history, log[0])


rule orphans:
    input:
        unless_refused(check_knows_orphans, config["output"]),
    log:
        "logs/orphans.txt",
    run:
        list_orphans(history, log[0])


rule remove_orphans:
    input:
        unless_refused(removable, history, config["remove_more_than_a_fifth"]),
    log:
        "logs/removed.txt",
    run:
        remove_orphans(history, config["remove_more_than_a_fifth"], log[0])


# What is written of the thumbnails takes none of them as input: it tells what is there, though some have failed. It
# comes when all others have ended, since it needs all cores, and its priority is the lowest.
rule manifest:
    input:
        everything,
        "manifest/manifest.json",


rule write_manifest:
    input:
        unless_refused(check_has_files, config),
    output:
        "manifest/manifest.json",
        "manifest/manifest.csv",
    log:
        "logs/manifest.txt",
    priority: -1
    threads: all_cores(workflow)
    params:
        state=state_parameter(workflow, "manifest", catalogue, history),
    run:
        make_manifest(catalogue, history, output)


rule gallery:
    input:
        everything,
        "gallery/index.html",


rule write_gallery:
    input:
        unless_refused(check_has_files, config),
    output:
        "gallery/index.html",
    log:
        "logs/gallery.txt",
    priority: -1
    threads: all_cores(workflow)
    params:
        state=state_parameter(workflow, "gallery", catalogue, history),
    run:
        make_gallery(workflow, catalogue, history, output[0])
