"""ComputePool: node pools and classes, for EKS Auto Mode and for Karpenter.

Mocks do not know the CRDs: their published schemas are checked against these objects elsewhere.
"""

import pytest

from components.compute_pool import ComputePool

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"


def spec(**more):
    return {
        "environment": "prod",
        "pool": "general",
        "node_role_name": "slipway-prod-cluster-nodes",
        "subnet_ids": ["subnet-1", "subnet-2"],
        "security_group_id": "sg-1",
        "families": ["m7i", "m6i"],
        **more,
    }


@pytest.fixture
def make(provision):
    return lambda **more: provision(lambda: ComputePool("pool", spec(**more))).resources


def requirement(made, key):
    return next(
        one["values"]
        for one in made["pool-pool"].inputs["spec"]["template"]["spec"]["requirements"]
        if one["key"] == key
    )


def test_auto_mode_registers_its_own_kinds(make):
    made = make()
    assert {name: one.typ for name, one in made.items()} == {
        "pool": "slipway:index:ComputePool",
        "pool-nodes": "kubernetes:eks.amazonaws.com/v1:NodeClass",
        "pool-pool": "kubernetes:karpenter.sh/v1:NodePool",
    }
    reference = made["pool-pool"].inputs["spec"]["template"]["spec"]["nodeClassRef"]
    assert reference == {"group": "eks.amazonaws.com", "kind": "NodeClass", "name": "general"}
    assert requirement(made, "eks.amazonaws.com/instance-family") == ["m7i", "m6i"]
    node_class = made["pool-nodes"].inputs["spec"]
    assert node_class["subnetSelectorTerms"] == [{"id": "subnet-1"}, {"id": "subnet-2"}]
    assert node_class["securityGroupSelectorTerms"] == [{"id": "sg-1"}]


def test_karpenter_gets_an_ec2_node_class_with_encrypted_disks_and_imdsv2(make):
    made = make(auto_mode=False, kms_key_arn=KEY)
    assert made["pool-nodes"].typ == "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
    node_class = made["pool-nodes"].inputs["spec"]
    assert node_class["metadataOptions"]["httpTokens"] == "required"
    disk = node_class["blockDeviceMappings"][0]["ebs"]
    assert (disk["encrypted"], disk["kmsKeyID"]) == (True, KEY)
    assert requirement(made, "karpenter.k8s.aws/instance-family") == ["m7i", "m6i"]


@pytest.mark.parametrize("auto_mode", [True, False])
def test_a_gpu_pool_is_tainted_and_has_a_ceiling(make, auto_mode):
    pool = make(hardware="gpu", families=["g6"], max_gpus=8, auto_mode=auto_mode)["pool-pool"].inputs["spec"]
    assert pool["template"]["spec"]["taints"] == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}]
    assert pool["limits"] == {"cpu": "64", "nvidia.com/gpu": "8"}


def test_a_cpu_pool_has_a_ceiling_too_and_no_taint(make):
    pool = make(max_cpu=200)["pool-pool"].inputs["spec"]
    assert pool["limits"] == {"cpu": "200"}
    assert "taints" not in pool["template"]["spec"]


def test_spot_falls_back_to_on_demand(make):
    assert requirement(make(capacity="spot"), "karpenter.sh/capacity-type") == ["spot", "on-demand"]
    assert requirement(make(), "karpenter.sh/capacity-type") == ["on-demand"]


def test_nodes_carry_the_label_that_pods_select(make):
    template = make()["pool-pool"].inputs["spec"]["template"]
    assert template["metadata"]["labels"] == {"slipway.dev/pool": "general"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"families": []}, "pool general: families: expected at least one EC2 instance family, got none"),
        ({"hardware": "tpu"}, "pool general: hardware: expected one of cpu, gpu, got 'tpu'"),
        ({"capacity": "free"}, "pool general: capacity: expected one of on_demand, spot, got 'free'"),
        ({"pool": "Not Valid"}, "pool 'Not Valid': expected 1-40 lower-case letters"),
    ],
)
def test_refuses_what_cannot_work(provision, wrong, says):
    with pytest.raises(ValueError, match=says):
        provision(lambda: ComputePool("pool", spec(**wrong)))


def test_subnets_that_a_preview_does_not_know_stay_unknown(provision, unknown):
    made = provision(lambda: ComputePool("pool", spec(subnet_ids=unknown())), preview=True).resources
    assert set(made) == {"pool", "pool-nodes", "pool-pool"}
