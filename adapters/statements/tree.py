"""A tree of named nodes with their lines: what XML and the tags of OFX are both read into."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from adapters.statements.text import line_at
from application import statement_files
from application.statement_files import Remark, StatementUnreadable

#: Tags beyond which a file is no statement, whatever it is. One of 16 MiB that a bank wrote has less.
TAGS_MAX = 1_000_000
#: A document type brings entities along, which expand, and which are read from elsewhere.
_DTD = re.compile(r"<!\s*(?:DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)", re.IGNORECASE)
_DECLARATION = re.compile(r"\s*<\?xml\b[^>]*\?>")


class Node:
    """An element. `text` has no space around it; names have no namespace."""

    __slots__ = ("attributes", "children", "line", "name", "text")

    def __init__(self, name: str, line: int) -> None:
        self.name = name
        self.line = line
        self.text = ""
        self.attributes: dict[str, str] = {}
        self.children: list[Node] = []

    def all(self, name: str) -> Iterator[Node]:
        """Its children of that name."""
        return (child for child in self.children if child.name == name)

    def find(self, *path: str) -> Node | None:
        """The first node at the end of a path of names."""
        found: Node | None = self
        for name in path:
            found = next(found.all(name), None) if found else None
        return found

    def first(self, *names: str) -> Node | None:
        """The first child that there is of these names, tried in their order."""
        return next((child for name in names for child in self.all(name)), None)

    def said(self, *path: str) -> str | None:
        """The text at the end of a path; None where there is none."""
        found = self.find(*path)
        return (found.text or None) if found else None

    def below(self) -> Iterator[Node]:
        """All nodes beneath it, in the order of the file."""
        waiting = [iter(self.children)]
        while waiting:
            node = next(waiting[-1], None)
            if node is None:
                waiting.pop()
            else:
                yield node
                waiting.append(iter(node.children))


def check_markup(text: str) -> None:
    """Refuse what no statement needs.

    Raises:
        StatementUnreadable: there is a document type in it, or more tags than any statement has.
    """
    found = _DTD.search(text)
    if found is not None:
        line, column = line_at(text, found.start())
        raise StatementUnreadable(Remark(code=statement_files.DTD, line=line, column=column))
    if text.count("<") > TAGS_MAX:
        raise StatementUnreadable(Remark(code=statement_files.TOO_COMPLEX))


def xml_tree(text: str) -> Node:
    """Read XML without entities, document types and anything from elsewhere.

    Raises:
        StatementUnreadable: it is not well-formed.
    """
    check_markup(text)
    # The text is decoded already: what it says of its encoding would be wrong from here on.
    declared = _DECLARATION.match(text)
    if declared is not None:
        text = "\n" * declared[0].count("\n") + text[declared.end() :]
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise StatementUnreadable(
            Remark(code=statement_files.XML_MALFORMED, line=line or 1, column=column or None)
        ) from None
    return _nodes(root)


def _nodes(root: etree._Element) -> Node:
    top = _node(root)
    waiting = [(root, top)]
    while waiting:
        element, node = waiting.pop()
        for child in element:
            made = _node(child)
            node.children.append(made)
            waiting.append((child, made))
    return top


def _node(element: etree._Element) -> Node:
    node = Node(element.tag.rpartition("}")[2], element.sourceline or 0)
    node.text = (element.text or "").strip()
    if element.attrib:
        node.attributes = dict(element.attrib)
    return node
