"""`slipway:platform`: what an environment is made of, besides its services. Each default has its reason beside it."""

from typing import Annotated

from pydantic import Field

from stacks.config import vocabulary as v
from stacks.config.kinds import Number, OneOf, Section, Text, Whole


class Image(Section):
    """The serving image that pods run."""

    repository: v.ImageRepository | None = None
    """A registry of your own. Absent: the one that the environment makes, so that images stay in its account."""
    tag: v.ImageTag = "0.1.0"
    """Tag of the image; the registry's tags cannot be moved, so a tag is one image. This release's own."""
    digest: v.Digest | None = None
    """Pins the image by content. Absent: a tag is enough where tags cannot be moved."""


class Retention(Section):
    """How long data is kept."""

    capture_days: v.Days = 90
    """Predictions and their inputs. 90: a season's drift can still be looked into."""
    outcomes_days: v.Days = 400
    """Labels and business results. 400: a year can be compared with the one before."""
    warehouse_days: v.Days = 400
    """Results of batch runs, as long as their outcomes."""
    old_versions_days: v.Days = 30
    """Overwritten and deleted objects. 30: a mistake is noticed within a month."""
    logs_days: Annotated[int, OneOf((1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731))] = 30
    """Logs; one of the periods that CloudWatch offers. 30: covers a monthly report's questions."""


class Data(Section):
    """Storage of models, predictions, outcomes and results."""

    retention: Retention = Retention()
    kms_key_arn: v.KeyArn | None = None
    """A key of your own. Absent: the environment makes one that rotates every year."""
    scan_limit_gib: Annotated[int, Whole(1, 10_000, "GiB")] = 100
    """Most that one Athena query may read. 100 GiB cost about half a dollar: a slip stays cheap."""


class ExistingNetwork(Section):
    """A VPC that is there already and is used as it is."""

    vpc_id: v.VpcId
    """Its id."""
    private_subnet_ids: Annotated[tuple[v.SubnetId, ...], Field(min_length=2, max_length=6)]
    """Subnets of at least two zones for nodes and pods."""
    public_subnet_ids: Annotated[tuple[v.SubnetId, ...], Field(max_length=6)] = ()
    """Subnets for load balancers that face the internet; none when no service is public."""


class Network(Section):
    """The VPC."""

    cidr: v.Cidr = "10.0.0.0/16"
    """Its addresses. A /16 has room for 60,000 pods, which take an address each."""
    zones: Annotated[int, Whole(1, 3)] = 2
    """Availability zones. 2: one may be lost. With 1 the network still has the two that EKS asks for, and pools use one
    of them: no traffic between zones to pay for."""
    nat: v.Nat = v.Nat.SINGLE
    """Ways out of private subnets. One gateway: cheap, and lost with its zone; `per_zone` survives that."""
    interface_endpoints: tuple[v.EndpointService, ...] = ()
    """AWS services reached without NAT. None: each costs about 7 dollars a month and zone; S3 and DynamoDB are free."""
    connected_cidrs: tuple[v.Cidr, ...] = ()
    """Networks that this one is connected with, now or later, and must not overlap."""
    flow_logs: v.Flag = True
    """Records who talked to whom: the first thing asked for after an incident."""
    existing: ExistingNetwork | None = None
    """Absent: a VPC is made."""


