"""Tell whether a web page, or nothing at all, came in place of the file.

Sign-in pages, consent pages and error pages come with status 200: https://github.com/slackapi/bolt-js/issues/2585,
https://github.com/slackapi/deno-slack-sdk/issues/285, https://github.com/OfficeDev/Microsoft-Teams-Samples/issues/1314.
"""

import re

from staging._claims.contradictions import contradicts
from staging._claims.kinds import HTML, OCTETS, PLAIN, media_type_of_name
from staging._claims.text import as_utf8
from staging._models import Attachment
from staging._rare import rare

_PAGES = frozenset({HTML, "application/xhtml+xml", "multipart/related"})
_PAGE_NAMES = (".html", ".htm", ".xhtml", ".xht", ".xhtm", ".shtml", ".shtm", ".mht", ".mhtml", ".hta")
_LIKE_PAGES = (  # what pages are made from, and what programs export as pages under another name
    ".php", ".php3", ".php4", ".php5", ".phtml", ".asp", ".aspx", ".ascx", ".cshtml", ".vbhtml", ".razor", ".jsp",
    ".jspx", ".cfm", ".vue", ".svelte", ".astro", ".erb", ".ejs", ".hbs", ".handlebars", ".mustache", ".twig", ".jinja",
    ".jinja2", ".j2", ".njk", ".liquid", ".tmpl", ".tpl", ".template", ".heex", ".eex", ".leex", ".gohtml", ".ftl",
    ".vm", ".xsl", ".xslt", ".xml", ".xls", ".doc", ".eml",
)  # fmt: skip
_PAGE = rare(rb"(?:\s|<!--.*?-->|<\?xml[^>]*+>)*?<(?:!doctype\s+html|html)[\s>]", re.IGNORECASE | re.DOTALL)


def substituted(
    head: bytes, observed: str, size: int, *, media_type: str | None, name: str, claimed: int | None
) -> bool:
    """Tell whether a web page came where none was claimed.

    Something must be claimed of the file, and neither the type nor the name may say page. A bare URL claims nothing: a
    page may be what it is for. A text may begin with a tag and be no page: a README, a chat log. So where a text or
    any bytes are claimed, only what begins as a whole document is a page. A file of just the claimed size is what was
    meant, whatever it is.

    Args:
        head: the file's first bytes.
        observed: the type that they show.
        size: bytes that came.
        media_type: the claimed one.
        name: the claimed one.
        claimed: the claimed size.
    """
    if observed != HTML or size == claimed:
        return False
    bare, ending = (media_type or "").partition(";")[0].strip().lower(), name.lower()
    if bare in _PAGES or ending.endswith(_PAGE_NAMES) or (claimed is None and ending.endswith(_LIKE_PAGES)):
        return False
    said = [one for one in (bare, media_type_of_name(name)) if one and one != OCTETS]
    if any(contradicts(one, observed) for one in said):
        return True
    return bool(bare or said or claimed is not None) and _PAGE.match(as_utf8(head)) is not None


def is_no_empty_file(attachment: Attachment) -> bool:
    """Tell whether type or name claim what an empty file cannot be."""
    claim = attachment.media_type or media_type_of_name(attachment.name or "")
    return claim is not None and contradicts(claim, PLAIN)
