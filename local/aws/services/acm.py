"""ACM: certificates, issued at once."""

from local.aws.api import Api, Call
from local.aws.names import Names
from local.aws.stored import Stored
from local.aws.tagging import Tags

TYPES = (
    Api(
        "aws:acm/certificate:Certificate",
        id="{arn}",
        service="acm",
        make=Call("request_certificate"),
        find=(Call("describe_certificate", result="Certificate"),),
        remove=Call("delete_certificate"),
        names=Names(renames={"CertificateArn": "arn"}),
        tags=Tags(
            "CertificateArn",
            "{arn}",
            "add_tags_to_certificate",
            "remove_tags_from_certificate",
            "list_tags_for_certificate",
        ),
        replace_on=("domainName", "subjectAlternativeNames", "validationMethod", "keyAlgorithm"),
        unordered=("subjectAlternativeNames",),
    ),
    Stored(
        "aws:acm/certificateValidation:CertificateValidation",
        id="{certificateArn}",
        stored="certificates are issued without a validation",
        replace_on=("certificateArn", "validationRecordFqdns"),
    ),
)
