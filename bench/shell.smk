# Stock Snakemake with a shell: rule, one job per picture, as in its tutorial. peers.py writes the settings.

import os

SOURCE = config["source"]
NAMES = [os.path.relpath(os.path.join(folder, name), SOURCE) for folder, _, names in os.walk(SOURCE) for name in names]


rule all:
    input:
        expand("thumbnails/{box}/{name}.jpg", box=config["boxes"][0], name=NAMES),


rule thumbnail:
    input:
        os.path.join(SOURCE, "{name}"),
    output:
        expand("thumbnails/{box}/{{name}}.jpg", box=config["boxes"]),
    params:
        commands=lambda wildcards, input, output: "\n".join(
            f"{config['vipsthumbnail']} --vips-concurrency=1 --size '{box}x{box}>' "
            f"--output \"$PWD/{target}[Q={config['quality']},strip]\" '{input[0]}'"
            for box, target in zip(config["boxes"], output)
        ),
    shell:
        "{params.commands}"
