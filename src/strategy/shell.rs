//! The steps of a job as the docker commands that a person would type, for bash.
//!
//! The commands use `$storage` (the folder that jobs share), `$work` (a folder of this job) and,
//! where a build names only images that are really there, the array `have` and [`HELPER`].

use crate::model::{
    ArchiveName, BuildStep, Builder, CacheExport, ImageRef, PullMode, Sources, Step,
};
use std::collections::BTreeMap;

/// A command that is longer is broken into lines.
const WIDTH: usize = 96;

/// What stays the same in all builds of a workload.
#[derive(Debug, Clone)]
pub struct Build<'a> {
    /// The builder.
    pub builder: Builder,
    /// The context, as it is typed.
    pub context: &'a str,
    /// The Dockerfile, as it is typed; absent if it is `Dockerfile` in the context.
    pub dockerfile: Option<&'a str>,
    /// The workload's own `--target`.
    pub target: Option<&'a str>,
    /// `--build-arg`.
    pub build_args: &'a BTreeMap<String, String>,
    /// Secret `--build-arg`s, with the environment variable that holds the value of each.
    pub secret_args: &'a BTreeMap<String, String>,
    /// Variables for parts of names; without, names are typed as they are.
    pub variables: Option<Variables<'a>>,
}

/// Variables that stand for parts of the names of images and archives, so that one script serves
/// the jobs of several branches.
#[derive(Debug, Clone, Copy)]
pub struct Variables<'a> {
    /// A repository and its variable.
    pub repository: (&'a str, &'a str),
    /// A candidate and its variable.
    pub own: Option<(&'a str, &'a str)>,
    /// All candidates.
    pub candidates: &'a [String],
}

impl Variables<'_> {
    /// An image's name; `variable` spells a variable, `text` anything else.
    pub fn image(
        &self,
        image: &ImageRef,
        variable: impl Fn(&str) -> String,
        text: impl Fn(&str) -> String,
    ) -> String {
        let (repository, name) = self.repository;
        let repository =
            if image.repository == repository { variable(name) } else { text(&image.repository) };
        format!("{repository}:{}", self.of_candidate(&image.tag, variable, text))
    }

    /// A tag or the name of an archive, which begins with that of its candidate.
    fn of_candidate(
        &self,
        name: &str,
        variable: impl Fn(&str) -> String,
        text: impl Fn(&str) -> String,
    ) -> String {
        let rest = |candidate: &str| {
            name.strip_prefix(candidate)
                .filter(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
        };
        let candidates = self.candidates.iter().map(String::as_str);
        let whose = candidates.filter(|name| rest(name).is_some()).max_by_key(|name| name.len());
        match self.own {
            Some((own, named)) if whose == Some(own) => {
                format!("{}{}", variable(named), text(rest(own).unwrap_or_default()))
            }
            _ => text(name),
        }
    }
}

/// A function that turns those of the named images that this job has into `--cache-from`.
pub const HELPER: &str = r#"# Those of the named images that this job has, as cache sources.
present() {
  sources=()
  for image in "$@"; do
    case " ${have[*]-} " in *" $image "*) sources+=(--cache-from "$image") ;; esac
  done
}"#;

/// Whether the commands for these steps call [`HELPER`].
pub fn needs_helper(commands: &[String]) -> bool {
    commands.iter().any(|command| command.starts_with("present "))
}

/// The commands for the steps of a job, in order.
pub fn commands(steps: &[Step], build: &Build<'_>) -> Vec<String> {
    let keeps_track = steps
        .iter()
        .any(|step| matches!(step, Step::Build(BuildStep { sources: Sources::Present(_), .. })));
    let mut typist = Typist {
        build,
        keeps_track,
        brought: Some(Vec::new()),
        fetched: String::new(),
        out: Vec::new(),
    };
    if keeps_track {
        typist.out.push("have=()".to_owned());
    }
    let last = steps.iter().rposition(|step| matches!(step, Step::Build(_)));
    for (index, step) in steps.iter().enumerate() {
        typist.step(step, last.is_some_and(|last| index < last));
    }
    typist.out
}

