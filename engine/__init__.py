"""A Pulumi CLI for machines that cannot download one, and what runs Python programs for it.

What the engine needs for a run with no network (tests/engine runs it with every way out blocked):

- a backend of its own: `PULUMI_BACKEND_URL=file://<absolute path>`; spaces in the path may stand as they are;
- a secrets key of its own: `PULUMI_CONFIG_PASSPHRASE`. Where the stack's config file has an `encryptionsalt` made with
  the same passphrase, the engine leaves the file alone, so a committed one stays unchanged; without one it adds it;
- `PULUMI_SKIP_UPDATE_CHECK=1`, or it asks for newer versions of itself;
- `PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=1`, or it tries to download a provider that it does not find, instead of
  saying which one is missing. A plugin on PATH counts as found, whatever version is asked for;
- a language host: `pulumi-language-python` beside the executable (links resolved), else on PATH with a warning.

Interrupted (SIGINT), it stops the program and its plugins by SIGINT to their process groups, and gives its lock on the
state back. Killed, it leaves that lock behind, which `pulumi cancel` removes; the language host ends within a second.
"""
