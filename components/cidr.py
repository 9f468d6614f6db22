"""How a VPC's addresses are divided: one block a zone, of it half for private and a sixteenth for public subnets."""

from dataclasses import dataclass
from ipaddress import IPv4Network

LARGEST_VPC = 16
"""AWS allows VPCs from /16 (https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html)."""
SMALLEST_SUBNET = 28
"""AWS allows subnets down to /28: sixteen addresses, of which it keeps five."""
_PUBLIC_SHARE_BITS = 4
"""Load balancers and NAT gateways take some addresses a zone; pods, in the private subnets, take one each."""


@dataclass(frozen=True)
class ZoneCidrs:
    """The subnets of one zone. What is left of the zone's block stays free for subnets that come later."""

    private: str
    public: str


def allocate(vpc: str, zones: int) -> list[ZoneCidrs]:
    """Divides the VPC's network `vpc` among `zones` availability zones; no two subnets overlap.

    A zone's block depends on the number of zones only by its size (the next power of two), so that going from three
    zones to four, or back, moves nothing.

    Raises:
        ValueError: the network is larger than AWS allows for a VPC, or too small for that many zones.
    """
    network = IPv4Network(vpc)
    if network.prefixlen < LARGEST_VPC:
        raise ValueError(f"{vpc}: a VPC's network is /{LARGEST_VPC} at the largest; choose a smaller one")
    zone_prefix = network.prefixlen + (zones - 1).bit_length()
    if zone_prefix + 1 > SMALLEST_SUBNET:
        largest_prefix = SMALLEST_SUBNET - 1 - (zones - 1).bit_length()
        raise ValueError(f"{vpc}: too small for subnets in {zones} zones; it must be a /{largest_prefix} or larger")
    blocks = network.subnets(new_prefix=zone_prefix)
    return [_zone(next(blocks)) for _ in range(zones)]


def _zone(block: IPv4Network) -> ZoneCidrs:
    public_prefix = min(block.prefixlen + _PUBLIC_SHARE_BITS, SMALLEST_SUBNET)
    private = next(block.subnets(new_prefix=block.prefixlen + 1))
    public_size = 1 << (32 - public_prefix)
    public = IPv4Network((int(block.broadcast_address) + 1 - public_size, public_prefix))
    return ZoneCidrs(private=str(private), public=str(public))
