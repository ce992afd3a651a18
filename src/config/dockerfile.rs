//! What a Dockerfile says about itself: stages, base images, and what each COPY takes.

use crate::model::plan::{StageLayout, StepLayout};
use parse_dockerfile::{Flag, Instruction as Parsed, Keyword, Source};
use std::collections::{BTreeMap, BTreeSet};

/// A Dockerfile that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// Its stages, in order. Never empty.
    pub stages: Vec<Stage>,
    /// The first thing in it that Docker's classic builder refuses, with its line: it reads the
    /// whole file before it builds any stage.
    pub buildkit_only: Option<String>,
}

/// One stage: FROM and what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// `AS name`, in lower case, as builders compare it.
    pub name: Option<String>,
    /// What it is made from.
    pub base: Origin,
    /// Its instructions after FROM, in order.
    pub instructions: Vec<Instruction>,
}

/// Where a stage, or what COPY takes, comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// An earlier stage, by its position.
    Stage(usize),
    /// An image.
    Image(String),
    /// Nothing (`scratch`).
    Scratch,
}

/// One instruction, as far as it matters to the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// COPY or ADD of paths in the build context.
    Copy {
        /// The paths, as written; those of remote files and of texts in the Dockerfile are left
        /// out.
        sources: Vec<String>,
    },
    /// COPY or ADD from elsewhere.
    CopyFrom(Origin),
    /// RUN.
    Run {
        /// Paths in the build context that are mounted for it.
        mounted: Vec<String>,
        /// From where else it mounts.
        mounted_from: Vec<Origin>,
    },
    /// ARG.
    Argument,
    /// Any other.
    Other,
}

/// Why a Dockerfile was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct DockerfileError {
    /// Line in the Dockerfile, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

impl Dockerfile {
    /// Reads a Dockerfile. `build_args` replace the defaults of `ARG`s before the first FROM.
    pub fn parse(
        text: &str,
        build_args: &BTreeMap<String, String>,
    ) -> Result<Self, DockerfileError> {
        let parsed = parse_dockerfile::parse(text).map_err(|error| DockerfileError {
            // Line 0 stands for the file as a whole.
            line: error.line().max(1),
            message: error.to_string(),
        })?;
        let mut args = BTreeMap::new();
        let mut stages: Vec<Stage> = Vec::new();
        for instruction in &parsed.instructions {
            match (instruction, stages.last_mut()) {
                (Parsed::From(from), _) => {
                    let base = origin(&expand(&from.image.value, &args), &stages);
                    let name = from.as_.as_ref().map(|(_, name)| name.value.to_lowercase());
                    stages.push(Stage { name, base, instructions: Vec::new() });
                }
                (Parsed::Arg(arg), None) => {
                    for word in shlex::split(&arg.arguments.value).unwrap_or_default() {
                        let (name, default) = word.split_once('=').unwrap_or((&word, ""));
                        let value = build_args.get(name).map_or(default, String::as_str);
                        args.insert(name.to_owned(), expand(value, &args));
                    }
                }
                (other, Some(_)) => {
                    let instruction = read(other, &stages);
                    if let Some(stage) = stages.last_mut() {
                        stage.instructions.push(instruction);
                    }
                }
                _ => {}
            }
        }
        if stages.is_empty() {
            return Err(DockerfileError { line: 1, message: "there is no FROM".to_owned() });
        }
        let mut beyond = parsed.instructions.iter().filter_map(beyond_classic);
        let buildkit_only = beyond
            .next()
            .map(|(at, what)| format!("{what} in line {}", 1 + text[..at].matches('\n').count()));
        Ok(Self { stages, buildkit_only })
    }

    /// Position of the stage that is built: the target, or the last one. `None` if there is no
    /// such target. A number is a target too, as builders have it.
    pub fn final_stage(&self, target: Option<&str>) -> Option<usize> {
        let Some(target) = target else { return Some(self.stages.len() - 1) };
        position(target, &self.stages)
    }

