//! Peer: recorders that keep states in a git repository, one file per artifact, one commit per
//! state. They are treated generously: only the files that differ are written.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use git2::{Repository, Signature};

/// What a commit promises when it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Everything is flushed.
    Durable,
    /// What the tool does by default.
    Default,
}

/// A recorder that runs the `git` command.
pub struct GitCommand {
    folder: PathBuf,
}

impl GitCommand {
    /// Makes an empty repository.
    pub fn new(folder: &Path, promise: Promise) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let git = Self {
            folder: folder.to_owned(),
        };
        git.run(&["init", "--quiet", "--template="])?;
        git.run(&["config", "gc.auto", "0"])?;
        git.run(&["config", "maintenance.auto", "false"])?;
        if promise == Promise::Durable {
            git.run(&["config", "core.fsync", "all"])?;
        }
        Ok(git)
    }

    /// Records a state that differs from the one before in these files.
    pub fn record(&self, changed: &[(String, &str)]) -> anyhow::Result<()> {
        for (name, text) in changed {
            std::fs::write(self.folder.join(name), text)?;
        }
        self.run(&["add", "--all"])?;
        self.run(&["commit", "--quiet", "--message", "state"])?;
        Ok(())
    }

    /// Packs everything.
    pub fn collect(&self) -> anyhow::Result<()> {
        self.run(&["gc", "--quiet", "--prune=now"]).map(drop)
    }

    /// Bytes of the repository without the working tree.
    pub fn bytes(&self) -> anyhow::Result<u64> {
        folder_bytes(&self.folder.join(".git"))
    }

    /// Runs a command in the repository and gives its output.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
        let output = Command::new("git")
            .current_dir(&self.folder)
            .args(arguments)
            // Settings of whoever measures must not change what is measured.
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "bench")
            .env("GIT_AUTHOR_EMAIL", "bench@example.com")
            .env("GIT_COMMITTER_NAME", "bench")
            .env("GIT_COMMITTER_EMAIL", "bench@example.com")
            .output()
            .context("cannot start git")?;
        if !output.status.success() {
            bail!(
                "git {} failed: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(output.stdout)
    }
}

/// A recorder that writes objects with libgit2, without files and index.
pub struct GitLibrary {
    repository: Repository,
    tree: git2::Oid,
}

impl GitLibrary {
    /// Makes an empty repository.
    pub fn new(folder: &Path, promise: Promise) -> anyhow::Result<Self> {
        let repository = Repository::init_bare(folder)?;
        let durable = promise == Promise::Durable;
        repository
            .config()?
            .set_bool("core.fsyncObjectFiles", durable)?;
        // The setting is read when the repository is opened.
        drop(repository);
        let repository = Repository::open_bare(folder)?;
        let tree = repository.treebuilder(None)?.write()?;
        Ok(Self { repository, tree })
    }

    /// Records a state that differs from the one before in these files.
    pub fn record(&mut self, changed: &[(String, &str)]) -> anyhow::Result<()> {
        let tree = {
            let before = self.repository.find_tree(self.tree)?;
            let mut builder = self.repository.treebuilder(Some(&before))?;
            for (name, text) in changed {
                let blob = self.repository.blob(text.as_bytes())?;
                builder.insert(name, blob, 0o100_644)?;
            }
            builder.write()?
        };
        self.tree = tree;
        let who = Signature::now("bench", "bench@example.com")?;
        let parent = match self.repository.head() {
            Ok(head) => Some(head.peel_to_commit()?),
            Err(_) => None,
        };
        let parents: Vec<_> = parent.iter().collect();
        let tree = self.repository.find_tree(tree)?;
        self.repository
            .commit(Some("HEAD"), &who, &who, "state", &tree, &parents)?;
        Ok(())
    }
}

/// Apparent bytes of all files below a folder.
pub fn folder_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() {
            folder_bytes(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(bytes)
}
