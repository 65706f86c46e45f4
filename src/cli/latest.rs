//! `--latest`: the sandbox that was made last, in place of a name.

use super::store;
use crate::error::{Error, Result};
use clap::{Arg, Args};

/// `--latest`, for the verbs that take a sandbox's name.
#[derive(Args, Debug, Default)]
pub struct Latest {
    /// The one that was made last, in place of a name
    #[arg(short, long)]
    latest: bool,
}

impl Latest {
    /// The names that a verb is given; the id of the sandbox that was made last, where `--latest` stands for them.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn or(&self, names: &[String]) -> Result<Vec<String>> {
        if self.latest { Ok(vec![id()?]) } else { Ok(names.to_vec()) }
    }
}

/// Has `--latest` exclude the other arguments of a verb that say which sandboxes are meant.
pub fn in_place_of<const N: usize>(others: [&'static str; N]) -> impl Fn(Arg) -> Arg {
    move |arg| if arg.get_id() == "latest" { arg.conflicts_with_all(others) } else { arg }
}

/// The id of the sandbox that was made last.
///
/// # Errors
///
/// There is none.
pub(super) fn id() -> Result<String> {
    let all = store::store()?.all()?;
    let newest = all
        .first()
        .ok_or_else(|| Error::new("--latest: there is no sandbox").hint("`sbx ps -a` lists all that there are"))?;
    Ok(newest.id.to_string())
}