/// A text as one word of a command.
pub fn quote(text: &str) -> String {
    match shlex::try_quote(text) {
        Ok(quoted) => quoted.into_owned(),
        // Only a NUL cannot be quoted, and no argument can hold one.
        Err(_) => quote(&text.replace('\0', "")),
    }
}

/// A text as a comment, which ends where its line does: to a shell, to YAML and to HCL.
pub fn comment(text: &str) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    format!("# {}", text.replace(breaks, " "))
}

struct Typist<'a> {
    build: &'a Build<'a>,
    /// Whether some build names only what is there.
    keeps_track: bool,
    /// What `have` holds if everything exists, in order; `None` once that cannot be told.
    brought: Option<Vec<ImageRef>>,
    /// The file that a fetch copies to, as it is typed.
    fetched: String,
    out: Vec<String>,
}

impl Typist<'_> {
    fn step(&mut self, step: &Step, builds_follow: bool) {
        match step {
            Step::Fetch { archives } => {
                let suffix = archives.first().map_or("", packing);
                self.fetched = format!("\"$work\"/fetched.tar{suffix}");
                let copies: Vec<String> = archives
                    .iter()
                    .map(|archive| format!("cp {} {}", self.stored(archive), self.fetched))
                    .collect();
                self.out.push(chain(&copies));
            }
            Step::Load => {
                self.brought = None;
                let fetched = &self.fetched;
                // Not every engine reads zstd.
                let load = if fetched.ends_with(".zst") {
                    format!("zstd -dc {fetched} | docker load")
                } else {
                    format!("docker load --input {fetched}")
                };
                self.out.push(if self.keeps_track {
                    format!(
                        "if [ -e {fetched} ]; then\n  mapfile -t have < <({load} | sed -n \
                         's/^Loaded image: //p')\nfi"
                    )
                } else {
                    format!("if [ -e {fetched} ]; then {load}; fi")
                });
            }
            Step::Unpack => {
                let fetched = &self.fetched;
                self.out.push(format!(
                    "sources=()\nif [ -e {fetched} ]; then\n  mkdir \"$work\"/cache && tar -xf \
                     {fetched} -C \"$work\"/cache\n  sources=(--cache-from \
                     \"type=local,src=$work/cache\")\nfi"
                ));
            }
            Step::Pull { references, mode } => self.pull(references, *mode),
            Step::Build(step) => {
                self.build(step);
                if self.keeps_track && builds_follow {
                    self.out.push(format!("have+=({})", self.word(&step.tag)));
                }
                self.brought = None;
            }
            Step::Save { references, archive } => {
                let images = references.iter().map(|image| self.word(image));
                let command = std::iter::once("docker save".to_owned());
                self.out.push(match packer(archive) {
                    None => wrapped(
                        &command
                            .chain([format!("--output {}", self.local(archive))])
                            .chain(images)
                            .collect::<Vec<_>>(),
                    ),
                    Some(packer) => wrapped(
                        &command
                            .chain(images)
                            .chain([format!("| {packer} > {}", self.local(archive))])
                            .collect::<Vec<_>>(),
                    ),
                });
            }
            Step::Pack { archive } => {
                let packer = packer(archive).map(|one| format!(" | {one}")).unwrap_or_default();
                self.out.push(format!(
                    "tar -c -C \"$work\"/cache-new .{packer} > {}",
                    self.local(archive)
                ));
            }
            Step::Store { archive } => {
                self.out.push(format!("cp {} {}", self.local(archive), self.stored(archive)));
            }
            Step::Push { reference } => {
                let client = self.client();
                self.out.push(format!("{client} push {}", self.word(reference)))
            }
        }
    }

    fn pull(&mut self, references: &[ImageRef], mode: PullMode) {
        if let Some(brought) = &mut self.brought {
            brought.extend(references.iter().cloned());
        }
        let pulls = references.iter().map(|reference| {
            let image = self.word(reference);
            if self.keeps_track {
                format!("{{ docker pull {image} && have+=({image}); }}")
            } else {
                format!("docker pull {image}")
            }
        });
        match mode {
            PullMode::First => self.out.push(chain(&pulls.collect::<Vec<_>>())),
            PullMode::All => {
                let each: Vec<String> = pulls.map(|pull| chain(&[pull])).collect();
                self.out.extend(each);
            }
        }
    }

    fn build(&mut self, step: &BuildStep) {
        let exports =
            step.export.is_some() || matches!(step.sources, Sources::Caches(_) | Sources::Folder);
        let mut words = vec![match self.build.builder {
            Builder::Buildah => "buildah build --isolation chroot".to_owned(),
            _ if exports => "docker buildx build --load".to_owned(),
            Builder::Classic => "DOCKER_BUILDKIT=0 docker build".to_owned(),
            Builder::Buildkit => "DOCKER_BUILDKIT=1 docker build".to_owned(),
        }];
        match &step.sources {
            Sources::None => {}
            Sources::Caches(caches) => words.extend(
                caches
                    .iter()
                    .map(|cache| format!("--cache-from type=registry,ref={}", self.word(cache))),
            ),
            Sources::Folder => words.push("\"${sources[@]}\"".to_owned()),
            Sources::Layers(repository) => {
                words.push(format!("--layers --cache-from {}", self.repository(repository)))
            }
            Sources::Named(images) => {
                words.extend(
                    images.iter().map(|image| format!("--cache-from {}", self.word(image))),
                );
            }
            // `have` is in this order already.
            Sources::Present(images) if self.brought.as_ref() == Some(images) => {
                words.push("\"${have[@]/#/--cache-from=}\"".to_owned());
            }
            Sources::Present(images) => {
                let named = std::iter::once("present".to_owned())
                    .chain(images.iter().map(|image| self.word(image)));
                self.out.push(wrapped(&named.collect::<Vec<_>>()));
                words.push("\"${sources[@]}\"".to_owned());
            }
        }
        if let Some(target) = step.target.as_deref().or(self.build.target) {
            words.push(format!("--target {}", quote(target)));
        }
        for (name, value) in self.build.build_args {
            words.push(format!("--build-arg {}", quote(&format!("{name}={value}"))));
        }
        for (name, variable) in self.build.secret_args {
            // Without a value the client takes that of the variable of the same name.
            words.push(match name == variable {
                true => format!("--build-arg {name}"),
                false => format!("--build-arg {name}=\"${variable}\""),
            });
        }
        if step.inline_cache {
            words.push("--build-arg BUILDKIT_INLINE_CACHE=1".to_owned());
        }
        match &step.export {
            None => {}
            Some(CacheExport::Layers { repository }) => {
                words.push(format!("--cache-to {}", self.repository(repository)));
            }
            Some(CacheExport::Kept) => words.push("--layers".to_owned()),
            Some(CacheExport::Registry { reference, mode, image_manifest }) => {
                let manifest = if *image_manifest { ",image-manifest=true" } else { "" };
                words.push(format!(
                    "--cache-to type=registry,ref={},mode={}{manifest}",
                    self.word(reference),
                    mode.as_str()
                ));
            }
            Some(CacheExport::Local { mode }) => words.push(format!(
                "--cache-to type=local,dest=\"$work\"/cache-new,mode={}",
                mode.as_str()
            )),
        }
        words.push(format!("--tag {}", self.word(&step.tag)));
        if let Some(dockerfile) = self.build.dockerfile {
            words.push(format!("--file {}", quote(dockerfile)));
        }
        words.push(quote(self.build.context));
        self.out.push(wrapped(&words));
    }

    /// The program that a person types.
    fn client(&self) -> &'static str {
        match self.build.builder {
            Builder::Buildah => "buildah",
            Builder::Classic | Builder::Buildkit => "docker",
        }
    }

    /// A repository without a tag.
    fn repository(&self, repository: &str) -> String {
        match &self.build.variables {
            None => quote(repository),
            Some(Variables { repository: (known, name), .. }) => {
                match repository.strip_prefix(known) {
                    Some(rest) => format!("\"${{{name}}}{rest}\""),
                    None => quote(repository),
                }
            }
        }
    }

    fn word(&self, image: &ImageRef) -> String {
        match &self.build.variables {
            None => quote(&image.to_string()),
            // Nothing in a name of an image or a candidate means anything between quotes.
            Some(variables) => format!("\"{}\"", variables.image(image, dollar, str::to_owned)),
        }
    }

    fn archive(&self, archive: &ArchiveName) -> String {
        match &self.build.variables {
            None => quote(&archive.to_string()),
            Some(variables) => {
                format!("\"{}\"", variables.of_candidate(&archive.0, dollar, str::to_owned))
            }
        }
    }

    fn stored(&self, archive: &ArchiveName) -> String {
        format!("\"$storage\"/{}", self.archive(archive))
    }

    fn local(&self, archive: &ArchiveName) -> String {
        format!("\"$work\"/{}", self.archive(archive))
    }
}