    /// Names of all stages, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.stages.iter().filter_map(|stage| stage.name.as_deref())
    }

    /// Names of the stages before the final one that it is made from, in order.
    pub fn carried_stages(&self, last: usize) -> Vec<String> {
        let used = self.used(last);
        let before = self.stages.iter().enumerate().take(last);
        before
            .filter(|(index, _)| used.contains(index))
            .filter_map(|(_, stage)| stage.name.clone())
            .collect()
    }

    /// Images that a build up to the final stage takes, in order. The classic builder also
    /// builds stages that the final one does not use.
    pub fn bases(&self, last: usize) -> Vec<String> {
        let mut bases = Vec::new();
        for stage in self.stages.iter().take(last + 1) {
            for origin in stage.origins() {
                if let Origin::Image(image) = origin
                    && !bases.contains(image)
                {
                    bases.push(image.clone());
                }
            }
        }
        bases
    }

    /// What the stages up to the final one take, for deriving which steps a change leaves alone.
    pub fn layout(&self, last: usize) -> Vec<StageLayout> {
        let stages = self.stages.iter().take(last + 1).enumerate();
        stages
            .map(|(index, stage)| StageLayout {
                name: stage.name.clone().unwrap_or_else(|| index.to_string()),
                base_stage: stage.base.stage(),
                steps: stage.instructions.iter().filter_map(Instruction::layout).collect(),
                argument: stage.instructions.contains(&Instruction::Argument),
            })
            .collect()
    }

    /// Positions of the stages that one is made from, itself included.
    pub fn used(&self, last: usize) -> BTreeSet<usize> {
        let mut used = BTreeSet::new();
        let mut waiting = vec![last];
        while let Some(index) = waiting.pop() {
            if used.insert(index) {
                waiting.extend(self.stages[index].origins().filter_map(Origin::stage));
            }
        }
        used
    }
}

impl Origin {
    fn stage(&self) -> Option<usize> {
        if let Self::Stage(index) = self { Some(*index) } else { None }
    }
}

impl Instruction {
    /// `None` for one that makes no file system content. Where it cannot be said what a step
    /// takes, it is said to take everything: then no step passes for unchanged that is not.
    fn layout(&self) -> Option<StepLayout> {
        let taken = |sources: &[String]| {
            let whole = sources.iter().any(|source| source.contains('$'));
            if whole { vec![".".to_owned()] } else { sources.to_vec() }
        };
        match self {
            Self::Copy { sources } => Some(StepLayout { takes: taken(sources), from_stage: None }),
            Self::CopyFrom(origin) => {
                Some(StepLayout { takes: Vec::new(), from_stage: origin.stage() })
            }
            Self::Run { mounted, mounted_from } => {
                let stages: BTreeSet<usize> =
                    mounted_from.iter().filter_map(Origin::stage).collect();
                let several = stages.len() > 1;
                let takes = if several { vec![".".to_owned()] } else { taken(mounted) };
                Some(StepLayout { takes, from_stage: stages.last().copied() })
            }
            Self::Argument | Self::Other => None,
        }
    }
}

impl Stage {
    fn origins(&self) -> impl Iterator<Item = &Origin> {
        let taken = self.instructions.iter().flat_map(|instruction| match instruction {
            Instruction::CopyFrom(origin) => std::slice::from_ref(origin),
            Instruction::Run { mounted_from, .. } => mounted_from.as_slice(),
            _ => &[],
        });
        std::iter::once(&self.base).chain(taken)
    }
}

fn position(name: &str, stages: &[Stage]) -> Option<usize> {
    let name = name.to_lowercase();
    stages.iter().rposition(|stage| stage.name.as_ref() == Some(&name)).or_else(|| {
        let number = name.parse::<usize>().ok()?;
        (number < stages.len()).then_some(number)
    })
}

fn origin(name: &str, earlier: &[Stage]) -> Origin {
    match position(name, earlier) {
        Some(index) => Origin::Stage(index),
        None if name == "scratch" => Origin::Scratch,
        None => Origin::Image(name.to_owned()),
    }
}

fn read(instruction: &Parsed<'_>, stages: &[Stage]) -> Instruction {
    let before = &stages[..stages.len().saturating_sub(1)];
    match instruction {
        Parsed::Copy(copy) => read_copy(&copy.options, &copy.src, before),
        Parsed::Add(add) => read_copy(&add.options, &add.src, before),
        Parsed::Run(run) => {
            let (mut mounted, mut mounted_from) = (Vec::new(), Vec::new());
            for mount in run.options.iter().filter(|flag| flag.name.value == "mount") {
                let Some(value) = &mount.value else { continue };
                let field = |names: &[&str]| {
                    value.value.split(',').find_map(|field| {
                        let (name, value) = field.split_once('=')?;
                        names.contains(&name.trim()).then_some(value)
                    })
                };
                if let Some(from) = field(&["from"]) {
                    mounted_from.push(origin(from, before));
                } else if field(&["type"]).unwrap_or("bind") == "bind" {
                    let source = field(&["source", "src"]).unwrap_or(".");
                    mounted.push(source.to_owned());
                }
            }
            Instruction::Run { mounted, mounted_from }
        }
        Parsed::Arg(_) => Instruction::Argument,
        _ => Instruction::Other,
    }
}

