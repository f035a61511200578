"""The catalogue: which pictures there are, where their thumbnails belong, and what earlier runs made of them.

picture.py       one source, as a listing finds it
store.py         a folder or an object storage prefix: list, stat, fetch
exclusion.py     what the setting `exclude` leaves out
file_names.py    which names a file system takes for the same, and which it does not allow
layout.py        from a picture's name to the paths of its thumbnails
listing.py       all pictures of a source
collisions.py    whether they can share an output
recipe.py        what decides a thumbnail's pixels, and which pictures a change of it affects
digests.py       by which a replaced picture is known from one that only looks replaced
history.py       what earlier runs made, and what need not be looked at again
history_file.py  where that is kept
"""
