"""A page of photographs and what a bundle says of each: its likeliest classes, its decision, and why a doctor should look."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from nevus import files as disk
from nevus.bundle import Bundle
from nevus.bundle.description import description
from nevus.data.cases import Case
from nevus.predictor.answer import Answer
from nevus.reports.document import document as html_document
from nevus.reports.markup import Html, bar, element, folded, join, listing, section, table
from nevus.reports.pictures import photograph, within
from nevus.reports.wording import class_name, count

# The page without its photographs is small beside what is left to 5 MB.
_NUM_CLASSES, _MAX_BYTES = 3, 4_900_000
_NOT_FOR = "A research tool: not a medical device and not for diagnosis."


def write_answers_page(
    answers: Sequence[tuple[Case, Answer]],
    bundle: Bundle,
    out: Path,
    *,
    truths: Mapping[str, str] | None = None,
    unreadable: Sequence[str] = (),
) -> Path:
    """Write the page to `out` and return its path; photographs that would make it larger than 5 MB are left out, and counted.

    Parameters
    ----------
    answers
        Each photograph and its answer, in the order of the page.
    bundle
        The one that answered.
    truths
        What the photograph's own table calls it, by the path's stem.
    unreadable
        What is wrong with the photographs that have no answer.

    Examples
    --------
    >>> write_answers_page(answers, predictor.bundle, Path("answers.html"))  # doctest: +SKIP
    """
    disk.write(out, _page(answers, bundle, truths or {}, unreadable))
    return out


def _page(answers: Sequence[tuple[Case, Answer]], bundle: Bundle, truths: Mapping[str, str], unreadable: Sequence[str]) -> str:
    gallery = join(_row(case, answer, truths.get(case.image.stem, "")) for case, answer in answers)
    pictures, note = within(gallery, _MAX_BYTES)
    named = table("The model", ("", ""), description(bundle.document).items(), kind="words")
    missing = folded(f"{count(len(unreadable), 'photograph')} without an answer", listing(unreadable)) if unreadable else Html()
    body = [
        element("a", "Skip to the answers", href="#main", class_="skip"),
        element("header", element("p", "nevus", class_="kicker"), element("h1", "What the model says of real photographs")),
        element(
            "main",
            element("p", element("strong", _NOT_FOR)),
            _summary([answer for _, answer in answers]),
            section("answers", "Answers", note, missing, element("div", pictures, class_="rows"), level=2),
            section("model", "Which model this is", named, level=2),
            id="main",
            tabindex="-1",
        ),
    ]
    return html_document(f"{bundle.document['name']} on {count(len(answers), 'photograph')}", body)


def _summary(answers: Sequence[Answer]) -> Html:
    figures = {
        "Photographs": len(answers),
        "Have a doctor look": sum(answer.refer for answer in answers),
        "Unlike the training images": sum(answer.unlike for answer in answers),
    }
    parts = [element("div", element("dt", name), element("dd", f"{value:,}", class_="value")) for name, value in figures.items()]
    return element("dl", *parts, class_="key")


def _row(case: Case, answer: Answer, truth: str) -> Html:
    """One photograph beside its answer."""
    caption = [element("span", case.image.name, class_="id"), element("span", _known(case))]
    if truth:
        caption.append(element("span", f"its table says: {class_name(truth)}"))
    picture = photograph(case.image.parent, case.image.name, f"Photograph {case.image.name}", caption, side=180)
    ranked = sorted(answer.probabilities.items(), key=lambda item: -item[1])[:_NUM_CLASSES]
    rows = [(class_name(name), element("td", f"{share:.1%}", bar(share))) for name, share in ranked]
    says = "no diagnosis" if answer.unlike else class_name(answer.decision)
    words = element("p", element("strong", f"{says}: {'have a doctor look' if answer.refer else 'no reason to refer'}"))
    # Of a picture unlike all that it was trained on, the network's shares mean nothing: they are not shown as if they did.
    shares = Html() if answer.unlike else table("Most probable", ("Class", "Probability"), rows)
    return element("div", picture, element("div", words, listing(answer.reasons), shares), class_="answer")


def _known(case: Case) -> str:
    age = "age not known" if case.age_years is None else f"{case.age_years:g} years"
    return ", ".join([age, case.sex or "sex not known", case.site or "site not known"])
