"""Pages of studies and of the claims that were checked: the committed reports, with their pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from slembench.files import write_text
from slembench.site.addresses import slug
from slembench.site.pages import Site, markdown

REPORT = "report.md"
CLAIMS = Path("docs") / "reproduction.md"
"""Page of the claims, beside the folder of results."""


def finding_pages(site: Site, roots: Sequence[Path]) -> Iterator[Path]:
    """Write the page of every study, that of the claims, and the list of them.

    Args:
        site: the site.
        roots: folders of results; reports are looked for in their ``studies``.
    """
    lines = []
    for folder in sorted(path.parent for root in roots for path in (root / "studies").glob(f"*/{REPORT}")):
        text = (folder / REPORT).read_text(encoding="utf-8")
        address = f"studies/{slug(folder.name)}"
        for picture in sorted((folder / "pictures").glob("*.svg")):
            content = picture.read_text(encoding="utf-8")
            yield write_text(site.out / address / "pictures" / picture.name, content)
        title = folder.name.replace("-", " ")
        body = markdown(re.sub(r"\A# .*\n", f"# {title}\n", text))
        yield site.page(f"{address}/index.html", "text.html.j2", title=title, text=body, tables=[])
        lines.append(f"- [{title}]({address}/index.html)")
    text = "# Findings\n\n" + ("Studies:\n\n" + "\n".join(lines) if lines else "No study is among these results.")
    claims = next((path for path in (root.parent / CLAIMS for root in roots) if path.is_file()), None)
    if claims is not None:
        text += "\n\n" + re.sub(r"^(#+ )", r"#\1", claims.read_text(encoding="utf-8"), flags=re.MULTILINE)
    yield site.page("findings.html", "text.html.j2", title="Findings", text=markdown(text), tables=[])
