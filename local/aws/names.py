"""How pulumi-aws's property names and the names in AWS's APIs belong together.

They are the same words: `KMSMasterKeyID` and `kmsMasterKeyId`, `Subnets` and `subnetIds` aside. So names are compared
without case, a list may be in the singular on either side, and the API may put the noun of the resource before a name
(`repositoryName` of a repository is `name`). The rest is renamed explicitly, where the type is described.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache


@dataclass(frozen=True)
class Names:
    """The names of one resource type."""

    noun: str = ""
    """What the API puts before its names, such as `repository`."""
    renames: Mapping[str, str] = field(default_factory=dict[str, str])
    """API name -> property name, for what does not follow from the words. `Outer.Inner` is only meant inside `Outer`.
    An empty property name: the API's name has no property."""

    def property(self, member: str, within: str, properties: Collection[str]) -> str | None:
        """The property that the API's `member` (of the structure `within`; empty at the top) stands for, or None."""
        for key in (f"{within}.{member}", member):
            if key in self.renames:
                name = self.renames[key]
                return name if name in properties else None
        by_words = _by_words(frozenset(properties))
        words = member.lower()
        if words in by_words:
            return by_words[words]
        noun = self.noun.lower()
        if noun and not within and words.startswith(noun) and words[len(noun) :] in by_words:
            return by_words[words[len(noun) :]]
        return None


@cache
def _by_words(properties: frozenset[str]) -> Mapping[str, str]:
    """Property names by every spelling that the API may use for them."""
    exact = {name.lower(): name for name in properties}
    spellings: dict[str, str] = {}
    for words, name in exact.items():
        spellings.setdefault(f"{words}s", name)
        if words.endswith("s"):
            spellings.setdefault(words.removesuffix("s"), name)
        if words.endswith("ies"):
            spellings.setdefault(f"{words.removesuffix('ies')}y", name)
    return spellings | exact
