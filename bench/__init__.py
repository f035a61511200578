"""The comparisons: `python -m bench` (speed) and `python -m bench.quality`. The workflow imports neither.

cases.py        what can be compared, and who takes part
contenders.py   tables of all contenders; loops.py, timed_loops.py and peers.py hold their commands
task.py         what every contender gets to do
tools.py        find and install the other tools
corpus.py       the pictures of a comparison; pictures.py draws them or cuts them from photographs
arguments.py    the command line
compare.py      one case after another: measure, print, keep
rounds.py       contenders in turn, from an empty folder
rerun.py        contenders in turn, after little has changed
corrupted.py    contenders on a truncated picture
measure.py      time and memory of one command
check.py        whether a contender made what it should have made
machine.py      the machine and the versions
table.py        the figures of a case and their Markdown
report.py       tables and plots from kept results; regions.py and plots.py make their parts
quality/        likeness, speed and memory of thumbmill's own function
"""