class ExistingCluster(Section):
    """An EKS cluster that is there already."""

    name: Annotated[str, Text(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", "an EKS cluster's name")]
    """Its name. It has Pod Identity, an ingress controller and, for streams, KEDA already."""
    auto_mode: v.Flag = True
    """Whether EKS Auto Mode runs its nodes; else Karpenter must, where pools are named."""
    node_role_name: v.RoleName | None = None
    """IAM role of its nodes. Needed with pools."""
    scaler_role_name: v.RoleName | None = None
    """IAM role of its KEDA operator. Needed with streams."""


class Cluster(Section):
    """The EKS cluster."""

    version: v.KubernetesVersion = v.KubernetesVersion.V1_34
    """Kubernetes version. Not the newest: add-ons follow some months later."""
    auto_mode: v.Flag = True
    """AWS runs nodes, load balancers and storage drivers: the least to operate for about 12 % on top of the nodes."""
    service_cidr: v.Cidr = "172.20.0.0/16"
    """Addresses of Services inside the cluster; EKS's own choice where the VPC has none of these."""
    public_access_cidrs: Annotated[tuple[v.Cidr, ...], Field(max_length=40)] = ()
    """Who may reach the API server over the internet. Nobody: it is reached from the VPC only."""
    admins: tuple[v.RoleArn, ...] = ()
    """Roles that may do everything in the cluster, besides the one that deploys."""
    existing: ExistingCluster | None = None
    """Absent: a cluster is made."""


class Pool(Section):
    """Machines of one kind, added and removed as pods need them (a Karpenter NodePool)."""

    hardware: v.Hardware = v.Hardware.CPU
    """`cpu` or `gpu`. A GPU pool is tainted, so that only GPU services land there."""
    capacity: v.Capacity = v.Capacity.ON_DEMAND
    """`spot` is about 70 % cheaper and can be taken away at two minutes' notice."""
    families: Annotated[tuple[v.InstanceFamily, ...], Field(min_length=1, max_length=15)]
    """EC2 instance families to choose from; more of them are more often available."""
    max_cpu: Annotated[int, Whole(2, 10_000, "CPUs")] = 64
    """Ceiling for all machines together. 64: a runaway autoscaler costs tens of dollars a day, not thousands."""
    max_gpus: Annotated[int, Whole(1, 512, "GPUs")] = 4
    """Ceiling of a GPU pool."""


class FeatureGroup(Section):
    """Features kept for online lookup and for training, under one key."""

    key: v.ColumnName
    """Column that names the entity."""
    event_time: v.ColumnName = "event_time"
    """Column that says when the values became known; training joins on it."""
    features: Annotated[dict[v.ColumnName, v.ColumnType], Field(min_length=1, max_length=400)]
    """Columns and their types."""
    ttl_hours: v.Hours | None = None
    """How long a row answers online. Absent: until it is overwritten."""


Share = Annotated[float, Number(0, 1000, "percent")]


class Budget(Section):
    """What the environment may cost."""

    monthly_usd: v.Usd
    """Budget of a month, in US dollars."""
    alert_percent: Annotated[tuple[Share, ...], Field(min_length=1, max_length=5)] = (50, 80, 100)
    """Shares of the budget that send a mail: time to look, time to act, over."""


class Alarms(Section):
    """Who hears of trouble."""

    email: v.Email | None = None
    """Address that every alarm goes to; AWS asks it to confirm once."""
    topic_arn: v.TopicArn | None = None
    """An SNS topic of your own (pager, chat) that every alarm goes to as well."""


class Delivery(Section):
    """Deployments from GitHub Actions, without long-lived keys."""

    github: v.GithubRepository
    """Repository whose jobs may assume the roles."""
    branch: v.Branch = "main"
    """Branch that may deploy and push images; pull requests may only preview."""
    state_bucket: v.BucketName | None = None
    """Bucket of the Pulumi state, which previews read. Absent: the state lies elsewhere."""
    state_key_arn: v.KeyArn | None = None
    """Key of the state and its secrets, which previews decrypt with."""
    provider_arn: v.OidcProviderArn | None = None
    """The account's OIDC provider for GitHub, which can exist only once an account. Absent: it is made."""


class Approvals(Section):
    """Where a person has the last word."""

    models: v.Approval = v.Approval.MANUAL
    """Retrained models. `automatic` lets a candidate that beats the current model in by itself."""
    deployments: v.Approval = v.Approval.MANUAL
    """Deployments from GitHub: `manual` trusts jobs of the protected GitHub environment of this name only."""


class Platform(Section):
    """Everything of an environment that its services share."""

    region: v.Region
    """AWS region."""
    account: v.Account | None = None
    """AWS account; credentials for another one are refused before anything is changed."""
    protected: v.Flag | None = None
    """Whether data, registry and cluster refuse to be deleted. Absent: in prod only. To take prod down for good, set it
    to false and run `up` first."""
    tags: Annotated[dict[v.TagKey, v.TagValue], Field(max_length=40)] = Field(default={})
    """Tags on every AWS resource, besides `slipway:environment`."""
    image: Image = Image()
    data: Data = Data()
    network: Network = Network()
    cluster: Cluster = Cluster()
    pools: dict[v.PoolName, Pool] = Field(default={})
    """By name. None: EKS Auto Mode's own general-purpose pool takes every pod."""
    feature_groups: dict[v.GroupName, FeatureGroup] = Field(default={})
    """By name; services say which they look up."""
    budget: Budget | None = None
    """Absent: spend is not watched."""
    alarms: Alarms = Alarms()
    delivery: Delivery | None = None
    """Absent: deployments are made by hand."""
    approvals: Approvals = Approvals()
