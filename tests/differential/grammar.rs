//! What a list of options consists of, and how it is printed for a shell.

use std::fmt::Write;

/// One list and everything around it that the launcher is started with. In texts `@` stands for the tree that a run may
/// change, `%` for the directory that holds it.
#[derive(Clone, Debug)]
pub struct Case {
    pub groups: Vec<Group>,
    /// Descriptors that no option names: the program has to get them.
    pub extras: Vec<Given>,
    pub command: Command,
    pub cwd: &'static str,
    pub home: &'static str,
    pub umask: u32,
    pub signals: Signals,
    /// The list is wrong on purpose, which is reported before anything is set up: the messages have to be equal word by
    /// word.
    pub refused: bool,
}

/// Words that make sense together; the unit that shrinking removes.
#[derive(Clone, Debug)]
pub struct Group(pub Vec<Word>);

#[derive(Clone, Debug)]
pub enum Word {
    Text(String),
    Fd(Given),
}

/// A descriptor that the launcher starts with.
#[derive(Clone, Debug)]
pub struct Given {
    pub number: i32,
    /// How the option spells the number.
    pub spelled: String,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    /// To be read from.
    Data(Carrier, Vec<u8>),
    /// Options for `--args`.
    Args(Carrier, Vec<Group>),
    /// A path, and whether it is opened as a name only (O_PATH).
    Path(String, bool),
    /// The launcher writes into it.
    Written,
    /// The test watches whether somebody still has it.
    Held,
    /// A namespace of another sandbox.
    Namespace(Neighbour),
    /// Comes to life when the test has written the id maps of the process that `--info-fd` tells.
    Mapped,
}

/// The namespaces of a sandbox with `--dev`: the user namespace in which it was set up, that of its program, its processes'.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Neighbour {
    OuterUser,
    User,
    Pid,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Carrier {
    Pipe,
    File,
    /// A file whose first bytes are read already.
    FileRest,
    Memfd,
}

