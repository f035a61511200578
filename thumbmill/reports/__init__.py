"""What a user asks for besides thumbnails.

plan.py        what the next run would make
orphans.py     thumbnails that nothing asks for any more
inventory.py   what there is of each picture
manifest.py    the inventory for web pages, as JSON and CSV
gallery.py     the inventory to look at, as static pages
plots.py       the gallery's histograms
"""
