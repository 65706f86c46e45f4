//! Which ids a further program can be asked to have: those of the sandbox's program, by number and by name. PID 1 has given up the right to take others
//! by the time that it executes one, and keeps no capability for that.

use crate::plan::{Op, Plan};
use std::ffi::OsStr;
use std::path::Path;

/// Checks that USER or USER:GROUP is what a further program has anyway. Names are looked up in the files that the view shows at its start: not in what a
/// program has made of them since.
pub(super) fn check(asked: &OsStr, plan: &Plan) -> Result<(), String> {
    let asked = asked.to_str().ok_or("--user: it is neither a name nor a number")?;
    let (user, group) = asked.split_once(':').map_or((asked, None), |(user, group)| (user, Some(group)));
    let ids = &plan.namespaces.ids;
    is_own("user", user, ids.uid, "/etc/passwd", plan)?;
    group.map_or(Ok(()), |group| is_own("group", group, ids.gid, "/etc/group", plan))
}

fn is_own(kind: &str, asked: &str, own: u32, file: &str, plan: &Plan) -> Result<(), String> {
    let id = match asked.parse::<u32>() {
        Ok(id) => id,
        Err(_) => match shown(file, plan) {
            None => {
                return Err(format!(
                    "--user: {file} of the sandbox is not sbx's own, so that {kind} {asked} may be anybody: use the number, {own}"
                ));
            }
            Some(text) => {
                lookup(text, asked).ok_or_else(|| format!("--user: {file} of the sandbox has no {kind} {asked}"))?
            }
        },
    };
    if id == own {
        return Ok(());
    }
    let named = if asked == id.to_string() { String::new() } else { format!(", which is {id}") };
    Err(format!(
        "--user: a further program has the {kind} id of the sandbox's program, {own}, and cannot have that of {kind} {asked}{named}: the sandbox's PID 1 \
         has given up the right to take another. A sandbox of its own can have it: sbx run --user {asked}"
    ))
}

/// The content of a file, if it is one that sbx has made for the view.
fn shown<'p>(file: &str, plan: &'p Plan) -> Option<&'p [u8]> {
    let file = Path::new(file);
    plan.view.parts.iter().rev().find_map(|placed| match &placed.op {
        Op::File { path, data, .. } if path == file => Some(data.as_slice()),
        Op::Layers { path, own, .. } => {
            own.iter().find(|made| path.join(&made.path) == file).map(|made| made.data.as_slice())
        }
        _ => None,
    })
}

/// The id that a line of passwd(5) or group(5) gives to a name.
fn lookup(text: &[u8], name: &str) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() == Some(name) { fields.nth(1)?.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::lookup;

    #[test]
    fn names_are_looked_up_as_the_files_have_them() {
        let text = b"me:x:1000:1000:me:/home/me:/bin/sh\ndaemon:x:1:1::/:\nodd\nme:x:0:0::/:\n";
        assert_eq!(lookup(text, "me"), Some(1000), "the first line counts");
        assert_eq!(lookup(text, "daemon"), Some(1));
        assert_eq!((lookup(text, "odd"), lookup(text, "m"), lookup(text, "")), (None, None, None));
    }
}