fn read_copy(flags: &[Flag<'_>], sources: &[Source<'_>], before: &[Stage]) -> Instruction {
    let from = flags.iter().find(|flag| flag.name.value == "from");
    if let Some(from) = from.and_then(|flag| flag.value.as_ref()) {
        return Instruction::CopyFrom(origin(&from.value, before));
    }
    let paths = sources.iter().filter_map(|source| match source {
        Source::Path(path) => Some(path.value.as_ref()),
        _ => None,
    });
    // ADD takes addresses too; these are not of the context.
    let local = paths.filter(|path| !path.contains("://") && !path.starts_with("git@"));
    Instruction::Copy { sources: local.map(str::to_owned).collect() }
}

/// What the classic builder does not know of an instruction, and where that stands.
fn beyond_classic(instruction: &Parsed<'_>) -> Option<(usize, String)> {
    let unknown = |word: &str, flags: &[Flag<'_>], known: &[&str]| {
        let flag = flags.iter().find(|flag| !known.contains(&&*flag.name.value))?;
        Some((flag.flag_span().start, format!("{word} --{}", flag.name.value)))
    };
    // The text itself begins a line later.
    let text_of = |word: &str, at: &Keyword, sources: &[Source<'_>]| {
        let has_text = sources.iter().any(|source| matches!(source, Source::HereDoc(_)));
        has_text.then(|| (at.span.start, format!("{word} <<")))
    };
    match instruction {
        Parsed::Run(run) => unknown("RUN", &run.options, &[])
            .or_else(|| run.here_docs.first().map(|_| (run.run.span.start, "RUN <<".to_owned()))),
        Parsed::Copy(copy) => unknown("COPY", &copy.options, &["from", "chown"])
            .or_else(|| text_of("COPY", &copy.copy, &copy.src)),
        Parsed::Add(add) => {
            unknown("ADD", &add.options, &["chown"]).or_else(|| text_of("ADD", &add.add, &add.src))
        }
        _ => None,
    }
}

