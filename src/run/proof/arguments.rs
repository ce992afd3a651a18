//! Arguments of a Dockerfile that differ from those of an earlier build: a commit or a date in an
//! ARG, ENV or LABEL makes the steps after it new ones (trap 22).

use std::iter::Peekable;
use std::str::Lines;

/// An ARG, ENV or LABEL that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// The stage that it stands in, from 0; none before the first FROM.
    pub stage: Option<usize>,
    /// How many RUN, COPY and ADD instructions of that stage come before it.
    pub after: usize,
    /// The instruction now.
    pub now: String,
    /// The instruction then.
    pub then: String,
}

impl Argument {
    /// Whether it comes before a step of a stage, counted from 0.
    pub fn is_before(&self, stage: usize, step: usize) -> bool {
        self.stage.is_none_or(|of| of == stage && self.after <= step)
    }
}

/// The arguments that differ between two Dockerfiles; `None` if something else differs as well.
pub fn differing(now: &str, then: &str) -> Option<Vec<Argument>> {
    let mut found = Vec::new();
    let (mut stage, mut after) = (None, 0);
    let mut then = Instructions(then.lines().peekable());
    for line in Instructions(now.lines().peekable()) {
        let earlier = then.next()?;
        let word =
            |line: &str| line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        match word(&line).as_str() {
            "ARG" | "ENV" | "LABEL" if line != earlier => {
                if word(&earlier) != word(&line) {
                    return None;
                }
                found.push(Argument { stage, after, now: line, then: earlier });
                continue;
            }
            "FROM" => (stage, after) = (Some(stage.map_or(0, |stage| stage + 1)), 0),
            "RUN" | "COPY" | "ADD" => after += 1,
            _ => {}
        }
        if line != earlier {
            return None;
        }
    }
    then.next().is_none().then_some(found)
}

/// Lines that belong together as one; without comments and empty lines.
struct Instructions<'a>(Peekable<Lines<'a>>);

impl Iterator for Instructions<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let blank = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
        while self.0.next_if(blank).is_some() {}
        let mut whole = self.0.next()?.trim().to_owned();
        while let Some(begun) = whole.strip_suffix('\\') {
            while self.0.next_if(blank).is_some() {}
            let Some(more) = self.0.next() else { break };
            whole = format!("{} {}", begun.trim_end(), more.trim());
        }
        Some(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEN: &str = "ARG V=1\n# built by CI\nFROM base AS a\nRUN one\nLABEL commit=1 \\\n  by=ci\n\
                        RUN two\nFROM base\nCOPY --from=a /x /x\nENV D=1\nCOPY app ./\n";

    #[test]
    fn arguments_are_found_with_their_place() {
        let now = THEN.replace("commit=1", "commit=2").replace("D=1", "D=2");
        let found = differing(&now, THEN).unwrap();
        let places: Vec<_> = found.iter().map(|found| (found.stage, found.after)).collect();
        assert_eq!(places, [(Some(0), 1), (Some(1), 1)]);
        assert_eq!(found[0].now, "LABEL commit=2 by=ci");
        assert_eq!(found[1].then, "ENV D=1");
        assert!(found[0].is_before(0, 1) && !found[0].is_before(0, 0) && !found[0].is_before(1, 1));
        assert_eq!(differing(THEN, THEN), Some(Vec::new()));
    }

    #[test]
    fn one_before_the_first_stage_is_before_everything() {
        let found = differing(&THEN.replace("V=1", "V=2"), THEN).unwrap();
        assert!(found[0].is_before(0, 0) && found[0].is_before(1, 0));
    }

    #[test]
    fn any_other_difference_is_more_than_arguments() {
        for (find, with) in [
            ("RUN two", "RUN three"),
            ("RUN two\n", ""),
            ("ENV D=1", "LABEL D=1"),
            ("COPY app ./\n", "COPY app ./\nUSER 1\n"),
        ] {
            assert_eq!(differing(&THEN.replace(find, with), THEN), None, "{with}");
            assert_eq!(differing(THEN, &THEN.replace(find, with)), None, "{with}");
        }
        assert_eq!(differing(&THEN.replace("# built by CI", ""), THEN), Some(Vec::new()));
    }
}
