"""What a model takes and gives, known from its manifest alone."""

from serving.manifest import Manifest, Tensor
from serving.rows import Rows


class Signature:
    """Names, tensors and features of one model version. Reading requests needs no more; running them needs a Model."""

    def __init__(self, manifest: Manifest, max_rows: int) -> None:
        self.manifest = manifest
        self.name = manifest.name
        self.version = manifest.version
        self.inputs: dict[str, Tensor] = {tensor.name: tensor for tensor in manifest.inputs}
        self.outputs: dict[str, Tensor] = {tensor.name: tensor for tensor in manifest.outputs}
        self.output_names = list(self.outputs)
        self.rows = Rows(manifest, max_rows)
        self.has_rows = all(tensor.shape[0] == -1 for tensor in (*manifest.inputs, *manifest.outputs))
        """Whether the first dimension of every tensor is the rows of the request."""
