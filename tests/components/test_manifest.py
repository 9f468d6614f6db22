"""Typed inputs as plain manifests."""

from components.manifest import manifest


def test_keys_are_spelt_as_kubernetes_does_and_free_keys_stay():
    typed = {
        "service_account_name": "a",
        "node_selector": {"slipway.dev/pool": "gpu"},
        "containers": [{"resources": {"limits": {"nvidia.com/gpu": "1", "ephemeral-storage": "1Gi"}}, "args": ["x_y"]}],
        "empty_dir": {},
    }
    assert manifest(typed) == {
        "serviceAccountName": "a",
        "nodeSelector": {"slipway.dev/pool": "gpu"},
        "containers": [{"resources": {"limits": {"nvidia.com/gpu": "1", "ephemeral-storage": "1Gi"}}, "args": ["x_y"]}],
        "emptyDir": {},
    }
