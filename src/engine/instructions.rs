//! Whether an image or a build cache record is what an instruction of our Dockerfiles makes; used
//! only to find what a killed run could not note down any more. In doubt it is not: what is missed
//! takes up some disk, what is taken wrongly was a user's.

/// One instruction of a Dockerfile.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    /// Continuation lines joined, white space made single.
    text: String,
    /// Whether it is the first of its stage.
    first: bool,
}

/// All instructions but FROM.
pub(super) fn of(dockerfiles: &[String]) -> Vec<Instruction> {
    let mut all = Vec::new();
    for dockerfile in dockerfiles {
        let mut first = false;
        for text in joined(dockerfile) {
            let word = text.split(' ').next().unwrap_or_default();
            if word.eq_ignore_ascii_case("FROM") {
                first = true;
            } else {
                all.push(Instruction { text, first });
                first = false;
            }
        }
    }
    all
}

fn joined(dockerfile: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut whole = String::new();
    for line in dockerfile.lines() {
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
    all
}

/// Whether a layer's history is that of one of the instructions (of the first ones of stages, if
/// only these are asked for).
pub(super) fn made(instructions: &[Instruction], created_by: &str, first: bool) -> bool {
    let created = words(created_by);
    let created = created.trim_end_matches("# buildkit").trim_end();
    // Values of build args come first: `|2 A=1 B=2 /bin/sh -c make`.
    let shell = created.find("/bin/sh -c ").map(|at| &created[at + "/bin/sh -c ".len()..]);
    let mut asked = instructions.iter().filter(|known| known.first || !first);
    match shell {
        Some(noted) if noted.starts_with("#(nop) ") => {
            let noted = noted.trim_start_matches("#(nop) ").trim_start();
            asked.any(|known| copied(&known.text, noted) || same_words(&known.text, noted))
        }
        Some(ran) => asked.any(|known| argument(&known.text, "RUN") == Some(ran)),
        None => asked.any(|known| same_words(&known.text, created)),
    }
}

/// `COPY file:HASH in /app`: the history has the content's hash where the file's name was.
fn copied(instruction: &str, noted: &str) -> bool {
    let Some((source, target)) = noted.split_once(" in ") else { return false };
    let word = source.split(' ').next().unwrap_or_default();
    if !["COPY", "ADD"].contains(&word) {
        return false;
    }
    let plain = |path: &str| path.trim_start_matches("./").trim_end_matches('/').to_owned();
    argument(instruction, word)
        .and_then(|rest| rest.split(' ').next_back())
        .is_some_and(|to| plain(to) == plain(target))
}

/// The history writes `CMD ["a" "b"]` for `CMD ["a", "b"]`, `ENV A=b` for `ENV A b`, and puts
/// several ARGs into an order of its own.
fn same_words(instruction: &str, noted: &str) -> bool {
    let sorted = |text: &str| {
        let plain = text.replace(['=', ',', '"', '[', ']'], " ").to_lowercase();
        let mut words: Vec<String> = plain.split_whitespace().map(str::to_owned).collect();
        words.sort();
        words
    };
    let without_flags = |text: &str| {
        let word = text.split(' ').next().unwrap_or_default();
        argument(text, word).map(|rest| format!("{word} {rest}"))
    };
    sorted(instruction) == sorted(noted)
        || without_flags(instruction).is_some_and(|plain| {
            without_flags(noted).is_some_and(|noted| sorted(&plain) == sorted(&noted))
        })
}

/// Whether a build cache record can be of one of the instructions. Those of a RUN say which; of
/// the others only the time is known.
pub(super) fn may_make(instructions: &[Instruction], description: &str) -> bool {
    let description = words(description);
    match description.split_once(" from exec /bin/sh -c ") {
        Some((_, ran)) => {
            instructions.iter().any(|known| argument(&known.text, "RUN") == Some(ran))
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

    fn ours() -> Vec<Instruction> {
        of(&[
            "# a comment\nARG V=1\nFROM base AS b\n\nRUN --mount=type=cache,target=/c make \\\n  \
              # why\n  all\nCOPY Gemfile ./\nFROM base\nARG B=2 A=1\nENV HOME /x\n\
              COPY --from=b /usr/local /usr/local\ncmd [\"sh\", \"-c\"]\n"
                .to_owned(),
        ])
    }

    #[test]
    fn instructions_are_joined_and_the_first_of_a_stage_is_known() {
        let ours = ours();
        assert_eq!(ours[1].text, "RUN --mount=type=cache,target=/c make all");
        let first: Vec<_> = ours.iter().map(|known| known.first).collect();
        assert_eq!(first, [false, true, false, true, false, false, false]);
    }

    #[test]
    fn both_builders_histories_are_recognised() {
        for own in [
            "/bin/sh -c make all",
            "|2 A=1 B=x /bin/sh -c make   all",
            "RUN /bin/sh -c make all # buildkit",
            "/bin/sh -c #(nop) COPY file:0123 in ./ ",
            "/bin/sh -c #(nop) COPY dir:0123 in /usr/local ",
            "COPY Gemfile ./ # buildkit",
            "COPY /usr/local /usr/local # buildkit",
            "/bin/sh -c #(nop)  CMD [\"sh\" \"-c\"]",
            "/bin/sh -c #(nop)  ARG A=1 B=2",
            "ENV HOME=/x",
        ] {
            assert!(made(&ours(), own, false), "{own}");
        }
        for other in [
            "/bin/sh -c make",
            "RUN /bin/sh -c make all install # buildkit",
            "/bin/sh -c #(nop) COPY file:0123 in /srv ",
            "/bin/sh -c #(nop) ADD file:0123 in ./ ",
            "/bin/sh -c #(nop)  ENV A=1",
            "/bin/sh -c #(nop)  CMD [\"sh\"]",
            "COPY app ./ # buildkit",
            "",
        ] {
            assert!(!made(&ours(), other, false), "{other}");
        }
        assert!(!made(&[], "/bin/sh -c make all", false));
    }

    #[test]
    fn only_the_first_of_a_stage_begins_one() {
        assert!(made(&ours(), "/bin/sh -c make all", true));
        assert!(made(&ours(), "/bin/sh -c #(nop)  ARG A=1 B=2", true));
        assert!(!made(&ours(), "/bin/sh -c #(nop) COPY file:0123 in ./ ", true));
        assert!(!made(&ours(), "/bin/sh -c #(nop)  CMD [\"sh\" \"-c\"]", true));
    }

    #[test]
    fn records_of_other_commands_are_not_ours() {
        assert!(may_make(&ours(), "mount / from exec /bin/sh -c make all"));
        assert!(!may_make(&ours(), "mount / from exec /bin/sh -c make"));
        assert!(may_make(&ours(), "local source for context"));
    }
}
