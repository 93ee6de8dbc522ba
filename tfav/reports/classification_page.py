"""One self-contained HTML page of figures and pictures, no script: of a run that classifies.

`scene_page` adds what is to be shown of sounds and pictures of one moment.
"""

import base64
import hashlib
import html
import pathlib
from collections.abc import Mapping

from tfav.reports import tables as report

# Name of a picture to its caption and what it shows, for who cannot see it.
_PICTURES = {
    "confusion": (
        "Confusion matrix",
        "rows are the true classes, columns what the fused prediction takes them for; the diagonal "
        "is right.",
    ),
    "reliability": (
        "Reliability",
        "accuracy over confidence in 15 bins, one panel a direction; bars on the diagonal mean "
        "that the model is as sure as it should be.",
    ),
    "balance": (
        "Balance of the modalities",
        "logit share, training accuracy, gradient norm and weight norm of each modality over the "
        "steps of training, one column a run.",
    ),
    "training": (
        "What training did",
        "how well matched pairs fit, and where clusters are learnt how evenly they are used and "
        "how many are dead, over the steps of training.",
    ),
    "sensitivity": (
        "Sensitivity",
        "how each figure depends on the swept field: mean, least and greatest over seeds.",
    ),
}
_STYLE = """
.pictures figure { max-width: none; margin: 0 0 1rem; }
.pictures img { display: block; max-width: 100%; height: auto; background: #fff; }
.pictures p { color: var(--soft); }
"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="tfav-report">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#results">Skip to the results</a>
<header>
<h1>{title}</h1>
<nav aria-label="Sections"><a href="#results">Results</a> {links}<a href="#about">About</a></nav>
</header>
<main>
<section id="results" aria-labelledby="results-title">
<h2 id="results-title">Results</h2>
{results}
</section>
{sections}
{pictures}
<section id="about" aria-labelledby="about-title">
<h2 id="about-title">About these numbers</h2>
{about}
</section>
</main>
</body>
</html>
"""


def build(
    results: report.Results,
    figures: Mapping[str, bytes],
    *,
    title: str,
    about: Mapping[str, str],
    descriptions: Mapping[str, str] | None = None,
    sections: Mapping[str, str] | None = None,
    style: str = "",
) -> str:
    """Returns the page.

    Args:
      results: of `classification.evaluate` and `trials.evaluate`, of one tag or several.
      figures: name (`confusion`, `reliability`, `balance`, ...) to a PNG, in the order to show.
        The name of a picture of one tag among several may go on: `confusion, test`.
      title: of the page.
      about: facts to print: name -> text.
      descriptions: name of a picture to words that say what is seen in it, below it.
      sections: heading to what stands below it, after the results: HTML, names in it escaped. It
        may hold sounds as data URIs.
      style: CSS of the sections.
    """
    sections = sections or {}
    style = (pathlib.Path(__file__).parent / "page.css").read_text("utf-8") + _STYLE + style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; {'media-src data:; ' if sections else ''}"
        "base-uri 'none'; form-action 'none'; "
        f"style-src 'sha256-{digest}'"
    )
    pictures = [
        _picture(number, name, content, (descriptions or {}).get(name, ""))
        for number, (name, content) in enumerate(figures.items())
    ]
    places = [f"section-{i}" for i in range(len(sections))]
    places += [f"picture-{i}" for i in range(len(figures))]
    links = (
        f'<a href="#{place}">{html.escape(name)}</a> '
        for place, name in zip(places, [*sections, *map(_caption, figures)])
    )
    facts = {**about, **_facts(results)}
    rows = (f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in facts.items())
    return _PAGE.format(
        policy=policy,
        title=html.escape(title),
        style=style,
        links="".join(links),
        results=_tables(results),
        sections="\n".join(map(_section, places, sections, sections.values())),
        pictures="\n".join(pictures),
        about=f"<dl>{''.join(rows)}</dl>",
    )


def _facts(results: report.Results) -> dict[str, str]:
    if not results:
        return {}
    names = {m: report.metric_name(m, n) for m, n in report.order(results)}
    notes = dict.fromkeys(note for r in results for note in r.get("notes", ()))
    return {
        "Intervals": report.interval_note(results),
        **{_sentence(names[m]): text for m, text in report.definitions(results).items()},
        **({"To note": " ".join(notes)} if notes else {}),
    }


def _tables(results: report.Results) -> str:
    """Returns a table a tag: a row a metric and direction."""
    if not results:
        return "<p>There are no figures.</p>"
    tables = []
    for tag in dict.fromkeys(r["tag"] for r in results):
        block = [r for r in results if r["tag"] == tag]
        body = "".join(
            _row(r) for metric, n in report.order(block) for r in block if r["metric"] == metric
        )
        caption = html.escape(tag)
        heads = ("figure", "direction", "value", "95 % interval", "chance", "trials")
        head = "".join(f'<th scope="col">{name}</th>' for name in heads)
        tables.append(
            f'<div class="scroll" role="region" aria-label="Results, {caption}" tabindex="0">'
            f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table></div>"
        )
    return "".join(tables)


def _row(result: Mapping[str, object]) -> str:
    metric = result["metric"]
    unit = "" if metric in report.NOT_PERCENT else " %"
    low, value, high, chance = (
        "" if result[key] is None else report.number(metric, result[key])
        for key in ("low", "value", "high", "chance")
    )
    lower = ", lower is better" if metric in report.LOWER_IS_BETTER else ""
    name = html.escape(report.metric_name(metric, result["n"]) + lower)
    return (
        f'<tr><th scope="row">{name}</th><td>{html.escape(str(result["direction"]))}</td>'
        f"<td>{value}{unit}</td><td>{f'{low} to {high}{unit}' if low else ''}</td>"
        f"<td>{f'{chance}{unit}' if chance else ''}</td><td>{result['num_trials']:,}</td></tr>"
    )


def _section(place: str, heading: str, content: str) -> str:
    return (
        f'<section id="{place}" aria-labelledby="{place}-title">'
        f'<h2 id="{place}-title">{html.escape(heading)}</h2>{content}</section>'
    )


def _caption(name: str) -> str:
    kind, _, rest = name.partition(", ")
    caption = _PICTURES.get(kind, (_sentence(kind),))[0]
    return f"{caption}, {rest}" if rest else caption


def _picture(number: int, name: str, content: bytes, description: str) -> str:
    caption = _caption(name)
    meaning = _PICTURES.get(name.partition(", ")[0], ("", ""))[1]
    words = " ".join(x for x in (f"{caption}: {meaning}" if meaning else caption, description) if x)
    below = "".join(f"<p>{html.escape(x)}</p>" for x in (_sentence(meaning), description) if x)
    source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    place = f"picture-{number}"
    return (
        f'<section id="{place}" class="pictures" aria-labelledby="{place}-title">'
        f'<h2 id="{place}-title">{html.escape(caption)}</h2><figure>'
        f'<img src="{source}" alt="{html.escape(words)}">{below}</figure></section>'
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
