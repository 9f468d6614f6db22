"""Real-looking inputs of every resource type in `local/aws/services/`, with one change each."""

import json
from dataclasses import dataclass, field
from typing import Any

ACCOUNT = "123456789012"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/6a1f0c1e-5c9e-4c0b-9d8f-6f1f0e7d3b11"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/there"
QUEUE = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:there"
TOPIC = f"arn:aws:sns:eu-west-1:{ACCOUNT}:there"
DEAD_LETTERS = json.dumps({"deadLetterTargetArn": QUEUE.replace("there", "dead-letters"), "maxReceiveCount": 3})
TAGS = {"project": "slipway", "environment": "local"}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str, resource: str, **more: Any) -> dict[str, Any]:
    return {"Sid": "Allowed", "Effect": "Allow", "Action": action, "Resource": resource, **more}


TRUST = document({"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": ["sts:AssumeRole"]})


@dataclass(frozen=True)
class Case:
    token: str
    inputs: dict[str, Any]
    id: str
    """Pattern of the id."""
    change: dict[str, Any] = field(default_factory=dict)
    """Inputs that change in place; None takes one away."""
    kept: tuple[str, ...] = ()
    """What the emulation does not hold, so the plugin does."""
    imports: bool = True
    """Whether its id is enough to find it."""
    reads_nothing_after: bool = True
    """Deleting it leaves nothing that a refresh would take for it."""

    def __str__(self) -> str:
        return self.token.rsplit(":", 1)[-1]


UUID = r"[0-9a-f-]{36}"
_TARGET = {"arn": QUEUE, "roleArn": ROLE, "deadLetterConfig": {"arn": QUEUE}}
_SETTINGS = {"bucket": "settings"}

