"""How a VPC's addresses are divided."""

import re
from ipaddress import IPv4Network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.cidr import allocate


@given(prefix=st.integers(16, 25), block=st.integers(0, 255), zones=st.integers(2, 3))
def test_subnets_lie_in_the_vpc_never_overlap_and_are_what_aws_allows(prefix, block, zones):
    vpc = next(IPv4Network((f"10.{block}.0.0", 16)).subnets(new_prefix=prefix))
    subnets = [IPv4Network(cidr) for zone in allocate(str(vpc), zones) for cidr in (zone.private, zone.public)]

    assert len(subnets) == 2 * zones
    assert all(subnet.subnet_of(vpc) and subnet.prefixlen <= 28 for subnet in subnets)
    assert not any(one.overlaps(other) for one, other in combinations(subnets, 2))


@given(prefix=st.integers(16, 25), zones=st.integers(2, 3))
def test_private_subnets_take_half_of_their_zone_and_all_zones_are_alike(prefix, zones):
    made = allocate(f"10.0.0.0/{prefix}", zones)
    zone_prefix = prefix + (zones - 1).bit_length()
    assert {IPv4Network(zone.private).prefixlen for zone in made} == {zone_prefix + 1}
    assert len({IPv4Network(zone.public).prefixlen for zone in made}) == 1


def test_the_default_network_on_two_zones():
    first, second = allocate("10.0.0.0/16", 2)
    assert (first.private, first.public) == ("10.0.0.0/18", "10.0.120.0/21")
    assert (second.private, second.public) == ("10.0.128.0/18", "10.0.248.0/21")


def test_a_fourth_zone_moves_nothing():
    assert allocate("10.0.0.0/16", 4)[:3] == allocate("10.0.0.0/16", 3)


@pytest.mark.parametrize(
    ("vpc", "zones", "says"),
    [
        ("10.0.0.0/8", 2, "10.0.0.0/8: a VPC's network is /16 at the largest; choose a smaller one"),
        ("10.0.0.0/27", 2, "10.0.0.0/27: too small for subnets in 2 zones; it must be a /26 or larger"),
        ("10.0.0.0/26", 3, "10.0.0.0/26: too small for subnets in 3 zones; it must be a /25 or larger"),
    ],
)
def test_networks_that_aws_refuses_are_refused_with_the_size_that_works(vpc, zones, says):
    with pytest.raises(ValueError, match=f"^{re.escape(says)}$"):
        allocate(vpc, zones)
