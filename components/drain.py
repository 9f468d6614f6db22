"""How a pod leaves without a failed request: the times of preStop, drain, grace and deregistration fit each other.

When a pod is deleted, two things begin at once: the kubelet runs `preStop` and then sends SIGTERM, and the endpoint is
taken out of Services and load balancers, which takes a while to be true everywhere. So the pod keeps serving for
`pre_stop_seconds`; then it finishes what is open within `drain_seconds`; then it ends its workers and ships what it
has captured, for the spool goes with the pod. `grace_seconds` after the deletion it would be killed. The load balancer
waits `deregistration_seconds` for open requests, no longer than the pod can still answer them.
"""

from dataclasses import dataclass

ENDPOINT_SECONDS = 5
"""Until every kube-proxy and client knows that an endpoint has gone."""
LOAD_BALANCER_SECONDS = 15
"""Until the controller has deregistered a target and every load balancer node has stopped sending to it."""
WORKERS_SECONDS = 2
"""After the drain, until the runtime's supervisor kills a worker that has not ended."""
SHIPPING_SECONDS = 8
"""After that, until the runtime gives up on shipping the last captures."""
MARGIN_SECONDS = 2
"""Before SIGKILL: processes exit."""
MAX_DEREGISTRATION_SECONDS = 3600
"""Longest deregistration delay of a target group (ELBv2 ModifyTargetGroupAttributes)."""


@dataclass(frozen=True)
class Drain:
    """The times of one pod's end, in seconds."""

    pre_stop_seconds: int
    drain_seconds: int

    @property
    def grace_seconds(self) -> int:
        """terminationGracePeriodSeconds; it runs from the deletion on, preStop included."""
        return self.pre_stop_seconds + self.drain_seconds + WORKERS_SECONDS + SHIPPING_SECONDS + MARGIN_SECONDS

    @property
    def deregistration_seconds(self) -> int:
        """The target group's deregistration delay: as long as the pod answers, and shorter than its life."""
        return min(self.pre_stop_seconds + self.drain_seconds, MAX_DEREGISTRATION_SECONDS)


def drain(drain_seconds: int, *, load_balanced: bool, pre_stop_seconds: int | None = None) -> Drain:
    """The times for a pod that needs at most `drain_seconds` to finish what is open.

    `pre_stop_seconds` overrides the wait for endpoints; 0 is right only where nothing routes to the pod.
    """
    if drain_seconds < 0 or (pre_stop_seconds is not None and pre_stop_seconds < 0):
        raise ValueError(f"drain_seconds {drain_seconds}, pre_stop_seconds {pre_stop_seconds}: expected 0 or more")
    wait = LOAD_BALANCER_SECONDS if load_balanced else ENDPOINT_SECONDS
    return Drain(wait if pre_stop_seconds is None else pre_stop_seconds, drain_seconds)
