from pulumi_mocks import provision, settled, unknown

__all__ = ["provision", "settled", "unknown"]
