"""Several Parquet files of one schema as one file, without reading a value: their row groups follow each other, and one
footer says where each lies.

The footer is a Thrift structure in the compact protocol
(https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md); the fields that are touched are
those of https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift. Unknown ones are kept.
"""

from typing import Any, NamedTuple

MAGIC = b"PAR1"
TAIL_BYTES = 8
"""A file ends with the footer's length (4 bytes) and the magic."""

# Field numbers of parquet.thrift.
_SCHEMA, _ROWS, _ROW_GROUPS = 2, 3, 4  # FileMetaData
_COLUMNS, _GROUP_OFFSET, _ORDINAL = 1, 5, 7  # RowGroup
_CHUNK_OFFSETS, _CHUNK_META = (2, 4, 6), 3  # ColumnChunk: file_offset, offset index, column index; meta_data
_META_OFFSETS = (9, 10, 11, 14)  # ColumnMetaData: data, index and dictionary page, bloom filter

_TRUE, _FALSE, _BYTE, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 6, 7, 8, 9, 10, 11, 12
_SCALARS = range(_TRUE, _BINARY + 1)
_MOST_ORDINAL = 2**15 - 1


class Field(NamedTuple):
    """A field of a Thrift structure: its type and value; a structure is a dict of these by number."""

    kind: int
    value: Any


Struct = dict[int, Field]


def footer_length(tail: bytes) -> int:
    """The size of a footer, from the file's last 8 bytes.

    Raises:
        ValueError: these are not the last bytes of a Parquet file.
    """
    if len(tail) != TAIL_BYTES or tail[4:] != MAGIC:
        raise ValueError("not the end of a Parquet file")
    return int.from_bytes(tail[:4], "little")


def joined_footer(parts: list[tuple[bytes, int]]) -> bytes:
    """Footer, its length and the magic of one file made of others.

    `parts` are, in order, each file's footer (without the last 8 bytes) and by how many bytes its row groups lie
    further from the beginning of the new file than of its own.

    Raises:
        ValueError: the files' schemas differ.
    """
    first: Struct | None = None
    for footer, shift in parts:
        meta = _Reader(footer).struct()
        groups: list[Struct] = meta[_ROW_GROUPS].value[1]
        for group in groups:
            _shift_group(group, shift)
        if first is None:
            first = meta
            continue
        if first[_SCHEMA] != meta[_SCHEMA]:
            raise ValueError("the files have different schemas")
        first[_ROWS] = Field(_I64, first[_ROWS].value + meta[_ROWS].value)
        first[_ROW_GROUPS].value[1].extend(groups)
    if first is None:
        raise ValueError("no file to join")
    for ordinal, group in enumerate(first[_ROW_GROUPS].value[1]):
        if ordinal > _MOST_ORDINAL:
            group.pop(_ORDINAL, None)
        elif _ORDINAL in group:
            group[_ORDINAL] = group[_ORDINAL]._replace(value=ordinal)
    footer = _encode_struct(first)
    return footer + len(footer).to_bytes(4, "little") + MAGIC


def _shift_group(group: Struct, shift: int) -> None:
    _shift(group, (_GROUP_OFFSET,), shift)
    for chunk in group[_COLUMNS].value[1]:
        _shift(chunk, _CHUNK_OFFSETS, shift)
        if _CHUNK_META in chunk:
            _shift(chunk[_CHUNK_META].value, _META_OFFSETS, shift)


def _shift(found: Struct, numbers: tuple[int, ...], shift: int) -> None:
    for number in numbers:
        # A chunk's file_offset is 0 where the writer does not use it.
        if number in found and found[number].value:
            found[number] = found[number]._replace(value=found[number].value + shift)


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def struct(self) -> Struct:
        found: Struct = {}
        number = 0
        while head := self._byte():
            kind = head & 0x0F
            number = number + (head >> 4) if head >> 4 else _unzigzag(self._varint())
            found[number] = Field(kind, kind == _TRUE if kind in {_TRUE, _FALSE} else self._value(kind))
        return found

    def _value(self, kind: int) -> Any:
        if kind in _SCALARS:
            return self._scalar(kind)
        if kind in {_LIST, _SET}:
            head = self._byte()
            size = head >> 4 if head >> 4 != 15 else self._varint()
            return (head & 0x0F, [self._value(head & 0x0F) for _ in range(size)])
        if kind == _MAP:
            size = self._varint()
            kinds = self._byte() if size else 0
            return (kinds, [(self._value(kinds >> 4), self._value(kinds & 0x0F)) for _ in range(size)])
        if kind == _STRUCT:
            return self.struct()
        raise ValueError(f"type {kind} is none of Thrift's")

    def _scalar(self, kind: int) -> int | bytes:
        if kind <= _BYTE:
            return self._byte()
        if kind <= _I64:
            return _unzigzag(self._varint())
        return self._take(8 if kind == _DOUBLE else self._varint())

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, size: int) -> bytes:
        taken = self._content[self._at : self._at + size]
        if len(taken) != size:
            raise ValueError("the footer ends early")
        self._at += size
        return taken

    def _varint(self) -> int:
        found = shift = 0
        while (byte := self._byte()) & 0x80:
            found |= (byte & 0x7F) << shift
            shift += 7
        return found | byte << shift


def _encode_struct(found: Struct) -> bytes:
    parts: list[bytes] = []
    last = 0
    for number, (kind, value) in found.items():
        written = (_TRUE if value else _FALSE) if kind in {_TRUE, _FALSE} else kind
        delta = number - last
        parts.append(bytes([delta << 4 | written]) if 0 < delta < 16 else bytes([written]) + _varint(_zigzag(number)))
        if kind not in {_TRUE, _FALSE}:
            parts.append(_encode(kind, value))
        last = number
    return b"".join(parts) + b"\0"


def _encode(kind: int, value: Any) -> bytes:
    if kind in _SCALARS:
        return _encode_scalar(kind, value)
    if kind in {_LIST, _SET}:
        inner, values = value
        head = bytes([len(values) << 4 | inner]) if len(values) < 15 else bytes([0xF0 | inner]) + _varint(len(values))
        return head + b"".join(_encode(inner, each) for each in values)
    if kind == _MAP:
        kinds, pairs = value
        content = b"".join(_encode(kinds >> 4, key) + _encode(kinds & 0x0F, each) for key, each in pairs)
        return _varint(len(pairs)) + (bytes([kinds]) if pairs else b"") + content
    return _encode_struct(value)


def _encode_scalar(kind: int, value: Any) -> bytes:
    if kind <= _BYTE:
        return bytes([value])
    if kind <= _I64:
        return _varint(_zigzag(value))
    return value if kind == _DOUBLE else _varint(len(value)) + value


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _unzigzag(number: int) -> int:
    return number >> 1 if not number & 1 else -(number + 1 >> 1)
