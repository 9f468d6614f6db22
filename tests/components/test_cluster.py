"""Cluster: EKS with and without Auto Mode, or one that exists. A mock cannot say whether EKS takes the combination."""

import json

import pytest

from components.cluster import AUTO_MODE_POLICIES, LOG_TYPES, Cluster
from components.cluster_addons import PINNED
from components.kubeconfig import kubeconfig

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"


def spec(**more):
    return {"environment": "prod", "private_subnet_ids": ["subnet-1", "subnet-2"], "kms_key_arn": KEY, **more}


@pytest.fixture
def make(provision):
    return lambda **more: provision(lambda: Cluster("cluster", spec(**more)))


def test_is_private_encrypted_and_logged_by_default(make):
    made = make()
    eks = made.resources["cluster-eks"].inputs
    assert eks["name"] == "slipway-prod"
    assert eks["vpcConfig"]["endpointPublicAccess"] is False
    assert eks["vpcConfig"]["endpointPrivateAccess"] is True
    assert eks["encryptionConfig"] == {"provider": {"keyArn": KEY}, "resources": ["secrets"]}
    assert eks["enabledClusterLogTypes"] == list(LOG_TYPES)
    assert eks["accessConfig"]["authenticationMode"] == "API"
    logs = made.resources["cluster-logs"].inputs
    assert (logs["name"], logs["kmsKeyId"]) == ("/aws/eks/slipway-prod/cluster", KEY)
    assert "cluster-logs" in made.resources["cluster-eks"].depends_on


def test_auto_mode_switches_on_all_three_of_its_parts(make):
    made = make()
    eks = made.resources["cluster-eks"].inputs
    assert eks["computeConfig"]["enabled"] is True
    assert eks["kubernetesNetworkConfig"]["elasticLoadBalancing"] == {"enabled": True}
    assert eks["storageConfig"] == {"blockStorage": {"enabled": True}}
    assert eks["bootstrapSelfManagedAddons"] is False
    attached = {
        name.removeprefix("cluster-control-") for name in made.resources if name.startswith("cluster-control-Amazon")
    }
    assert attached == set(AUTO_MODE_POLICIES)
    trust = made.resources["cluster-control-role"].json("assumeRolePolicy")["Statement"][0]
    assert trust["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert made.of_type("aws:eks/nodeGroup:NodeGroup") == []


def test_without_auto_mode_there_are_nodes_and_the_pod_identity_agent(make):
    made = make(auto_mode=False)
    eks = made.resources["cluster-eks"].inputs
    assert eks["computeConfig"] == {"enabled": False}
    assert eks["bootstrapSelfManagedAddons"] is True
    (nodes,) = made.of_type("aws:eks/nodeGroup:NodeGroup")
    assert nodes.inputs["scalingConfig"] == {"minSize": 2, "maxSize": 3, "desiredSize": 2}
    assert made.resources["cluster-addons-eks-pod-identity-agent"].inputs["addonVersion"] == PINNED["pod_identity"]
    assert "cluster-nodes-AmazonEKS_CNI_Policy" in made.resources


def test_eks_keeps_its_policies_until_it_has_taken_all_away(make):
    for auto_mode in (True, False):
        made = make(auto_mode=auto_mode)
        attached = {one.name for one in made.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment")}
        assert len(attached) >= 3
        assert attached <= set(made.resources["cluster-eks"].depends_on)
    nodes = {name for name in attached if name.startswith("cluster-nodes-")}
    assert nodes <= set(made.resources["cluster-system"].depends_on)


def test_network_policies_are_enforced_with_and_without_auto_mode(make):
    """Both take them silently otherwise, and every pod is open to every other."""
    switch = make().resources["cluster-addons-network-policies"].inputs
    assert (switch["metadata"]["namespace"], switch["metadata"]["name"]) == ("kube-system", "amazon-vpc-cni")
    assert switch["data"] == {"enable-network-policy-controller": "true"}
    plugin = make(auto_mode=False).resources["cluster-addons-vpc-cni"]
    assert plugin.json("configurationValues") == {"enableNetworkPolicy": "true"}
    assert plugin.inputs["addonVersion"] == PINNED["vpc_cni"]


def test_every_add_on_is_pinned(make):
    made = make()
    addons = made.of_type("aws:eks/addon:Addon")
    assert {one.inputs["addonName"]: one.inputs["addonVersion"] for one in addons} == {
        "metrics-server": PINNED["metrics_server"],
        "amazon-cloudwatch-observability": PINNED["observability"],
    }
    (keda,) = made.of_type("kubernetes:helm.sh/v3:Release")
    assert keda.inputs["version"]
    assert keda.parent == "cluster-addons"


def test_kedas_role_may_do_nothing_until_a_stream_grants_it(make):
    made = make()
    role = made.resources["cluster-addons-scaler-role"]
    trust = role.json("assumeRolePolicy")["Statement"][0]["Condition"]["StringEquals"]
    assert trust["aws:RequestTag/kubernetes-service-account"] == "keda-operator"
    assert not [
        one for one in made.of_type("aws:iam/rolePolicy:RolePolicy") if one.inputs["role"] == role.inputs["name"]
    ]


def test_administrators_and_viewers_get_access_entries(make):
    made = make(
        admin_role_arns=["arn:aws:iam::123456789012:role/platform"],
        viewer_role_arns=["arn:aws:iam::123456789012:role/preview"],
    )
    policies = {
        one.inputs["principalArn"].rpartition("/")[2]: one.inputs["policyArn"].rpartition("/")[2]
        for one in made.of_type("aws:eks/accessPolicyAssociation:AccessPolicyAssociation")
    }
    assert policies == {"platform": "AmazonEKSClusterAdminPolicy", "preview": "AmazonEKSViewPolicy"}


def test_the_internet_reaches_the_api_server_only_from_named_networks(make):
    network = make(public_access_cidrs=["203.0.113.0/24"]).resources["cluster-eks"].inputs["vpcConfig"]
    assert (network["endpointPublicAccess"], network["publicAccessCidrs"]) == (True, ["203.0.113.0/24"])


def test_a_protected_cluster_cannot_be_deleted(make):
    made = make(protected=True).resources["cluster-eks"]
    assert (made.protect, made.inputs["deletionProtection"]) == (True, True)


def test_an_existing_cluster_is_taken_as_it_is(provision, settled):
    taken: list[Cluster] = []
    existing = {"name": "theirs", "node_role_name": "their-nodes", "scaler_role_name": "their-keda"}
    made = provision(lambda: taken.append(Cluster("cluster", spec(existing=existing))))
    assert made.types() == {
        "cluster": "slipway:index:Cluster",
        "cluster-kubernetes": "pulumi:providers:kubernetes",
    }
    assert settled(taken[0].security_group_id) == "sg-theirs"
    assert settled(taken[0].node_role_name) == "their-nodes"
    assert json.loads(settled(taken[0].kubeconfig))["clusters"][0]["cluster"]["server"] == "https://theirs.example"


def test_the_kubeconfig_holds_no_credentials():
    config = json.loads(kubeconfig("slipway-prod", "https://eks.example", "Y2E=", "eu-west-1"))
    (user,) = config["users"]
    assert set(user["user"]) == {"exec"}
    assert user["user"]["exec"]["args"][-3:] == ["slipway-prod", "--region", "eu-west-1"]


def test_a_preview_shows_everything_that_will_be_made(provision):
    assert (
        provision(lambda: Cluster("cluster", spec()), preview=True).types()
        == provision(lambda: Cluster("cluster", spec())).types()
    )
