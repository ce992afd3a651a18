//! Whether an image or a build cache record is what an instruction of our Dockerfiles makes; used
//! only to find what a killed run could not note down any more.

/// All instructions, continuation lines joined, white space made single.
pub(super) fn of(dockerfiles: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for text in dockerfiles {
        let mut whole = String::new();
        for line in text.lines() {
            let line = line.trim();
            if line.starts_with('#') || (line.is_empty() && whole.is_empty()) {
                continue;
            }
            let (part, goes_on) = match line.strip_suffix('\\') {
                Some(part) => (part, true),
                None => (line, false),
            };
            whole.push_str(part);
            whole.push(' ');
            if !goes_on {
                all.push(words(&whole));
                whole.clear();
            }
        }
        if !whole.trim().is_empty() {
            all.push(words(&whole));
        }
    }
    all
}

/// Whether a layer's history is that of one of the instructions.
pub(super) fn made(instructions: &[String], created_by: &str) -> bool {
    let created = words(created_by);
    let created = created.trim_end_matches("# buildkit").trim_end();
    // Values of build args come first: `|2 A=1 B=2 /bin/sh -c make`.
    let created = created.find("/bin/sh -c ").map_or(created, |at| &created[at + 11..]);
    let Some(metadata) = created.strip_prefix("#(nop) ") else {
        let ran = created.strip_prefix("RUN /bin/sh -c ").unwrap_or(created);
        return instructions.iter().any(|known| {
            known.as_str() == ran
                || argument(known, "RUN").is_some_and(|ran_by_us| ran_by_us == ran)
        });
    };
    match metadata.split_once(" in ") {
        // `COPY file:HASH in /app`: the history has the content's hash where the file's name was.
        Some((copied, target)) if copied.starts_with("COPY") || copied.starts_with("ADD") => {
            let target = target.trim_end_matches('/');
            instructions.iter().any(|known| {
                ["COPY", "ADD"].iter().any(|word| {
                    copied.starts_with(word)
                        && argument(known, word).is_some_and(|rest| {
                            let to = rest.split(' ').next_back().unwrap_or_default();
                            to.trim_start_matches("./").trim_end_matches('/')
                                == target.trim_start_matches("./")
                                || to.trim_end_matches('/') == target
                        })
                })
            })
        }
        _ => {
            let word = metadata.split(' ').next().unwrap_or_default();
            instructions.iter().any(|known| argument(known, word).is_some())
        }
    }
}

/// Whether a build cache record can be of one of the instructions. Those of a RUN say which; of
/// the others only the time is known.
pub(super) fn may_make(instructions: &[String], description: &str) -> bool {
    let description = words(description);
    match description.split_once(" from exec /bin/sh -c ") {
        Some((_, ran)) => {
            instructions.iter().any(|known| argument(known, "RUN").is_some_and(|own| own == ran))
        }
        None => true,
    }
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What follows an instruction's word and its flags.
fn argument<'a>(instruction: &'a str, word: &str) -> Option<&'a str> {
    let (first, mut rest) = instruction.split_once(' ')?;
    if !first.eq_ignore_ascii_case(word) {
        return None;
    }
    while let Some(flag) = rest.strip_prefix("--") {
        rest = flag.split_once(' ')?.1;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Vec<String> {
        of(&[
            "# a comment\nFROM base AS b\n\nRUN --mount=type=cache,target=/c make \\\n  # why\n  \
              all\nCOPY Gemfile ./\nCOPY --from=b /usr/local /usr/local\ncmd [\"sh\"]\n"
                .to_owned(),
        ])
    }

    #[test]
    fn instructions_are_joined() {
        assert_eq!(ours()[1], "RUN --mount=type=cache,target=/c make all");
        assert_eq!(ours().len(), 5);
    }

    #[test]
    fn both_builders_histories_are_recognised() {
        for own in [
            "/bin/sh -c make all",
            "|2 A=1 B=x /bin/sh -c make   all",
            "RUN /bin/sh -c make all # buildkit",
            "/bin/sh -c #(nop) COPY file:0123 in ./ ",
            "COPY Gemfile ./ # buildkit",
            "/bin/sh -c #(nop)  CMD [\"sh\"]",
        ] {
            assert!(made(&ours(), own), "{own}");
        }
        for other in [
            "/bin/sh -c make",
            "RUN /bin/sh -c make all install # buildkit",
            "/bin/sh -c #(nop) COPY file:0123 in /srv ",
            "/bin/sh -c #(nop) ADD file:0123 in ./ ",
            "/bin/sh -c #(nop)  ENV A=1",
            "",
        ] {
            assert!(!made(&ours(), other), "{other}");
        }
        assert!(!made(&[], "/bin/sh -c make all"));
    }

    #[test]
    fn records_of_other_commands_are_not_ours() {
        assert!(may_make(&ours(), "mount / from exec /bin/sh -c make all"));
        assert!(!may_make(&ours(), "mount / from exec /bin/sh -c make"));
        assert!(may_make(&ours(), "local source for context"));
    }
}