VPC = r"vpc-\w+"
_NETWORK = [
    Case(
        "aws:ec2/vpc:Vpc",
        {"cidrBlock": "10.20.0.0/16", "enableDnsHostnames": True, "enableDnsSupport": True, "tags": TAGS},
        VPC,
        {"enableDnsHostnames": False, "tags": {"a": "b"}},
    ),
    Case(
        "aws:ec2/subnet:Subnet",
        {
            "vpcId": "$vpc",
            "cidrBlock": "10.0.5.0/24",
            "availabilityZone": "eu-west-1b",
            "mapPublicIpOnLaunch": True,
            "tags": TAGS,
        },
        r"subnet-\w+",
        {"mapPublicIpOnLaunch": False, "tags": {"a": "b"}},
    ),
    Case("aws:ec2/internetGateway:InternetGateway", {"vpcId": "$vpc", "tags": TAGS}, r"igw-\w+", {"tags": {"a": "b"}}),
    Case("aws:ec2/eip:Eip", {"domain": "vpc", "tags": TAGS}, r"eipalloc-\w+", {"tags": {"a": "b"}}),
    Case(
        "aws:ec2/natGateway:NatGateway",
        {"subnetId": "$subnet", "allocationId": "$address", "tags": TAGS},
        r"nat-\w+",
        {"tags": {"a": "b"}},
    ),
    Case("aws:ec2/routeTable:RouteTable", {"vpcId": "$vpc", "tags": TAGS}, r"rtb-\w+", {"tags": {"a": "b"}}),
    Case(
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        {"subnetId": "$subnet", "routeTableId": "$routes"},
        r"rtbassoc-\w+",
    ),
    Case(
        "aws:ec2/route:Route",
        {"routeTableId": "$routes", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "$gateway"},
        r"r-rtb-\w+-0\.0\.0\.0/0",
        imports=False,
    ),
    Case(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        {
            "vpcId": "$vpc",
            "serviceName": "com.amazonaws.eu-west-1.s3",
            "vpcEndpointType": "Gateway",
            "routeTableIds": ["$routes"],
            "tags": TAGS,
        },
        r"vpce-\w+",
        {"tags": {"a": "b"}},
    ),
    Case(
        "aws:ec2/securityGroup:SecurityGroup",
        {"name": "brokers", "description": "Kafka", "vpcId": "$vpc", "tags": TAGS},
        r"sg-\w+",
        {"tags": {"a": "b"}},
    ),
    Case(
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        {"vpcId": "$vpc", "tags": TAGS},
        r"sg-\w+",
        {"tags": {"a": "b"}},
        reads_nothing_after=False,
    ),
    Case(
        "aws:ec2/flowLog:FlowLog",
        {
            "vpcId": "$vpc",
            "trafficType": "REJECT",
            "logDestinationType": "cloud-watch-logs",
            "logDestination": f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:there",
            "iamRoleArn": ROLE,
            "tags": TAGS,
        },
        r"fl-\w+",
        {"tags": {"a": "b"}},
    ),
    Case(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {
            "securityGroupId": "$group",
            "ipProtocol": "tcp",
            "fromPort": 9098,
            "toPort": 9098,
            "cidrIpv4": "10.0.0.0/16",
            "description": "clients",
            "tags": TAGS,
        },
        r"sgr-\w+",
        {"toPort": 9099},
    ),
    Case(
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        {"securityGroupId": "$group", "ipProtocol": "-1", "referencedSecurityGroupId": "$group"},
        r"sgr-\w+",
    ),
]
_CLUSTER = {"clusterName": "slipway"}
_EKS = [
    Case(
        "aws:eks/cluster:Cluster",
        {
            "name": "slipway",
            "roleArn": ROLE,
            "version": "1.34",
            "vpcConfig": {"subnetIds": ["subnet-1", "subnet-2"], "endpointPrivateAccess": True},
            "computeConfig": {"enabled": True, "nodePools": ["system"]},
            "enabledClusterLogTypes": ["audit"],
            "tags": TAGS,
        },
        "slipway",
        {"version": "1.35", "tags": {"a": "b"}},
    ),
    Case(
        "aws:eks/addon:Addon",
        {**_CLUSTER, "addonName": "metrics-server", "addonVersion": "v0.8.0-eksbuild.2"},
        "slipway:metrics-server",
        {"addonVersion": "v0.8.1-eksbuild.1"},
    ),
    Case("aws:eks/accessEntry:AccessEntry", {**_CLUSTER, "principalArn": ROLE, "tags": TAGS}, f"slipway:{ROLE}"),
    Case(
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        {
            **_CLUSTER,
            "principalArn": ROLE,
            "policyArn": "arn:aws:eks::aws:cluster-access-policy/A",
            "accessScope": {"type": "cluster"},
        },
        f"slipway#{ROLE}#arn:aws:eks::aws:cluster-access-policy/A",
    ),
    Case(
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        {**_CLUSTER, "namespace": "slipway-flight-delay", "serviceAccount": "flight-delay", "roleArn": ROLE},
        r"a-\w+",
        {"roleArn": f"{ROLE}-2"},
    ),
    Case(
        "aws:eks/nodeGroup:NodeGroup",
        {
            **_CLUSTER,
            "nodeGroupName": "system",
            "nodeRoleArn": ROLE,
            "subnetIds": ["subnet-1"],
            "scalingConfig": {"minSize": 1, "maxSize": 3, "desiredSize": 2},
        },
        "slipway:system",
        {"scalingConfig": {"minSize": 1, "maxSize": 5, "desiredSize": 2}},
    ),
    Case(
        "aws:budgets/budget:Budget",
        {
            "name": "slipway-local",
            "budgetType": "COST",
            "limitAmount": "100",
            "limitUnit": "USD",
            "timeUnit": "MONTHLY",
            "notifications": [
                {
                    "comparisonOperator": "GREATER_THAN",
                    "threshold": 80,
                    "thresholdType": "PERCENTAGE",
                    "notificationType": "ACTUAL",
                    "subscriberEmailAddresses": ["ops@example.com"],
                }
            ],
        },
        f"{ACCOUNT}:slipway-local",
        {"limitAmount": "200"},
    ),
]

