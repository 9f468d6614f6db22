"""Other people's servers of the same model, each in an environment of its own from the package index.

`serve_<peer>.py` runs in that environment, so it imports nothing of Slipway: `serve_<peer>.py MODEL WORKERS REST GRPC`.
"""
