"""A report's page taken apart, as a browser and a screen reader would."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

VOID = {"meta", "link", "br", "img", "hr", "input"}


@dataclass
class Element:
    """One element with the text inside it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def all(self, *tags: str) -> list["Element"]:
        """All elements of some tags inside this one."""
        found = []
        for child in self.children:
            found += [child] * (child.tag in tags) + child.all(*tags)
        return found


class Page(HTMLParser):
    """The element tree. Raises when elements are not closed in the order in which they were opened."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("root", {})
        self._open = [self.root]
        self.feed(html)
        self.close()
        assert self._open == [self.root], [element.tag for element in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open[-1].tag == "style":
            return
        for element in self._open:
            element.text += data

    def all(self, *tags: str) -> list[Element]:
        """All elements of some tags, in order."""
        return self.root.all(*tags)

    def elements(self) -> list[Element]:
        """Every element, in order."""
        found, waiting = [], [self.root]
        while waiting:
            element = waiting.pop()
            found.append(element)
            waiting += reversed(element.children)
        return found


def check_page(page, out):
    """Whether a page is sound: no numbers that are none; structure and links are in order."""
    _check_words(page)
    _check_structure(page)
    _check_links(page, out)


def _check_words(page):
    spoken = [e.attributes.get("aria-label", "") for e in page.elements()]
    for text in [page.root.text, *spoken]:
        wrong = re.search(r"\b(nan|NaN|None|inf|NaT|<NA>)\b|Infinity|np\.|Field\(|> deadline ms", text)
        assert wrong is None, text[max(0, wrong.start() - 60) : wrong.end() + 60]


def _check_structure(page):
    (html,) = page.all("html")
    assert html.attributes["lang"] == "en"
    levels = [int(e.tag[1]) for e in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for table in page.all("table"):
        assert table.all("caption")[0].text.strip()
        assert all(head.attributes.get("scope") in ("col", "row") for head in table.all("th"))
        widths = {len(row.children) for row in table.all("tr")}
        assert len(widths) == 1, widths
    for figure in page.all("figure"):
        (picture,) = [e for e in figure.all("div") if e.attributes.get("role") == "img"]
        assert len(picture.attributes["aria-label"]) > 20
        assert picture.all("svg")
        assert figure.all("figcaption")[0].text.strip()


def _check_links(page, out):
    ids = [e.attributes["id"] for e in page.elements() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    assert not page.all("script", "link", "iframe", "img", "object", "use")
    for element in page.elements():
        assert not [name for name in element.attributes if name.startswith("on")]
        for name in ("href", "src", "xlink:href", "action"):
            target = element.attributes.get(name)
            if target is None or target.startswith("data:text/csv;base64,"):
                continue
            if target.startswith("#"):
                assert target[1:] in ids
            else:
                assert (out / target).is_file(), target
