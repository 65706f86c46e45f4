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

/// A gpg-agent of the place's home, with a key of alice@example.org that has no passphrase.
pub struct GpgAgent(PathBuf);

impl Drop for GpgAgent {
    fn drop(&mut self) {
        let _ = self.command("gpgconf").args(["--kill", "gpg-agent"]).status();
    }
}

impl GpgAgent {
    /// `settings` are those of the agent.
    pub fn new(place: &Place, settings: &str) -> GpgAgent {
        let dir = place.home().join(".gnupg");
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        std::fs::write(dir.join("gpg-agent.conf"), settings).unwrap();
        let agent = GpgAgent(place.home());
        let make = [
            "--batch",
            "--quiet",
            "--passphrase",
            "",
            "--quick-gen-key",
            "Alice <alice@example.org>",
            "ed25519",
            "sign",
        ];
        ran(agent.command("gpg").args(make).output().unwrap()).ok();
        agent
    }

    /// A program of GnuPG, outside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &self.0).stdin(Stdio::null());
        command
    }
}
