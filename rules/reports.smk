# What is written about the thumbnails: for web pages, and to look at. These take no thumbnail as input, since they
# describe what is there though some have failed. They come when all other jobs have ended: each needs all cores, and
# its priority is the lowest.

from thumbmill.reports.gallery import make_gallery
from thumbmill.reports.inventory import check_has_files, state_parameter
from thumbmill.reports.manifest import make_manifest


rule manifest:
    input:
        session.out_of_date,
        "manifest/manifest.json",
    localrule: True


rule write_manifest:
    input:
        session.unless(check_has_files, session.catalog.layout),
    output:
        "manifest/manifest.json",
        "manifest/manifest.csv",
    log:
        "logs/manifest.txt",
    priority: -1
    localrule: True
    threads: session.cores
    params:
        state=state_parameter(session, "manifest"),
    run:
        make_manifest(session, output)


rule gallery:
    input:
        session.out_of_date,
        "gallery/index.html",
    localrule: True


rule write_gallery:
    input:
        session.unless(check_has_files, session.catalog.layout),
    output:
        "gallery/index.html",
    log:
        "logs/gallery.txt",
    priority: -1
    localrule: True
    threads: session.cores
    params:
        state=state_parameter(session, "gallery"),
    run:
        make_gallery(session, output[0])
