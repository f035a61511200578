# Large catalogues: if a profile says how many pictures a shard holds (set-resources: shard: pictures=...), shards make
# the catalogue. Each is a job that is a Snakemake run of its own. See docs/cluster.md.

import os

from thumbmill.run.shards import ALL_ENDED, ALL_ENDED_LOG, LOG_PATTERN, RESULT_PATTERN


rule shard:
    output:
        RESULT_PATTERN,
    log:
        LOG_PATTERN,
    conda:
        "../envs/thumbnail.yaml"
    resources:
        pictures=0,
    params:
        command=session.shard_command,
        folder=lambda wildcards, output: os.path.splitext(output[0])[0],
    shell:
        # A shard that reports what failed has ended well.
        "{params.command} --cores {threads} --config shard_folder={params.folder} $(cat {params.folder}/arguments)"
        " >{log} 2>&1 || test -s {output}"


rule shards_ended:
    input:
        session.shard_results,
    output:
        touch(ALL_ENDED),
    log:
        ALL_ENDED_LOG,
    localrule: True
    run:
        session.check_shards(input)
