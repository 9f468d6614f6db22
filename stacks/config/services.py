"""`slipway:services`: what each service is. Each default has its reason beside it."""

from typing import Annotated

from pydantic import Field

from stacks.config import vocabulary as v
from stacks.config.kinds import Between, Number, Section, Whole

PATTERNS = ("rest", "batch", "stream")


class Model(Section):
    """The model version that the service runs. `slipway release` writes it."""

    name: v.ModelName
    """The model in the registry. Absent: named like the service."""
    version: v.ModelVersion | None = None
    """Absent until the first release: the service waits, the deployment does not fail."""
    digest: v.Digest | None = None
    """sha256 of the package, which pods verify before they load it. Goes with `version`."""


class Resources(Section):
    """What a pod gets."""

    cpu: v.Cpu = "1"
    """CPUs, requested and the limit: a pod has in production what it was measured with. 1 serves a small model well."""
    memory: v.Memory = "1Gi"
    """Memory, requested and the limit. 1Gi holds the runtime and a model of some hundred megabytes."""
    gpus: Annotated[int, Whole(0, 8, "GPUs")] = 0
    """GPUs; needs a pool that has them."""


class Workload(Section):
    """What each pattern runs in."""

    resources: Resources = Resources()
    pool: v.PoolName | None = None
    """Pool to run on. Absent: wherever there is room."""


class Replicas(Section):
    """How many pods."""

    min: v.Count = 2
    """Always running. 2: one may be lost or replaced without an outage."""
    max: v.Count = 10
    """Ceiling of the autoscaler. 10: five times the usual load before someone has to look."""


class WorkerReplicas(Section):
    """How many workers."""

    min: Annotated[int, Whole(0, 1000)] = 1
    """Always running. 1: an event is answered at once; 0 saves its cost and adds a start to the first event."""
    max: v.Count = 10
    """Ceiling of the autoscaler."""


class Slo(Section):
    """What users are promised. Alarms, dashboard and release checks take their thresholds from here only."""

    p95_ms: Annotated[float, Number(0, 60_000, "milliseconds")] = 200
    """95 of 100 requests are answered within this. 200: about what a person still calls immediate."""
    availability_percent: Annotated[float, Between(90, 99.999)] = 99.9
    """Share of requests answered without a server error. 99.9: 43 bad minutes a month."""


class Scaling(Section):
    """When pods are added."""

    cpu_percent: Annotated[int, Whole(10, 95, "percent")] = 60
    """Average CPU use. 60 leaves room for the half minute that a new pod needs."""
    requests_per_second: Annotated[int, Whole(1, 100_000, "requests a second")] | None = None
    """Requests a second and pod. Absent: CPU decides alone."""


class Oidc(Section):
    """Sign-in at the load balancer."""

    issuer: v.HttpsUrl
    """The identity provider."""
    authorization_endpoint: v.HttpsUrl
    """Where people sign in."""
    token_endpoint: v.HttpsUrl
    """Where the load balancer redeems codes."""
    user_info_endpoint: v.HttpsUrl
    """Where it asks who signed in."""
    client_secret_arn: v.SecretArn
    """Secrets Manager secret with `clientID` and `clientSecret`; read in the cluster only, never by Pulumi."""


class Auth(Section):
    """Who may ask: one of the two."""

    api_keys_arn: v.SecretArn | None = None
    """Secrets Manager secret with a JSON object of name: key. Never the keys themselves."""
    oidc: Oidc | None = None
    """For people instead of programs."""


class Ingress(Section):
    """The way in from outside the cluster (an AWS load balancer with TLS)."""

    host: v.Hostname
    """Name that clients use."""
    certificate_arn: v.CertificateArn
    """Certificate for it, in the environment's region."""
    public: v.Flag = False
    """Whether it faces the internet. False: reachable from the VPC and what is connected with it."""
    allowed_cidrs: Annotated[tuple[v.Cidr, ...], Field(min_length=1, max_length=20)]
    """Who may connect; everyone has to be written out as 0.0.0.0/0."""
    auth: Auth | None = None
    """Required when public."""


class Rest(Workload):
    """Online predictions over REST and gRPC."""

    replicas: Replicas = Replicas()
    slo: Slo = Slo()
    scaling: Scaling = Scaling()
    workers: Annotated[int, Whole(1, 64)] = 1
    """Processes in a pod. 1 for one CPU; more pods survive more than more processes do."""
    max_body_mib: Annotated[int, Whole(1, 100, "MiB")] = 8
    """Largest request. 8 MiB are some ten thousand rows; more belongs in a batch."""
    max_rows: Annotated[int, Whole(1, 1_000_000, "rows")] = 10_000
    """Most rows in a request."""
    ingress: Ingress | None = None
    """Absent: reachable inside the cluster only."""
    local_port: v.Port | None = None
    """`local` only: the port on this machine. Absent: a free one, kept over restarts."""


