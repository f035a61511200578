"""thumbmill's thumbnails beside a full decode with Lanczos and beside libvips: `python -m bench.quality`.

Each module compares one thing: likeness, scales, times, encoders, memory; sheet draws a contact sheet.
makers.py has who makes thumbnails, charts.py and photographs.py what of. Times are processor time on one core.
"""
