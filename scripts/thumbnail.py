"""The script of rule `thumbnail`: make all thumbnails of one picture.

Only this file is executed for each picture; what it imports stays loaded in a warm worker. The way of a picture is in
thumbmill/imaging/thumbnails.py: open, decode, render, encode, write.
"""

import sys

snakemake = globals()["snakemake"]  # which Snakemake puts there

if snakemake.config["code"] not in sys.path:
    sys.path.append(snakemake.config["code"])  # the folder of thumbmill/, beside the Snakefile

from thumbmill.errors import PictureError
from thumbmill.run.job import run_job

try:
    run_job(
        picture=snakemake.params.picture,
        inputs=snakemake.input,
        outputs=snakemake.output,
        log=snakemake.log[0],
        config=snakemake.config,
    )
except PictureError as error:
    sys.exit(str(error))
