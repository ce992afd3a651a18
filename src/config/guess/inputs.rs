//! Which files of the context a Dockerfile takes early, before it installs, and which late.

use super::super::dockerfile::{Dockerfile, Instruction};
use globset::GlobBuilder;
use std::collections::BTreeSet;

/// Files of the context by when they are taken, each in the order in which they are taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Inputs {
    /// Files that are taken one by one, or mounted, before a RUN that comes before the application:
    /// what it installs is up to them.
    pub(super) early: Vec<String>,
    /// Files that come with whole folders, or after every RUN.
    pub(super) late: Vec<String>,
    /// Folders that are copied whole, with `/` behind each; the context itself is empty.
    pub(super) folders: Vec<String>,
    /// Whether the whole context is copied before the first RUN that could install.
    pub(super) all_before_run: bool,
}

impl Inputs {
    /// What the stages take that the final one is made from.
    pub(super) fn of(parsed: &Dockerfile, last: usize, files: &[String]) -> Self {
        let mut inputs = Self::default();
        for index in parsed.used(last) {
            let instructions = &parsed.stages[index].instructions;
            let mut installed = false;
            let mut copied_whole = false;
            for (at, instruction) in instructions.iter().enumerate() {
                match instruction {
                    Instruction::Copy { sources } => {
                        let before_run = before_run(&instructions[at + 1..], files);
                        for source in sources {
                            let taken = Taken::of(source, files);
                            copied_whole |= taken.folder.as_deref() == Some("");
                            inputs.add(taken, before_run);
                        }
                    }
                    Instruction::Run { mounted, .. } => {
                        for source in mounted {
                            inputs.add(Taken::of(source, files), true);
                        }
                        inputs.all_before_run |= copied_whole && !installed;
                        installed |= !inputs.early.is_empty();
                    }
                    _ => {}
                }
            }
        }
        let early: BTreeSet<String> = inputs.early.iter().cloned().collect();
        inputs.all_before_run &= early.is_empty();
        inputs.late.retain(|file| !early.contains(file));
        inputs
    }

    fn add(&mut self, taken: Taken, before_run: bool) {
        let one_by_one = taken.folder.is_none();
        let list = if one_by_one && before_run { &mut self.early } else { &mut self.late };
        for file in taken.files {
            if !list.contains(&file) {
                list.push(file);
            }
        }
        if let Some(folder) = taken.folder
            && !self.folders.contains(&folder)
        {
            self.folders.push(folder);
        }
    }
}

/// Whether what follows a COPY is a RUN that could install: one before which no folder is copied, or
/// after which more is copied. Else it is a build of what was copied.
fn before_run(rest: &[Instruction], files: &[String]) -> bool {
    let copies = |instruction: &Instruction, whole: bool| match instruction {
        Instruction::Copy { sources } => {
            !whole || sources.iter().any(|source| Taken::of(source, files).folder.is_some())
        }
        _ => false,
    };
    let run = rest.iter().position(|one| matches!(one, Instruction::Run { .. }));
    run.is_some_and(|run| {
        let (before, after) = rest.split_at(run);
        !before.iter().any(|one| copies(one, true)) || after.iter().any(|one| copies(one, false))
    })
}

/// What one source of a COPY takes.
struct Taken {
    files: Vec<String>,
    /// The folder, if it is one.
    folder: Option<String>,
}

impl Taken {
    fn of(source: &str, files: &[String]) -> Self {
        let source = source.trim_start_matches("./").trim_matches('/');
        let source = if source == "." { "" } else { source };
        if files.iter().any(|file| file == source) {
            return Self { files: vec![source.to_owned()], folder: None };
        }
        let inside = if source.is_empty() { String::new() } else { format!("{source}/") };
        let below: Vec<String> =
            files.iter().filter(|file| file.starts_with(&inside)).cloned().collect();
        if !below.is_empty() {
            return Self { files: below, folder: Some(inside) };
        }
        // A pattern: `*` stays within a folder.
        let glob = GlobBuilder::new(source).literal_separator(true).build();
        let Ok(matcher) = glob.map(|glob| glob.compile_matcher()) else {
            return Self { files: Vec::new(), folder: None };
        };
        let matched = files.iter().filter(|file| matcher.is_match(file)).cloned().collect();
        Self { files: matched, folder: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn inputs(dockerfile: &str, files: &[&str]) -> Inputs {
        let parsed = Dockerfile::parse(dockerfile, &BTreeMap::new()).unwrap();
        let files: Vec<String> = files.iter().map(|&file| file.to_owned()).collect();
        Inputs::of(&parsed, parsed.stages.len() - 1, &files)
    }

    #[test]
    fn manifests_come_early_and_the_application_late() {
        let found = inputs(
            "FROM a AS b\nCOPY package*.json ./\nRUN npm ci\nCOPY . .\nRUN npm run build\n\
             FROM c\nCOPY --from=b /dist /dist\nCOPY nginx.conf /etc/\n",
            &["nginx.conf", "package-lock.json", "package.json", "src/main.js"],
        );
        assert_eq!(found.early, ["package-lock.json", "package.json"]);
        assert_eq!(found.late, ["nginx.conf", "src/main.js"]);
        assert_eq!(found.folders, [""]);
        assert!(!found.all_before_run);
    }

    #[test]
    fn one_copy_of_everything_is_told() {
        let found = inputs("FROM a\nCOPY . .\nRUN make\n", &["Makefile", "main.c"]);
        assert_eq!(found.early, Vec::<String>::new());
        assert_eq!(found.late, ["Makefile", "main.c"]);
        assert!(found.all_before_run);
    }

    #[test]
    fn a_file_beside_the_application_is_not_taken_to_be_installed_from() {
        let files = ["data.txt", "patches/a.patch", "src/main.c"];
        let found = inputs("FROM a\nCOPY data.txt ./\nCOPY src/ src/\nRUN make\n", &files);
        assert_eq!(found.early, Vec::<String>::new());
        assert_eq!(found.late, ["data.txt", "src/main.c"]);
        let found = inputs(
            "FROM a\nCOPY data.txt ./\nCOPY patches/ patches/\nRUN install\nCOPY src/ src/\n",
            &files,
        );
        assert_eq!(found.early, ["data.txt"]);
    }

    #[test]
    fn mounts_are_early_and_stages_that_nothing_uses_do_not_count() {
        let found = inputs(
            "FROM a AS test\nCOPY spec spec\nFROM a\n\
             RUN --mount=type=bind,source=go.mod,target=go.mod go mod download\nCOPY ./cmd/ /cmd\n",
            &["cmd/main.go", "go.mod", "spec/x.go"],
        );
        assert_eq!(found.early, ["go.mod"]);
        assert_eq!(found.late, ["cmd/main.go"]);
        assert_eq!(found.folders, ["cmd/"]);
    }
}