/// What follows the options.
#[derive(Clone, Debug)]
pub enum Command {
    /// The probe by this name, and whether `--` goes before it.
    Probe(&'static str, bool, End),
    /// Something that cannot be started.
    Other(&'static str),
    Nothing,
}

#[derive(Clone, Copy, Debug)]
pub enum End {
    Exit(i32),
    Signal(i32),
}

/// How the launcher's signals stand when it starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Signals {
    Plain,
    Ignored(&'static [i32]),
    Blocked(&'static [i32]),
}

pub fn words(texts: &[&str]) -> Group {
    Group(texts.iter().map(|text| Word::Text((*text).to_owned())).collect())
}

impl Group {
    pub fn starts_with(&self, option: &str) -> bool {
        matches!(self.0.first(), Some(Word::Text(text)) if text == option)
    }
}

impl Given {
    pub fn new(number: i32, what: What) -> Given {
        Given { number, spelled: number.to_string(), what }
    }
}

impl Case {
    /// All descriptors, those inside of `--args` too.
    pub fn given(&self) -> Vec<&Given> {
        let mut all: Vec<&Given> = self.extras.iter().collect();
        let mut lists = vec![&self.groups];
        while let Some(groups) = lists.pop() {
            for word in groups.iter().flat_map(|group| &group.0) {
                if let Word::Fd(given) = word {
                    all.push(given);
                    if let What::Args(_, inner) = &given.what {
                        lists.push(inner);
                    }
                }
            }
        }
        all
    }

    /// All texts of the options, those inside of `--args` too.
    pub fn texts(&self) -> Vec<String> {
        let mut texts = flat(&self.groups);
        for given in self.given() {
            if let What::Args(_, inner) = &given.what {
                texts.extend(flat(inner));
            }
        }
        texts
    }

    pub fn has(&self, option: &str) -> bool {
        self.texts().iter().any(|text| text == option)
    }

    /// Lists that are a little smaller than this one.
    pub fn smaller(&self) -> Vec<Case> {
        let mut all: Vec<Case> =
            fewer(&self.groups).into_iter().map(|groups| Case { groups, ..self.clone() }).collect();
        for index in 0..self.extras.len() {
            let mut case = self.clone();
            case.extras.remove(index);
            all.push(case);
        }
        if self.cwd != "/" {
            all.push(Case { cwd: "/", ..self.clone() });
        }
        if self.umask != 0o22 {
            all.push(Case { umask: 0o22, ..self.clone() });
        }
        if self.signals != Signals::Plain {
            all.push(Case { signals: Signals::Plain, ..self.clone() });
        }
        if let Command::Probe(name, dashes, end) = self.command
            && (dashes || !matches!(end, End::Exit(0)))
        {
            all.push(Case { command: Command::Probe(name, false, End::Exit(0)), ..self.clone() });
        }
        all
    }

    /// The list as a shell would take it.
    pub fn shell(&self, program: &str) -> String {
        let mut text = format!("cd {}; umask {:03o}; ", quoted(self.cwd.as_bytes()), self.umask);
        match self.signals {
            Signals::Plain => {}
            Signals::Ignored(list) => write!(text, "trap '' {list:?}; ").unwrap(),
            Signals::Blocked(list) => write!(text, "(blocked: {list:?}) ").unwrap(),
        }
        write!(text, "HOME={} {program}", self.home).unwrap();
        for word in flat(&self.groups) {
            write!(text, " {}", quoted(word.as_bytes())).unwrap();
        }
        match self.command {
            Command::Probe(name, dashes, end) => {
                write!(text, " {}{name} {end:?}", if dashes { "-- " } else { "" }).unwrap();
            }
            Command::Other(name) => write!(text, " {}", quoted(name.as_bytes())).unwrap(),
            Command::Nothing => {}
        }
        for given in self.given() {
            let number = given.number;
            match &given.what {
                What::Data(carrier, data) => {
                    write!(text, " {number}< <(printf {})#{carrier:?}", quoted(data)).unwrap();
                }
                What::Args(carrier, inner) => {
                    let inner: Vec<String> = flat(inner).iter().map(|word| quoted(word.as_bytes())).collect();
                    write!(text, " {number}< <(printf '%s\\0' {})#{carrier:?}", inner.join(" ")).unwrap();
                }
                What::Path(path, name_only) => {
                    write!(text, " {number}<{}{}", quoted(path.as_bytes()), if *name_only { "#O_PATH" } else { "" })
                        .unwrap();
                }
                What::Namespace(which) => write!(text, " {number}<({which:?})").unwrap(),
                What::Mapped => write!(text, " {number}< <(write maps)").unwrap(),
                What::Written | What::Held => write!(text, " {number}> >(cat)").unwrap(),
            }
        }
        text
    }
}

/// The words of these groups, numbers spelled out.
pub fn flat(groups: &[Group]) -> Vec<String> {
    let text = |word: &Word| match word {
        Word::Text(text) => text.clone(),
        Word::Fd(given) => given.spelled.clone(),
    };
    groups.iter().flat_map(|group| group.0.iter().map(text)).collect()
}

/// All ways to leave one group out, or to write out what `--args` brings.
fn fewer(groups: &[Group]) -> Vec<Vec<Group>> {
    let mut all = Vec::new();
    for index in (0..groups.len()).rev() {
        let put = |middle: Vec<Group>| [&groups[..index], &middle, &groups[index + 1..]].concat();
        all.push(put(Vec::new()));
        for (at, word) in groups[index].0.iter().enumerate() {
            let Word::Fd(given) = word else { continue };
            let What::Args(carrier, inner) = &given.what else { continue };
            all.push(put(inner.clone()));
            for less in fewer(inner) {
                let mut group = groups[index].clone();
                group.0[at] = Word::Fd(Given { what: What::Args(*carrier, less), ..given.clone() });
                all.push(put(vec![group]));
            }
        }
    }
    all
}

fn quoted(bytes: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"@%/._-+,:=".contains(byte);
    if !bytes.is_empty() && bytes.iter().all(plain) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    if bytes.iter().all(|byte| (b' '..=b'~').contains(byte) && *byte != b'\'') {
        return format!("'{}'", String::from_utf8_lossy(bytes));
    }
    format!("$'{}'", bytes.escape_ascii())
}