/// Replaces `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}`.
fn expand(text: &str, args: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        let (name, word, after) = if let Some(braced) = rest.strip_prefix('{') {
            let Some((inner, after)) = braced.split_once('}') else {
                out.push('$');
                continue;
            };
            let (name, word) = inner.split_once(':').unwrap_or((inner, ""));
            (name, word, after)
        } else {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            (&rest[..end], "", &rest[end..])
        };
        let value = args.get(name).map(String::as_str).filter(|value| !value.is_empty());
        out.push_str(match (word.split_at_checked(1), value) {
            (Some(("-", default)), None) => default,
            (Some(("+", other)), Some(_)) => other,
            (Some(("+", _)), None) => "",
            (_, value) => value.unwrap_or_default(),
        });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Dockerfile {
        Dockerfile::parse(text, &BTreeMap::new()).unwrap()
    }

    fn copy(sources: &[&str]) -> Instruction {
        Instruction::Copy { sources: sources.iter().map(|&source| source.to_owned()).collect() }
    }

    const RUN: Instruction = Instruction::Run { mounted: Vec::new(), mounted_from: Vec::new() };

    #[test]
    fn stages_bases_and_sources_of_a_usual_file() {
        let file = parse(
            "# syntax=docker/dockerfile:1\n\
             ARG RUBY=3.3 VARIANT=slim\n\
             FROM ruby:${RUBY}-$VARIANT AS Base\n\
             FROM base AS builder\n\
             RUN apt-get update \\\n  # a comment in between\n  && apt-get install -y gcc\n\
             COPY Gemfile Gemfile.lock ./\n\
             RUN bundle install\n\
             FROM base AS test\n\
             COPY . .\n\
             FROM base\n\
             COPY --from=builder /usr/local/bundle /usr/local/bundle\n\
             COPY --from=busybox:1 /bin/sh /bin/sh\n\
             COPY --chown=app:app [\"my app\", \"./\"]\n\
             CMD [\"serve\"]\n",
        );
        assert_eq!(file.names().collect::<Vec<_>>(), ["base", "builder", "test"]);
        assert_eq!(file.stages[0].base, Origin::Image("ruby:3.3-slim".to_owned()));
        assert_eq!(file.stages[1].base, Origin::Stage(0));
        assert_eq!(file.stages[1].instructions, [RUN, copy(&["Gemfile", "Gemfile.lock"]), RUN]);
        assert_eq!(
            file.stages[3].instructions,
            [
                Instruction::CopyFrom(Origin::Stage(1)),
                Instruction::CopyFrom(Origin::Image("busybox:1".to_owned())),
                copy(&["my app"]),
                Instruction::Other,
            ]
        );
        assert_eq!(file.carried_stages(3), ["base", "builder"], "`test` is not part of the image");
        assert_eq!(file.bases(3), ["ruby:3.3-slim", "busybox:1"]);
        let layout = file.layout(3);
        assert_eq!(layout[1].name, "builder");
        assert_eq!(layout[1].base_stage, Some(0));
        assert_eq!(layout[1].steps[1].takes, ["Gemfile", "Gemfile.lock"]);
        assert_eq!(layout[3].name, "3");
        assert_eq!(
            layout[3].steps.iter().map(|s| s.from_stage).collect::<Vec<_>>(),
            [Some(1), None, None]
        );
        assert_eq!(file.final_stage(None), Some(3));
        assert_eq!(file.final_stage(Some("BUILDER")), Some(1));
        assert_eq!(file.final_stage(Some("2")), Some(2));
        assert_eq!(file.final_stage(Some("nowhere")), None);
    }

    #[test]
    fn what_only_looks_like_an_instruction_is_none() {
        let file = parse(
            "# escape=`\n\
             FROM scratch\n\
             COPY <<one <<two /\nFROM inside\none\nCOPY inside /\ntwo\n\
             RUN <<EOF\nFROM nothing\nEOF\n\
             COPY a `\n  b /\n\
             ADD https://files.invalid/x.tar git@host.invalid:x.git local.tar /\n",
        );
        assert_eq!(file.stages.len(), 1);
        assert_eq!(file.stages[0].base, Origin::Scratch);
        assert_eq!(
            file.stages[0].instructions,
            [copy(&[]), RUN, copy(&["a", "b"]), copy(&["local.tar"])]
        );
    }

    #[test]
    fn mounts_are_inputs_too() {
        let file = parse(
            "FROM a AS one\nFROM b\n\
             RUN --mount=type=bind,source=go.mod,target=go.mod --mount=type=cache,target=/x \
             --mount=type=bind,from=one,target=/y go mod download\n",
        );
        assert_eq!(
            file.stages[1].instructions,
            [Instruction::Run {
                mounted: vec!["go.mod".to_owned()],
                mounted_from: vec![Origin::Stage(0)]
            }]
        );
        assert_eq!(file.carried_stages(1), ["one"]);
    }

    #[test]
    fn build_args_replace_defaults() {
        let args = BTreeMap::from([("TAG".to_owned(), "9".to_owned())]);
        let text = "ARG TAG=1\nARG FULL=x:${TAG}\nFROM ${FULL}\nFROM y:${NONE:-z}${TAG:+-alt}\n";
        let file = Dockerfile::parse(text, &args).unwrap();
        assert_eq!(file.bases(1), ["x:9", "y:z-alt"]);
    }

    #[test]
    fn a_broken_file_is_refused_with_its_line() {
        let error = Dockerfile::parse("FROM a\nFORM b\n", &BTreeMap::new()).unwrap_err();
        assert_eq!(error.line, 2);
        let error = Dockerfile::parse("# nothing\n", &BTreeMap::new()).unwrap_err();
        insta::assert_snapshot!(error, @"line 1: expected at least one FROM instruction");
    }

    #[test]
    fn what_the_classic_builder_refuses_is_named_with_its_line() {
        for (lines, expected) in [
            ("COPY --from=x --chown=1:1 a /\nADD --chown=1 b /\nRUN true", None),
            ("HEALTHCHECK --interval=5s CMD true", None),
            (
                "RUN true\nRUN \\\n  --mount=type=cache,target=/c make",
                Some("RUN --mount in line 4"),
            ),
            ("RUN --network=none make", Some("RUN --network in line 2")),
            ("RUN <<EOF\nset -e\nEOF", Some("RUN << in line 2")),
            ("COPY --chmod=0644 a /", Some("COPY --chmod in line 2")),
            ("COPY --from=x --link a /", Some("COPY --link in line 2")),
            ("COPY <<EOF /a\nb\nEOF", Some("COPY << in line 2")),
            ("ADD --checksum=sha256:0 https://x.invalid/a /", Some("ADD --checksum in line 2")),
        ] {
            let file = parse(&format!("FROM x AS x\n{lines}\n"));
            assert_eq!(file.buildkit_only.as_deref(), expected, "{lines}");
        }
    }

    #[test]
    fn an_argument_belongs_to_its_stage() {
        let file = parse("ARG V=1\nFROM a AS one\nRUN x\nFROM one AS two\nARG W=2\nRUN y\n");
        let arguments = file.layout(1).iter().map(|stage| stage.argument).collect::<Vec<_>>();
        assert_eq!(arguments, [false, true]);
    }
}
