"""boto3's client for a store."""

import os
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError

# The address of a store that is not Amazon's; the first of these that is set. The last is what
# snakemake-storage-plugin-s3 reads.
ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "SNAKEMAKE_STORAGE_S3_ENDPOINT_URL")


def connect() -> Any:
    """Return boto3's S3 client. Endpoint, region and keys come from the environment and the AWS configuration files.

    boto3 is imported only here: Snakemake imports every installed plugin at each start, even for workflows that use no
    store. Raises WorkflowError if boto3 is not installed, and botocore's errors if the configuration is invalid.
    """
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise WorkflowError(
            "s3listed needs boto3, which is not installed: pip install 'snakemake-storage-plugin-s3listed[boto3]'"
        ) from error
    endpoint = find_endpoint()
    config = Config(
        retries={"mode": "standard", "max_attempts": 5},
        connect_timeout=10,
        # Stores that are not Amazon's do not know the newer checksums (https://github.com/boto/boto3/issues/4435), and
        # few of them have a host name for each bucket.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    return boto3.client("s3", endpoint_url=endpoint, config=config)


def find_endpoint() -> str | None:
    """Return the store's address from the environment; None for Amazon's."""
    return next((os.environ[name] for name in ENDPOINT_VARIABLES if os.environ.get(name)), None)