fn dollar(variable: &str) -> String {
    format!("${variable}")
}

/// The first of these that succeeds; if none does, the job goes on.
fn chain(commands: &[String]) -> String {
    let all = commands.iter().map(String::as_str).chain(["true"]);
    let line = all.clone().collect::<Vec<_>>().join(" || ");
    if line.len() <= WIDTH { line } else { all.collect::<Vec<_>>().join(" ||\n  ") }
}

fn wrapped(words: &[String]) -> String {
    let line = words.join(" ");
    if line.len() <= WIDTH { line } else { words.join(" \\\n  ") }
}

/// What the name of a packed archive ends with.
fn packing(archive: &ArchiveName) -> &'static str {
    [".gz", ".zst"].into_iter().find(|suffix| archive.0.ends_with(suffix)).unwrap_or("")
}

/// The program that packs an archive of this name.
fn packer(archive: &ArchiveName) -> Option<&'static str> {
    match packing(archive) {
        ".gz" => Some("gzip"),
        ".zst" => Some("zstd -q -T0"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Job, STRATEGIES};
    use super::*;

    fn job(builder: Builder, pull: PullMode) -> Job {
        Job {
            repository: "127.0.0.1:5000/breakeven/web".to_owned(),
            candidates: vec!["branch".to_owned(), "main".to_owned()],
            own: "branch".to_owned(),
            stages: vec!["builder".to_owned()],
            pull,
            builder,
            suffix: "tar",
            image_manifest: false,
        }
    }

    fn typed(steps: &[Step], builder: Builder) -> String {
        let build_args = BTreeMap::from([("NOTE".to_owned(), "it's $HOME".to_owned())]);
        let build = Build {
            builder,
            context: ".",
            dockerfile: Some("docker files/Web"),
            target: Some("web"),
            build_args: &build_args,
            secret_args: &BTreeMap::new(),
            variables: None,
        };
        commands(steps, &build).join("\n")
    }

    #[test]
    fn every_strategy_as_it_is_typed() {
        for strategy in STRATEGIES {
            for &builder in strategy.builders.iter() {
                let steps = strategy.steps(&job(builder, PullMode::First));
                let name = format!("{}_{builder}", strategy.id);
                insta::assert_snapshot!(name, typed(&steps, builder));
            }
        }
    }

    #[test]
    fn all_candidates_are_pulled_one_by_one() {
        let pull = super::super::ours("pull").unwrap();
        let steps = pull.steps(&job(Builder::Classic, PullMode::All));
        insta::assert_snapshot!(typed(&steps[..1], Builder::Classic), @r"
        docker pull 127.0.0.1:5000/breakeven/web:branch || true
        docker pull 127.0.0.1:5000/breakeven/web:main || true
        ");
    }

    #[test]
    fn secrets_are_typed_by_the_names_of_their_variables() {
        let secret = |name: &str, variable: &str| (name.to_owned(), variable.to_owned());
        let build = Build {
            builder: Builder::Classic,
            context: ".",
            dockerfile: None,
            target: None,
            build_args: &BTreeMap::new(),
            secret_args: &BTreeMap::from([secret("KEY", "OUR_KEY"), secret("TOKEN", "TOKEN")]),
            variables: None,
        };
        let steps =
            super::super::ours("cold").unwrap().steps(&job(Builder::Classic, PullMode::First));
        let typed = commands(&steps, &build).join("\n");
        assert!(typed.contains("--build-arg KEY=\"$OUR_KEY\""), "{typed}");
        assert!(typed.contains("--build-arg TOKEN "), "{typed}");
    }

    #[test]
    fn nothing_in_a_name_reaches_the_shell() {
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("$(x)`y`"), "'$(x)`y`'");
        assert_eq!(quote("it's"), "\"it's\"");
        assert_eq!(quote("a\0b"), "ab");
    }
}
