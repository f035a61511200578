# Targets that a user names: what failed, what would be made, what nothing asks for any more.

from thumbmill.reports.orphans import check_knows_orphans, list_orphans, removable, remove_orphans
from thumbmill.reports.plan import print_plan


rule retry:
    input:
        session.failed,
    localrule: True


rule plan:
    log:
        "logs/plan.txt",
    localrule: True
    run:
        print_plan(session, log[0])


rule orphans:
    input:
        session.unless(check_knows_orphans, session.catalog.layout.output),
    log:
        "logs/orphans.txt",
    localrule: True
    run:
        list_orphans(session.history, log[0])


rule remove_orphans:
    input:
        session.unless(removable, session.history, config["allow_mass_removal"]),
    log:
        "logs/removed.txt",
    localrule: True
    run:
        remove_orphans(session.history, config["allow_mass_removal"], log[0])
