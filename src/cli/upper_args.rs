//! The command lines of the verbs for upper layers.

use clap::{Args, ValueHint};
use std::path::PathBuf;

/// `sbx diff`
#[derive(Args, Debug)]
pub struct Diff {
    /// Name of the upper layers, or LAST
    #[arg(default_value = "LAST")]
    pub name: String,
    /// Only what is at or below these paths
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Print sizes
    #[arg(long)]
    pub stat: bool,
    /// Print the differences of texts, as a patch that git applies
    #[arg(short, long, conflicts_with_all = ["stat", "json"])]
    pub patch: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `sbx commit`
#[derive(Args, Debug)]
pub struct Commit {
    /// Name of the upper layers, or LAST
    pub name: String,
    /// Only what is at or below these paths, with new directories that they lie in
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Merge texts that the host has changed, too, where no line was changed by both
    #[arg(short, long)]
    pub merge: bool,
    /// Change nothing, and say what would be done
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// `sbx discard`
#[derive(Args, Debug)]
pub struct Discard {
    /// Names of upper layers, or LAST
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
}

/// `sbx export`
#[derive(Args, Debug)]
pub struct Export {
    /// Name of the upper layers, or LAST
    pub name: String,
    /// File to write to (default: standard output)
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Write a patch that git applies, with files that are no texts, instead of a tar file
    #[arg(short, long)]
    pub patch: bool,
}

/// `sbx uppers`
#[derive(Args, Debug)]
pub struct Uppers {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `sbx snapshot`
#[derive(Args, Debug)]
pub struct Snapshot {
    /// Name of the upper layers, or LAST
    pub name: String,
}

/// `sbx fork`
#[derive(Args, Debug)]
pub struct Fork {
    /// Name of the upper layers, or LAST
    pub name: String,
    /// The new name
    pub new: String,
}
