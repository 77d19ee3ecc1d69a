//! What the agent says to copex and not to a person: a promise, a plan, a ballot, a decision.
//! Screens tell of them in words; the text as it was is in `runs logs`.

use copex_proto::run::Mode;
use serde_json::Value;

/// Tags in which copex is told something, and what that is.
const TAGS: [[&str; 3]; 3] = [
    ["<promise>", "</promise>", "promise"],
    ["<needs-human>", "</needs-human>", "asks"],
    ["<blocked>", "</blocked>", "blocked"],
];

/// A piece of what was said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece<'a> {
    /// Words for people: of the whole text, the first piece alone grows.
    Words(&'a str),
    /// The promise of a loop or a step; that a person is needed, or that it is blocked.
    Signal {
        /// Which of them, in a word.
        what: &'static str,
        /// What stands in the tag.
        words: String,
    },
    /// The titles of a plan's steps.
    Plan(Vec<String>),
    /// How a member ranks the opinions, the best first, and whether all agree.
    Ballot {
        /// The letters of the opinions.
        ranking: Vec<String>,
        /// Whether the opinions agree.
        agree: bool,
    },
    /// What the chair decides.
    Decision(String),
    /// One of these is on its way, and what it will be as far as that is seen.
    Coming(&'static str),
}

impl Piece<'_> {
    /// In a line for people; words for people need none, and the decision's come after it.
    pub(crate) fn told(&self) -> Option<String> {
        Some(match self {
            Self::Words(_) => return None,
            Self::Signal { what, words } => format!("{what}: {words}"),
            Self::Plan(titles) if titles.len() == 1 => "a plan of 1 step".to_owned(),
            Self::Plan(titles) => format!("a plan of {} steps", titles.len()),
            Self::Ballot { ranking, agree } => {
                let agree = if *agree { "all agree" } else { "they differ" };
                format!("ballot: {}; {agree}", ranking.join(" > "))
            }
            Self::Decision(_) => "decision:".to_owned(),
            Self::Coming(what) => (*what).to_owned(),
        })
    }
}

/// The pieces of a text; none when all of it is for people. `whole` once nothing is added.
pub(crate) fn pieces(mode: Mode, text: &str, whole: bool) -> Option<Vec<Piece<'_>>> {
    // Most texts are words alone; one letter is quickly looked for.
    if !(text.contains('<') || text.contains('{') || text.contains("```")) {
        return None;
    }
    match mode {
        Mode::Chat => None,
        Mode::Plan | Mode::Council => data(mode, text, whole).or_else(|| promise(text, whole)),
        Mode::Ralph | Mode::Fleet => promise(text, whole),
    }
}

/// A promise that is made and not quoted, or what stands in its place.
fn promise(text: &str, whole: bool) -> Option<Vec<Piece<'_>>> {
    let Some((at, [open, close, what])) = tag(text) else {
        // The begin of a tag may be there.
        let begins = |rest: &&str| TAGS.iter().any(|[open, ..]| open.starts_with(rest));
        let rest = text.rfind('<').map(|at| &text[at..]).filter(begins)?;
        return (!whole).then(|| vec![Piece::Words(&text[..text.len() - rest.len()])]);
    };
    let (before, inner) = (&text[..at], &text[at + open.len()..]);
    match inner.find(close) {
        Some(end) => {
            let words = inner[..end].split_whitespace().collect::<Vec<_>>().join(" ");
            let after = &inner[end + close.len()..];
            Some(vec![Piece::Words(before), Piece::Signal { what, words }, Piece::Words(after)])
        }
        None => (!whole).then(|| vec![Piece::Words(before), Piece::Coming("…")]),
    }
}

/// The first tag outside of code and quotation marks.
fn tag(text: &str) -> Option<(usize, [&'static str; 3])> {
    let found = |tag: [&'static str; 3]| {
        let mut tags = text.match_indices(tag[0]).map(|(at, _)| at);
        let at = tags.find(|at| {
            let before = &text[..*at];
            before.matches("```").count().is_multiple_of(2)
                && !before.ends_with(['`', '"', '\'', '“', '‘'])
        });
        at.map(|at| (at, tag))
    };
    TAGS.into_iter().filter_map(found).min_by_key(|(at, _)| *at)
}

/// JSON that was asked for: the whole text, or a block that is fenced.
fn data(mode: Mode, text: &str, whole: bool) -> Option<Vec<Piece<'_>>> {
    let bare = text.trim_start().starts_with('{');
    let (at, from) = if bare {
        (0, 0)
    } else {
        let at = text.rfind("```json").or_else(|| whole.then(|| text.rfind("```\n{")).flatten())?;
        (at, at + text[at..].find('{').unwrap_or("```json".len()))
    };
    let inner = &text[from..];
    let end = inner.rfind("\n```").filter(|_| !bare).unwrap_or(inner.len());
    let after = inner[end..].trim_start_matches(['\n', '`']);
    match serde_json::from_str::<Value>(&inner[..end]).ok() {
        Some(value) => {
            let told = told(mode, &value)?;
            Some(vec![Piece::Words(&text[..at]), told, Piece::Words(after)])
        }
        None => {
            (!whole).then(|| vec![Piece::Words(&text[..at]), Piece::Coming(coming(mode, inner))])
        }
    }
}