CASES = [
    *_NETWORK,
    *_EKS,
    Case(
        "aws:kms/key:Key",
        {
            "description": "data",
            "enableKeyRotation": True,
            "deletionWindowInDays": 7,
            "policy": document(allow("kms:*", "*", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})),
            "tags": TAGS,
        },
        UUID,
        {"description": "more data", "enableKeyRotation": False, "tags": {"project": "other"}},
        kept=("deletionWindowInDays",),
    ),
    Case("aws:kms/alias:Alias", {"name": "alias/slipway-local", "targetKeyId": "$key"}, "alias/slipway-local"),
    Case(
        "aws:s3/bucket:Bucket",
        {"bucket": "slipway-models", "forceDestroy": True, "tags": TAGS},
        "slipway-models",
        {"tags": {"a": "b"}},
        kept=("forceDestroy",),
    ),
    Case(
        "aws:s3/bucketVersioning:BucketVersioning",
        {**_SETTINGS, "versioningConfiguration": {"status": "Enabled"}},
        "settings",
        {"versioningConfiguration": {"status": "Suspended"}},
        reads_nothing_after=False,
    ),
    Case(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        {
            **_SETTINGS,
            "rules": [
                {
                    "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY},
                    "bucketKeyEnabled": True,
                }
            ],
        },
        "settings",
        {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
    ),
    Case(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        {**_SETTINGS, "blockPublicAcls": True, "blockPublicPolicy": True, "restrictPublicBuckets": True},
        "settings",
        {"blockPublicPolicy": False},
    ),
    Case(
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        {**_SETTINGS, "rule": {"objectOwnership": "BucketOwnerEnforced"}},
        "settings",
        {"rule": {"objectOwnership": "ObjectWriter"}},
    ),
    Case(
        "aws:s3/bucketPolicy:BucketPolicy",
        {**_SETTINGS, "policy": document(allow("s3:GetObject", "arn:aws:s3:::settings/*", Principal="*"))},
        "settings",
        {"policy": document()},
    ),
    Case(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        {
            **_SETTINGS,
            "rules": [
                {
                    "id": "abandoned-uploads",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
                },
                {
                    "id": "old-versions",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "noncurrentVersionExpiration": {"noncurrentDays": 30},
                    "expiration": {"expiredObjectDeleteMarker": True},
                },
                {
                    "id": "cool",
                    "status": "Enabled",
                    "filter": {"prefix": "a/"},
                    "transitions": [{"days": 90, "storageClass": "STANDARD_IA"}],
                    "expiration": {"days": 400},
                },
            ],
        },
        "settings",
        {"rules": [{"id": "one", "status": "Disabled", "filter": {"prefix": ""}, "expiration": {"days": 1}}]},
    ),
    Case(
        "aws:s3/bucketLogging:BucketLogging",
        {**_SETTINGS, "targetBucket": "there", "targetPrefix": "log/"},
        "settings",
        {"targetPrefix": "logs/"},
    ),
    Case(
        "aws:s3/bucketNotification:BucketNotification",
        {
            **_SETTINGS,
            "queues": [{"id": "q", "queueArn": QUEUE, "events": ["s3:ObjectCreated:*"], "filterPrefix": "capture/"}],
        },
        "settings",
        {"queues": [{"id": "q", "queueArn": QUEUE, "events": ["s3:ObjectRemoved:*"]}]},
        reads_nothing_after=False,
    ),
    Case(
        "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration",
        {**_SETTINGS, "corsRules": [{"allowedMethods": ["GET"], "allowedOrigins": ["https://example.com"]}]},
        "settings",
        {"corsRules": [{"allowedMethods": ["GET", "PUT"], "allowedOrigins": ["https://example.com"]}]},
    ),
    Case(
        "aws:glue/catalogDatabase:CatalogDatabase",
        {"name": "slipway_local", "description": "event store", "tags": TAGS},
        f"{ACCOUNT}:slipway_local",
        {"description": "warehouse", "tags": {"a": "b"}},
    ),
    Case(
        "aws:glue/catalogTable:CatalogTable",
        {
            "name": "capture",
            "databaseName": "there",
            "description": "predictions",
            "tableType": "EXTERNAL_TABLE",
            "parameters": {"EXTERNAL": "TRUE", "projection.enabled": "true"},
            "partitionKeys": [{"name": "date", "type": "string"}],
            "storageDescriptor": {
                "columns": [{"name": "at", "type": "timestamp"}, {"name": "numeric", "type": "map<string,double>"}],
                "location": "s3://slipway-capture/",
                "inputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                "outputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
                "serDeInfo": {"serializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
            },
        },
        f"{ACCOUNT}:there:capture",
        {"description": "all predictions", "parameters": {"EXTERNAL": "TRUE"}},
    ),
    Case(
        "aws:athena/workgroup:Workgroup",
        {
            "name": "slipway",
            "description": "queries",
            "forceDestroy": True,
            "configuration": {
                "enforceWorkgroupConfiguration": True,
                "publishCloudwatchMetricsEnabled": True,
                "bytesScannedCutoffPerQuery": 107374182400,
                "engineVersion": {"selectedEngineVersion": "Athena engine version 3"},
                "resultConfiguration": {
                    "outputLocation": "s3://there/results/",
                    "encryptionConfiguration": {"encryptionOption": "SSE_KMS", "kmsKeyArn": KEY},
                },
            },
            "tags": TAGS,
        },
        "slipway",
        {"description": "other queries", "configuration": {"bytesScannedCutoffPerQuery": 10737418240}},
        kept=("forceDestroy",),
    ),
    Case(
        "aws:athena/namedQuery:NamedQuery",
        {"name": "late", "database": "there", "query": "SELECT 1", "workgroup": "primary", "description": "x"},
        UUID,
    ),
    Case(
        "aws:athena/dataCatalog:DataCatalog",
        {"name": "other", "description": "d", "type": "GLUE", "parameters": {"catalog-id": ACCOUNT}, "tags": TAGS},
        "other",
    ),
    Case(
        "aws:ecr/repository:Repository",
        {
            "name": "slipway-local/serving",
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
            "encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": KEY}],
            "forceDelete": True,
            "tags": TAGS,
        },
        "slipway-local/serving",
        {"imageTagMutability": "MUTABLE", "imageScanningConfiguration": {"scanOnPush": False}, "tags": {"a": "b"}},
        kept=("forceDelete",),
    ),
    Case(
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        {
            "repository": "there",
            "policy": json.dumps(
                {
                    "rules": [
                        {
                            "rulePriority": 1,
                            "selection": {
                                "tagStatus": "untagged",
                                "countType": "sinceImagePushed",
                                "countUnit": "days",
                                "countNumber": 14,
                            },
                            "action": {"type": "expire"},
                        }
                    ]
                }
            ),
        },
        "there",
    ),
    Case(
        "aws:ecr/repositoryPolicy:RepositoryPolicy",
        {
            "repository": "there",
            "policy": document({"Effect": "Allow", "Principal": "*", "Action": ["ecr:BatchGetImage"]}),
        },
        "there",
    ),
    Case(
        "aws:sagemaker/modelPackageGroup:ModelPackageGroup",
        {"modelPackageGroupName": "slipway-local-m", "modelPackageGroupDescription": "versions", "tags": TAGS},
        "slipway-local-m",
        {"tags": {"a": "b"}},
    ),
    Case(
        "aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy",
        {"modelPackageGroupName": "there", "resourcePolicy": document()},
        "there",
        {"resourcePolicy": document(allow("sagemaker:DescribeModelPackageGroup", "*"))},
    ),
    Case(
        "aws:iam/role:Role",
        {
            "name": "slipway-local-reader",
            "description": "reads",
            "assumeRolePolicy": TRUST,
            "maxSessionDuration": 7200,
            "tags": TAGS,
        },
        "slipway-local-reader",
        {"description": "reads more", "assumeRolePolicy": TRUST.replace("pods", "nodes"), "tags": {"a": "b"}},
    ),
    Case(
        "aws:iam/rolePolicy:RolePolicy",
        {"role": "there", "name": "read", "policy": document(allow("s3:GetObject", "arn:aws:s3:::a/*"))},
        "there:read",
        {"policy": document(allow("s3:PutObject", "arn:aws:s3:::a/*"))},
    ),
    Case(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        {"role": "there", "policyArn": "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"},
        "there/arn:aws:iam::aws:policy/AmazonEKSClusterPolicy",
    ),
    Case(
        "aws:iam/policy:Policy",
        {
            "name": "read",
            "description": "d",
            "policy": document(allow("s3:GetObject", "arn:aws:s3:::a/*")),
            "tags": TAGS,
        },
        f"arn:aws:iam::{ACCOUNT}:policy/read",
        {"policy": document(allow("s3:PutObject", "arn:aws:s3:::a/*")), "tags": {"a": "b"}},
    ),
    Case(
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        {"url": "https://token.actions.githubusercontent.com", "clientIdLists": ["sts.amazonaws.com"], "tags": TAGS},
        f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com",
        {"clientIdLists": ["two", "three"]},
    ),
    Case(
        "aws:iam/instanceProfile:InstanceProfile",
        {"name": "nodes", "role": "there"},
        "nodes",
    ),
    Case(
        "aws:cloudwatch/eventBus:EventBus",
        {"name": "slipway-local", "description": "models", "kmsKeyIdentifier": KEY, "tags": TAGS},
        "slipway-local",
        {"description": "more", "tags": {"a": "b"}},
    ),
    Case(
        "aws:cloudwatch/eventBusPolicy:EventBusPolicy",
        {
            "eventBusName": "there",
            "policy": document(
                allow(
                    "events:PutEvents",
                    f"arn:aws:events:eu-west-1:{ACCOUNT}:event-bus/there",
                    Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                )
            ),
        },
        "there",
    ),
    Case(
        "aws:cloudwatch/eventRule:EventRule",
        {"name": "approvals", "description": "d", "eventPattern": '{"source": ["aws.sagemaker"]}', "tags": TAGS},
        "approvals",
        {"description": "e", "state": "DISABLED"},
    ),
    Case(
        "aws:cloudwatch/eventTarget:EventTarget",
        {"rule": "there", "targetId": "queue", **_TARGET, "retryPolicy": {"maximumRetryAttempts": 3}},
        "there-queue",
        {"inputTransformer": {"inputPaths": {"a": "$.detail"}, "inputTemplate": '"<a>"'}},
        imports=False,
    ),
    Case(
        "aws:cloudwatch/eventArchive:EventArchive",
        {"name": "all", "eventSourceArn": f"arn:aws:events:eu-west-1:{ACCOUNT}:event-bus/there", "retentionDays": 7},
        "all",
        {"retentionDays": 14},
    ),
    Case(
        "aws:cloudwatch/logGroup:LogGroup",
        {"name": "/slipway/local/pods", "retentionInDays": 30, "kmsKeyId": KEY, "tags": TAGS},
        "/slipway/local/pods",
        {"retentionInDays": None, "kmsKeyId": None, "tags": {"a": "b"}},
    ),
    Case(
        "aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
        {"policyName": "events", "policyDocument": document(allow("logs:PutLogEvents", "*"))},
        "events",
        {"policyDocument": document()},
    ),
    Case(
        "aws:cloudwatch/logMetricFilter:LogMetricFilter",
        {
            "name": "errors",
            "logGroupName": "there",
            "pattern": "ERROR",
            "metricTransformation": {"name": "Errors", "namespace": "Slipway", "value": "1"},
        },
        "errors",
        {"pattern": "FATAL"},
        imports=False,
    ),
    Case(
        "aws:cloudwatch/logSubscriptionFilter:LogSubscriptionFilter",
        {"name": "copy", "logGroup": "there", "filterPattern": "", "destinationArn": "$stream", "roleArn": ROLE},
        r"there\|copy",
        {"filterPattern": "ERROR"},
    ),
    Case(
        "aws:cloudwatch/queryDefinition:QueryDefinition",
        {"name": "errors", "queryString": "fields @message", "logGroupNames": ["there"]},
        UUID,
        {"queryString": "fields @timestamp"},
    ),
    Case(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        {
            "name": "burn",
            "comparisonOperator": "GreaterThanThreshold",
            "evaluationPeriods": 2,
            "threshold": 14.4,
            "metricQueries": [
                {"id": "rate", "expression": "errors/requests", "label": "error rate", "returnData": True},
                {
                    "id": "errors",
                    "metric": {
                        "metricName": "Errors",
                        "namespace": "Slipway",
                        "period": 300,
                        "stat": "Sum",
                        "dimensions": {"service": "flight-delay"},
                    },
                },
            ],
            "alarmActions": [TOPIC],
            "treatMissingData": "notBreaching",
            "tags": TAGS,
        },
        "burn",
        {"threshold": 6, "alarmActions": [TOPIC, QUEUE], "tags": {"a": "b"}},
    ),
    Case(
        "aws:cloudwatch/compositeAlarm:CompositeAlarm",
        {"alarmName": "both", "alarmRule": "ALARM(a) AND ALARM(b)", "alarmActions": [TOPIC], "tags": TAGS},
        "both",
        {"alarmRule": "ALARM(a)"},
    ),
    Case(
        "aws:cloudwatch/dashboard:Dashboard",
        {"dashboardName": "slipway", "dashboardBody": json.dumps({"widgets": []})},
        "slipway",
        {"dashboardBody": json.dumps({"widgets": [{"type": "text", "properties": {"markdown": "x"}}]})},
    ),
    Case(
        "aws:sqs/queue:Queue",
        {
            "name": "orders",
            "kmsMasterKeyId": KEY,
            "visibilityTimeoutSeconds": 180,
            "messageRetentionSeconds": 1209600,
            "redrivePolicy": json.dumps(
                {"deadLetterTargetArn": QUEUE.replace("there", "dead-letters"), "maxReceiveCount": 3}
            ),
            "tags": TAGS,
        },
        rf"http://127\.0\.0\.1:\d+/{ACCOUNT}/orders",
        {"visibilityTimeoutSeconds": 60, "redrivePolicy": None, "tags": {"a": "b"}},
    ),
    Case(
        "aws:sqs/queuePolicy:QueuePolicy",
        {"queueUrl": "$queue", "policy": document(allow("sqs:SendMessage", QUEUE, Principal="*"))},
        rf"http://.*/{ACCOUNT}/there",
        {"policy": document(allow("sqs:ReceiveMessage", QUEUE, Principal="*"))},
        reads_nothing_after=False,
    ),
    Case(
        "aws:sqs/redrivePolicy:RedrivePolicy",
        {
            "queueUrl": "$queue",
            "redrivePolicy": json.dumps(
                {"deadLetterTargetArn": QUEUE.replace("there", "dead-letters"), "maxReceiveCount": 3}
            ),
        },
        rf"http://.*/{ACCOUNT}/there",
        reads_nothing_after=False,
    ),
    Case(
        "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy",
        {"queueUrl": "$queue", "redriveAllowPolicy": json.dumps({"redrivePermission": "denyAll"})},
        rf"http://.*/{ACCOUNT}/there",
        kept=("redriveAllowPolicy",),
        imports=False,
        reads_nothing_after=False,
    ),
    Case(
        "aws:sns/topic:Topic",
        {"name": "alarms", "kmsMasterKeyId": KEY, "displayName": "Alarms", "tags": TAGS},
        f"arn:aws:sns:eu-west-1:{ACCOUNT}:alarms",
        {"displayName": "All alarms", "tags": {"a": "b"}},
    ),
    Case(
        "aws:sns/topicPolicy:TopicPolicy",
        {
            "arn": TOPIC,
            "policy": document(allow("sns:Publish", TOPIC, Principal={"Service": "cloudwatch.amazonaws.com"})),
        },
        TOPIC,
        {"policy": document(allow("sns:Publish", TOPIC, Principal={"Service": "events.amazonaws.com"}))},
        reads_nothing_after=False,
    ),
    Case(
        "aws:sns/topicSubscription:TopicSubscription",
        {"topic": TOPIC, "protocol": "sqs", "endpoint": QUEUE, "rawMessageDelivery": True},
        f"{TOPIC}:{UUID}",
        {"rawMessageDelivery": False},
    ),
    Case(
        "aws:secretsmanager/secret:Secret",
        {"name": "api-keys", "description": "keys", "kmsKeyId": KEY, "recoveryWindowInDays": 0, "tags": TAGS},
        f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:api-keys-\\w+",
        {"description": "more keys", "tags": {"a": "b"}},
        kept=("recoveryWindowInDays",),
    ),
    Case(
        "aws:secretsmanager/secretVersion:SecretVersion",
        {"secretId": "there", "secretString": "hidden"},
        rf"there\|{UUID}",
        reads_nothing_after=False,
    ),
    Case(
        "aws:dynamodb/table:Table",
        {
            "name": "features",
            "hashKey": "id",
            "rangeKey": "at",
            "attributes": [{"name": "id", "type": "S"}, {"name": "at", "type": "N"}, {"name": "kind", "type": "S"}],
            "billingMode": "PAY_PER_REQUEST",
            "globalSecondaryIndexes": [{"name": "by-kind", "hashKey": "kind", "projectionType": "ALL"}],
            "serverSideEncryption": {"enabled": True, "kmsKeyArn": KEY},
            "pointInTimeRecovery": {"enabled": True},
            "ttl": {"attributeName": "expires", "enabled": True},
            "streamEnabled": True,
            "streamViewType": "NEW_IMAGE",
            "tags": TAGS,
        },
        "features",
        {"pointInTimeRecovery": {"enabled": False}, "deletionProtectionEnabled": False, "tags": {"a": "b"}},
        kept=("globalSecondaryIndexes",),
    ),
    Case(
        "aws:kinesis/stream:Stream",
        {
            "name": "requests",
            "streamModeDetails": {"streamMode": "ON_DEMAND"},
            "encryptionType": "KMS",
            "kmsKeyId": KEY,
            "retentionPeriod": 72,
            "tags": TAGS,
        },
        f"arn:aws:kinesis:eu-west-1:{ACCOUNT}:stream/requests",
        {"retentionPeriod": 24, "tags": {"a": "b"}},
    ),
    Case(
        "aws:msk/serverlessCluster:ServerlessCluster",
        {
            "clusterName": "requests",
            "clientAuthentication": {"sasl": {"iam": {"enabled": True}}},
            "vpcConfigs": [{"subnetIds": ["subnet-1", "subnet-2"], "securityGroupIds": ["sg-1"]}],
            "tags": TAGS,
        },
        f"arn:aws:kafka:eu-west-1:{ACCOUNT}:cluster/requests/{UUID}-s1",
        {"tags": {"a": "b"}},
    ),
    Case(
        "aws:scheduler/schedule:Schedule",
        {
            "name": "retraining",
            "description": "nightly",
            "scheduleExpression": "cron(0 2 * * ? *)",
            "scheduleExpressionTimezone": "UTC",
            "flexibleTimeWindow": {"mode": "FLEXIBLE", "maximumWindowInMinutes": 15},
            "target": {"arn": QUEUE, "roleArn": ROLE, "input": "{}", "sqsParameters": {"messageGroupId": "m"}},
        },
        "default/retraining",
        {"scheduleExpression": "cron(0 3 * * ? *)"},
    ),
    Case(
        "aws:scheduler/scheduleGroup:ScheduleGroup", {"name": "slipway", "tags": TAGS}, "slipway", {"tags": {"a": "b"}}
    ),
    Case(
        "aws:ssm/parameter:Parameter",
        {"name": "/slipway/local/url", "type": "String", "value": "a", "description": "where", "tags": TAGS},
        "/slipway/local/url",
        {"value": "b", "tags": {"a": "b"}},
    ),
    Case(
        "aws:acm/certificate:Certificate",
        {"domainName": "a.example.com", "validationMethod": "DNS", "tags": TAGS},
        f"arn:aws:acm:eu-west-1:{ACCOUNT}:certificate/{UUID}",
        {"tags": {"a": "b"}},
        kept=("validationMethod",),
    ),
    Case(
        "aws:acm/certificateValidation:CertificateValidation",
        {"certificateArn": f"arn:aws:acm:eu-west-1:{ACCOUNT}:certificate/1"},
        f"arn:aws:acm:eu-west-1:{ACCOUNT}:certificate/1",
    ),
    Case(
        "aws:route53/zone:Zone",
        {"name": "example.com", "comment": "ours", "tags": TAGS},
        r"\w+",
        {"comment": "all ours", "tags": {"a": "b"}},
    ),
    Case(
        "aws:route53/record:Record",
        {"zoneId": "$zone", "name": "api.example.org", "type": "A", "ttl": 60, "records": ["192.0.2.1", "192.0.2.2"]},
        r"\w+_api\.example\.org_A",
        {"records": ["192.0.2.3"]},
    ),
]
