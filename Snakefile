# thumbmill: makes the thumbnails of a whole picture catalogue. Each picture is one job, which makes all its thumbnails.
# config.yaml explains the settings, docs/architecture.md what is behind the names here.

import tempfile


include: "rules/deployed.smk"


from thumbmill.run.conclude import summarize_at_exit
from thumbmill.run.session import CODE, Session
from thumbmill.run.settings import find_config


configfile: find_config(CODE)


session = Session.open(workflow, config, storage)
config = session.config
summarize_at_exit(session)


onstart:
    session.start()


onsuccess:
    session.fail_if_outdated()


rule all:
    input:
        session.out_of_date,
    localrule: True


rule thumbnail:
    input:
        session.source,
    output:
        session.patterns,
    log:
        "logs/thumbnail/{picture}.log",
    conda:
        "envs/thumbnail.yaml"
    resources:
        # Snakemake would look it up for each job.
        tmpdir=tempfile.gettempdir(),
    params:
        picture=session.identity,
        recipe=session.recipe,
    script:
        f"{CODE}/scripts/thumbnail.py"  # a folder also if Snakemake reads this file from GitHub


include: "rules/targets.smk"
include: "rules/reports.smk"
include: "rules/shards.smk"