/// What JSON that is not whole will be.
fn coming(mode: Mode, json: &str) -> &'static str {
    match mode {
        Mode::Plan => "a plan …",
        _ if json.contains("\"ranking\"") => "a ballot …",
        _ if json.contains("\"decision\"") => "a decision …",
        _ => "…",
    }
}

fn told(mode: Mode, value: &Value) -> Option<Piece<'static>> {
    let words = |value: &Value| value.as_str().map(str::to_owned);
    if mode == Mode::Plan {
        let steps = value.get("steps")?.as_array()?;
        let titles = steps.iter().map(|step| step.get("title").and_then(words));
        return titles.collect::<Option<Vec<_>>>().map(Piece::Plan);
    }
    if let Some(decision) = value.get("decision").and_then(words) {
        return Some(Piece::Decision(decision));
    }
    let ranking = value.get("ranking")?.as_array()?.iter().map(words).collect::<Option<_>>()?;
    Some(Piece::Ballot { ranking, agree: value.get("agree")?.as_bool()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_told_and_its_tag_is_never_seen_while_it_comes() {
        let text = "All is well.\n<promise>ALL\nDONE</promise>";
        let made = [
            Piece::Words("All is well.\n"),
            Piece::Signal { what: "promise", words: "ALL DONE".to_owned() },
            Piece::Words(""),
        ];
        assert_eq!(pieces(Mode::Ralph, text, true).unwrap(), made);
        for end in 0..text.len() {
            let seen = pieces(Mode::Plan, &text[..end], false);
            let words = seen.map_or(&text[..end], |pieces| match pieces[0] {
                Piece::Words(words) => words,
                _ => "<",
            });
            assert!(!words.contains('<'), "{words}");
        }
        let asks = "Hm.\n<needs-human>80 or\n8080?</needs-human> <promise>X</promise>";
        let told = pieces(Mode::Ralph, asks, true).unwrap();
        assert_eq!(told[1].told().unwrap(), "asks: 80 or 8080?", "the first one");
        let blocked = pieces(Mode::Fleet, "<blocked>no key</blocked>", true).unwrap();
        assert_eq!(blocked[1].told().unwrap(), "blocked: no key");
        for quoted in ["say `<promise>X</promise>`", "```\n<promise>X</promise>\n```", "a <b"] {
            assert_eq!(pieces(Mode::Ralph, quoted, true), None);
        }
        assert_eq!(pieces(Mode::Chat, text, true), None, "nobody was asked for one");
        assert_eq!(pieces(Mode::Ralph, "<promise>never closed", true), None, "nothing is lost");
    }

    #[test]
    fn a_plan_a_ballot_and_a_decision_are_told() {
        let plan = "I looked.\n```json\n{\"steps\": [{\"title\": \"a\"}, {\"title\": \"b\"}]}\n```";
        let told = pieces(Mode::Plan, plan, true).unwrap();
        assert_eq!(told[0], Piece::Words("I looked.\n"));
        assert_eq!(told[1], Piece::Plan(vec!["a".to_owned(), "b".to_owned()]));
        let part = pieces(Mode::Plan, &plan[..30], false).unwrap();
        assert_eq!(part, [Piece::Words("I looked.\n"), Piece::Coming("a plan …")]);
        let review = "{\"ranking\": [\"B\", \"A\"], \"agree\": false, \"comments\": {}}";
        let ballot = Piece::Ballot { ranking: vec!["B".to_owned(), "A".to_owned()], agree: false };
        assert_eq!(pieces(Mode::Council, review, true).unwrap()[1], ballot);
        let decision = "{\"decision\": \"Take it.\", \"confidence\": 0.5}";
        let told = pieces(Mode::Council, decision, true).unwrap();
        assert_eq!(told[1], Piece::Decision("Take it.".to_owned()));
        for other in ["```json\n{\"a\": 1}\n```", "{\"steps\": 3}", "{ not JSON"] {
            assert_eq!(pieces(Mode::Plan, other, true), None, "{other} stays as it is");
        }
    }
}
