"""The typed config of an environment: `Pulumi.<environment>.yaml` read, checked and explained.

`loader.from_file` and `loader.from_pulumi` give a `StackConfig`, or raise one `ConfigError` with every mistake.
Nothing is imported here, so that `stacks.config.environments` costs a command line nothing.
"""
