"""S3 objects as Snakemake files, for workflows with many of them: the bucket is listed, 1,000 objects per request.

Snakemake asks whether a file exists, when it changed and how large it is, several times for each job. Sent to the store
one by one, that is some 40 requests for a job with one input and one output. Here the first question about an object
also fetches the next objects in the store's order, and the answers are kept: apart from the one request that downloads
or uploads an object, hardly any is left.

A query is s3listed://<bucket>/<key>, in which %XX stands for a byte of the key, as in a URL. That way a key can contain
what Snakemake cannot write: braces, a space at the end, an empty part.

It does not derive from snakemake-storage-plugin-s3, of which nothing would be left: that one asks about each object,
cuts keys at # and ?, and deletes a bucket that it has emptied.

    storage.py   the provider and the object: what Snakemake's interface asks for
    bucket.py    what is known of a bucket, from listings
    client.py    boto3's client
"""

from .storage import StorageObject, StorageProvider

__all__ = ["StorageObject", "StorageProvider"]
