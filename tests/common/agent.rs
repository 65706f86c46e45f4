//! An ssh-agent with keys.

use super::{Place, Ran, ran, until};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// An ssh-agent, with the keys of these names.
pub struct Agent {
    child: Child,
    pub socket: PathBuf,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Agent {
    pub fn new(place: &Place, keys: &[&str]) -> Agent {
        let socket = place.dir.path().join("agent");
        let child = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        let agent = Agent { child, socket };
        assert!(until(|| std::os::unix::net::UnixStream::connect(&agent.socket).is_ok()));
        for name in keys {
            key(place, name);
            agent.add(&["-q", place.dir.path().join(name).to_str().unwrap()]).ok();
        }
        agent
    }

    /// Runs ssh-add outside.
    pub fn add(&self, args: &[&str]) -> Ran {
        ran(Command::new("ssh-add").args(args).env("SSH_AUTH_SOCK", &self.socket).output().unwrap())
    }

    /// The agent's keys, as `ssh-add -l` prints them.
    pub fn list(&self) -> Vec<String> {
        self.add(&["-l"]).ok().lines().map(str::to_owned).collect()
    }
}

/// Makes a key, whose comment is its name; its public key is also in the current directory.
pub fn key(place: &Place, name: &str) {
    let path = place.dir.path().join(name);
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(&path);
    ran(command.output().unwrap()).ok();
    std::fs::copy(path.with_extension("pub"), place.work().join(format!("{name}.pub"))).unwrap();
}