class Batch(Workload):
    """Scoring of files, on a schedule."""

    schedule: v.Cron
    """When, as five cron fields in UTC."""
    input: v.InputPlace
    """Where the rows are: `s3://bucket/prefix/`, or a prefix of the environment's warehouse bucket. `{date}` is the day
    of the run, as 2026-01-31."""
    format: v.FileFormat = v.FileFormat.PARQUET
    """How they are written."""
    parallelism: Annotated[int, Whole(1, 256, "pods")] = 4
    """Pods that share a run."""
    attempts: Annotated[int, Whole(1, 10, "attempts")] = 3
    """Attempts of each pod's share; its result is the same whichever succeeds."""
    deadline_minutes: Annotated[int, Whole(1, 82 * 60, "minutes")] = 120
    """A run that takes longer is stopped and raises the alarm of a late one, which can wait for 82 hours."""
    max_bad_rows_percent: Annotated[float, Between(0, 100)] = 1
    """Rows that may be set aside as unreadable before the run fails."""


class KafkaStream(Section):
    """Topics of a Kafka stream."""

    topic: v.KafkaTopic
    """Topic with the events."""
    output_topic: v.KafkaTopic | None = None
    """Topic for predictions, besides the event store."""
    cluster_arn: v.KafkaArn | None = None
    """An MSK cluster to use, authenticated by IAM."""
    brokers: Annotated[tuple[v.Broker, ...], Field(max_length=10)] = ()
    """Brokers, over TLS, of a cluster outside MSK. With neither, MSK Serverless is made."""


class KinesisStream(Section):
    """The Kinesis stream."""

    stream_arn: v.KinesisArn | None = None
    """A stream to use. Absent: one is made, on demand."""


class Stream(Workload):
    """Scoring of events as they come."""

    source: v.Source = v.Source.SQS
    """`sqs`, `kinesis` or `kafka`. SQS: nothing to size, and it costs nothing while idle."""
    max_lag_seconds: Annotated[int, Whole(1, 86_400, "seconds")] = 60
    """Oldest event that may wait; more workers below it, an alarm above it."""
    attempts: Annotated[int, Whole(1, 100, "attempts")] = 5
    """Deliveries of an event before it goes to the dead-letter queue."""
    replicas: WorkerReplicas = WorkerReplicas()
    kinesis: KinesisStream | None = None
    """Only with `source: kinesis`; absent: a stream of its own."""
    kafka: KafkaStream | None = None
    """Only and always with `source: kafka`."""


class Drift(Section):
    """When the inputs have moved away from what the model was trained on."""

    enabled: v.Flag = True
    """On: it costs one small job an hour."""
    psi: Annotated[float, Number(0, 10)] = 0.2
    """Population stability index of a feature that counts as drift. 0.2 is the usual threshold for "significant"."""
    window_hours: v.Hours = 24
    """Predictions that are compared. A day evens out the hours."""
    min_samples: Annotated[int, Whole(50, 100_000_000, "predictions")] = 1000
    """Fewer are not compared: PSI of ten bins is noise below some hundreds."""
    schedule: v.Cron = "15 * * * *"
    """When to compare. Hourly, after the last capture of the hour has arrived."""


class Quality(Section):
    """When predictions, compared with the labels that arrive later, have become worse."""

    metric: v.Metric | None = None
    """What is measured. Absent: AUC for classification, RMSE for regression."""
    max_loss_percent: v.Percent = 5
    """Loss against the value in the model's manifest that counts. 5 % is beyond the noise of a thousand labels."""
    window_hours: v.Hours = 168
    """Predictions that are compared. A week evens out the days."""
    min_labels: Annotated[int, Whole(50, 100_000_000, "labels")] = 500
    """Fewer are not compared; a service without labels is never judged."""


class Retraining(Workload):
    """When a new candidate is trained."""

    on: Annotated[tuple[v.Reason, ...], Field(min_length=1)] = (v.Reason.DRIFT, v.Reason.QUALITY)
    """What starts it."""
    schedule: v.Cron | None = None
    """When, for the reason `schedule`."""
    cooldown_hours: v.Hours = 24
    """Least time between two. A day: drift that lasts does not train the same model twenty times."""
    approval: v.Approval | None = None
    """Who lets the candidate in. Absent: as `approvals.models` of the platform."""
    min_gain_percent: Annotated[float, Between(0, 100)] = 0
    """What a challenger must win by. 0: better is enough, on the same held-out rows."""
    deadline_minutes: Annotated[int, Whole(5, 690, "minutes")] = 240
    """A training that takes longer is stopped. 690: a request stays hidden in its queue for 12 hours at most."""
    image: v.ImageReference | None = None
    """Image that trains. Absent: the serving image."""


class BusinessMetric(Section):
    """A result that arrives as an outcome's value, and when it is wrong. One bound or both."""

    min: float | None = None
    """Average below this raises an alarm."""
    max: float | None = None
    """Average above this raises an alarm."""
    window_hours: v.Hours = 24
    """Outcomes that are averaged."""


class Service(Section):
    """One model behind one or more patterns."""

    model: Model
    """Absent: the one named like the service, not released yet."""
    rest: Rest | None = None
    batch: Batch | None = None
    stream: Stream | None = None
    features: tuple[v.GroupName, ...] = ()
    """Feature groups (of `slipway:platform.feature_groups`) that requests may name a key of."""
    drift: Drift = Drift()
    quality: Quality = Quality()
    retraining: Retraining | None = None
    """Absent: models are trained by hand."""
    business_metrics: dict[v.MetricName, BusinessMetric] = Field(default={})
    """By name."""

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns that it has."""
        return tuple(name for name in PATTERNS if getattr(self, name))
